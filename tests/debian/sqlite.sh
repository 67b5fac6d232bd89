# SPDX-License-Identifier: MIT
# 10,000 rows in one transaction, an index, queries; the file is whole afterwards.
{ echo 'create table t(id integer primary key, a integer, b text); begin;'
  i=0; while [ $i -lt 10000 ]; do echo "insert into t(a, b) values($((i * 7919 % 10007)), 'name $((i % 97))');"; i=$((i + 1)); done
  echo 'commit; create index ia on t(a); create index ib on t(b, a);'; } >in.sql
sqlite3 x.db <in.sql
sqlite3 x.db 'select count(*), sum(a), min(a), max(a) from t; select * from t where a = 5000; select b, count(*), sum(a) from t group by b order by 3 desc limit 3; explain query plan select * from t where a between 10 and 20; pragma integrity_check;'
sqlite3 x.db 'begin; delete from t where a % 2; rollback; select count(*) from t; delete from t where a % 2; vacuum; select count(*) from t; pragma page_count'
sqlite3 x.db 'pragma journal_mode=wal; update t set b = upper(b) where id < 100; select b from t where id = 7; pragma wal_checkpoint; pragma journal_mode=delete'
sqlite3 x.db 'begin exclusive; select 1;' '.shell sqlite3 x.db "insert into t(a) values(1)" 2>&1' 'commit'; sqlite3 x.db .dump | tail -3 | cut -c1-60; ls

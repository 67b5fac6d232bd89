# SPDX-License-Identifier: MIT
# tar with gzip and xz: owners, modes, times, links, devices, holes and long names survive.
umask 022
mkdir -p s/dir; seq 5000 >s/numbers; ln s/numbers s/hard; ln -s numbers s/soft; mkfifo s/fifo; mknod s/null c 1 3; truncate -s 300k s/hole; echo end >>s/hole
chown 7:8 s/dir; chmod 2750 s/dir; long=$(printf 'long%.0s' $(seq 40)); echo long >s/$long; touch -d @1234567890 s/numbers s/dir; chmod 600 s/$long
tar -cSf a.tar s; tar -tf a.tar | sort | cut -c1-60; tar -czf a.tgz s; tar -cJf a.txz s; gzip -t a.tgz && xz -t a.txz && echo whole
for archive in a.tar a.tgz a.txz; do
    rm -rf x; mkdir x; tar -C x -xpf $archive; diff -r --no-dereference s/dir x/s/dir && cmp s/numbers x/s/numbers && cmp s/hole x/s/hole && echo $archive same
    (cd x && find s \( -type f -o -type d -o -type l \) -printf '%p %m %U:%G %y %l\n' | cut -c1-80 | sort; stat -c '%n %h %Y' s/numbers s/hard; stat -c '%F %t,%T' s/null s/fifo)
done
gzip -9 -c s/numbers | zcat | cmp - s/numbers && echo gzip; xz -T2 -c s/numbers | xz -dc | cmp - s/numbers && echo xz; xz --check=sha256 -k s/numbers; xz -l s/numbers.xz | tail -1 | awk '{print $1, $2, $7}'
echo more >s/new; tar -rf a.tar s/new; tar -tf a.tar | tail -1; tar --delete -f a.tar s/new; tar -df a.tar && echo equal; cp a.tar b.tar; tar -Af a.tar b.tar; tar -tf a.tar | wc -l
tar -cf - s | (mkdir y && tar -C y -xf -); ls y/s | cut -c1-20; head -c 100 a.tgz | gzip -dc 2>&1 | tail -1 | cut -c1-40; split -b 20k a.tar piece.; cat piece.* | tar -tf - | wc -l

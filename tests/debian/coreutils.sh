# SPDX-License-Identifier: MIT
# Programs of coreutils, each for what is its own.
seq 1 1000 >n; wc n; sort -rn n | head -3; tail -n 2 n; shuf -n 5 --random-source=n n | wc -l
cksum n; sha256sum n; md5sum n; sum n; b2sum n | cut -c1-20; base64 -w 40 n | head -2; od -A x -t x1z n | head -2
cut -c1-2 n | uniq -c | head -2; tr 0-9 a-j <n | paste -sd, | cut -c1-30; nl -ba n | sed -n 3p; tac n | head -1
comm -12 <(seq 1 5) <(seq 3 8); join <(printf '1 a\n2 b\n') <(printf '1 x\n2 y\n'); printf '%s\n' b a c | sort -c 2>&1
split -l 300 n part.; ls part.*; cat part.* | cmp - n && echo same; csplit -s n 500; wc -l xx00 xx01
mkdir -p a/b/c; cp n a/b/; cp -a a copy; ls -R copy; mv copy moved; rm -r moved/b; ls moved; rmdir moved; ls
ln n hard; ln -s n soft; readlink soft; stat -c '%h %F %a %s' n hard soft; realpath --relative-to=. a/b/../b/n
chmod 751 n; stat -c %A n; chmod u-x,g+w n; stat -c %a n; chown 12:34 n; stat -c '%u %g' n; touch -d @1000000 n; stat -c %Y n
install -m 640 n a/inst; stat -c %a a/inst; mkfifo p; (cat p >q) & echo through >p; wait; cat q; mknod z c 1 5; stat -c '%F %t,%T' z
truncate -s 1M sparse; stat -c '%s %b' sparse; dd if=/dev/zero of=dd bs=1k count=64 seek=10 2>/dev/null; stat -c %s dd; head -c 5000 /dev/urandom | wc -c
expr 6 \* 7; factor 1234567890; numfmt --to=iec 123456789; date -u -d @86400 +%F; basename /a/b.c .c; dirname /a/b.c; pathchk x && echo ok
env -i A=1 env; echo $(($(nice -n 5 nice) - $(nice))); printf 'x\ty\n' | expand; fold -w 10 <<<"a long line to fold"; fmt -w 20 <<<"words to be filled into lines"
id -u; whoami; groups; tty; [ -t 0 ] || echo "no terminal"; test n -nt q || echo older; timeout 0.1 sleep 5; echo "status $?"
echo a | tee t1 t2 | cat; cat t1 t2; yes | head -2; tsort <<<"a b b c"; ptx -A <<<"x y" | head -1; stdbuf -oL echo buffered; sync n; mktemp -u /tmp/XXXX | wc -c
ls -l --time-style=+%s n soft | awk '{print $1, $2, $3, $4, $5}'; du -a --apparent-size a/b | sort; nproc --ignore=1000; df --output=target . | tail -1 | wc -l

#!/bin/sh
# SPDX-License-Identifier: MIT
# A long session of busybox, the same on every kernel: at least eighty applets,
# with pipes, here-documents, background jobs and traps. tests/boot/programs.py
# runs it with one busybox on the host's Linux and in Vellum, and compares all
# that is printed. The working directory is empty and writable.
#
# Nothing here may depend on the machine: no times, process numbers or sizes of
# folders. What an applet executes is named by its path: under qemu-user an
# applet cannot execute itself again.
set -u
exec 2>&1
umask 022
export LC_ALL=C TZ=UTC
section() { echo "== $*"; }

section files and folders
mkdir -p tree/a/b tree/c
touch tree/a/one tree/a/b/two tree/c/three
echo content > tree/a/one
cp tree/a/one tree/c/copy
mv tree/c/three tree/c/moved
ln tree/a/one tree/hard
ln -s a/one tree/soft
link tree/a/one tree/linked
readlink tree/soft
cat tree/soft
stat -c '%n %h %a %F' tree/hard tree/a tree/soft
ls tree
ls -1 tree/c
ls -d tree/*/
find tree | sort
find tree -type f -name 't*' | sort
find tree -type l -exec basename {} \;
find tree -newer tree/nothing 2>/dev/null; echo "find: $?"
du -a tree >/dev/null && echo du works
realpath tree/../tree/a | sed 's|.*/tree|tree|'
dirname /x/y/z
basename /x/y/z.c .c
unlink tree/linked
rm tree/hard
rmdir tree/c 2>/dev/null || echo not empty
rm -r tree/c
test -e tree/c || echo gone
[ -L tree/soft ] && [[ -d tree/a ]] && echo tests
mktemp -d ./temporary.XXXXXX | grep -c temporary
rm -rf ./temporary.*
mkfifo pipe
ls -l pipe | cut -c1-10

section modes and times
touch -d '2020-01-02 03:04:05' dated
stat -c '%y' dated | cut -c1-19
date -r dated '+%Y-%m-%d %H:%M:%S'
date -d @86400 -u '+%a %d %b %Y %T'
chmod 640 dated
stat -c %a dated
chmod u+x,g-r,o=w dated
stat -c %A dated
ls -l --full-time dated | awk '{ print $1, $6, $7 }'
chmod 4755 dated; stat -c '%a %A' dated
truncate -s 10 dated; wc -c < dated
truncate -s 4 dated; wc -c dated
fallocate -l 100 big; stat -c %s big

section text
seq 1 20 > numbers
head -n 3 numbers; tail -n 2 numbers; sed -n 5p numbers
awk '{ s += $1 } END { print s, NR }' numbers
awk 'BEGIN { while (i++ < 3) printf "%d:%s ", i, substr("hello", i, 2); print "" }'
awk -F: -v OFS=/ '{ $2 = toupper($2); print $1, $2 | "sort -r" }' <<END
b:two:x
a:one:y
END
sort -rn numbers | head -n 2 | tr '\n' ' '; echo
printf 'b 2\na 10\nc 1\n' | sort -k2n
printf 'x\nx\ny\nx\n' | uniq -c | sed 's/^ *//'
printf 'one two\nthree\n' | wc -l -w -c | tr -s ' '
printf 'a:b:c\nd:e:f\n' | cut -d: -f1,3
echo hello | tr a-y b-z | rev
printf '1\n2\n' > left; printf 'a\nb\n' > right; paste left right
paste -s -d, numbers
printf 'a\tb\n' | expand | cat -A
echo '        tabs' | unexpand -a | cat -A
echo 'a long line that must be folded' | fold -w 10 -s
nl -b a numbers | sed -n '3p' | tr -s ' \t' ' '
tac numbers | head -n 1
grep -n 1 numbers | tail -n 3
grep -c 1 numbers; grep -v 1 numbers | wc -l; egrep '^(2|3)$' numbers; fgrep -x 20 numbers
echo 'The Cat' | grep -io 'cat'
sed -e 's/^\(.\)\(.\)$/\2\1/' -e '/^[0-8]/d' numbers
printf 'one\ntwo\n' | sed -e '1{h;d' -e '}' -e 'G'
diff -u left right | sed '1,2d'
cmp left right; echo "cmp: $?"
cp left patched; diff -u left right | patch patched >/dev/null; cat patched
strings -n 4 <<END
text that is plain
END
printf 'dos\r\n' > dos; dos2unix dos; od -c dos | head -n 1; unix2dos dos; xxd dos
cat numbers | tee copied | shuf | sort -n | cmp - numbers && cmp copied numbers && echo same
split_lines=$(printf 'a b\nc\n' | while read -r x y; do echo "<$x,$y>"; done); echo "$split_lines"
seq 1 6 | xargs -n 2 echo pair
printf '%s\0' a 'b c' | xargs -0 -n1 echo nul
printf '%5d|%-5s|%05.1f|%x|%o|%c|%b\n' 42 ab 3.14159 255 8 z 'a\tb'
ascii | head -n 1 | tr -s ' '

section numbers
expr 6 '*' 7; expr length hello; expr hello : 'h\(.*\)o'
factor 1001 65537
echo '2 10 ^ p' | dc
echo 'scale=5; 22/7; 2^64' | bc
echo $((0x1f + 010)) $((7 / 2)) $((-7 % 3)) $((1 << 40)) $((3 > 2 ? 10 : 20))
cal 2 2024 | head -n 4
usleep 1; sleep 0; echo slept

section sums and codes
md5sum numbers; sha1sum numbers; sha256sum numbers | cut -c1-16; sha512sum numbers | cut -c1-16
sha3sum numbers | cut -c1-16; crc32 numbers; sum_of=$(cat numbers | md5sum); echo "${sum_of%% *}"
base64 numbers | tee encoded; base64 -d encoded | cmp - numbers && echo decoded
uuencode name < left; uuencode name < left | uudecode -o - | cat
hexdump -C left; od -An -tx1 right; xxd -p numbers | xxd -r -p | cmp - numbers && echo xxd

section archives
mkdir pack; cp numbers left right pack/; ln -s left pack/link
tar cf pack.tar pack; tar tf pack.tar | sort
gzip -k pack.tar 2>/dev/null || gzip -c pack.tar > pack.tar.gz
gunzip -c pack.tar.gz | cmp - pack.tar && echo gzip
zcat pack.tar.gz | tar xO pack/left
bzip2 -c pack.tar | bunzip2 -c | cmp - pack.tar && echo bzip2
bzip2 -c numbers > n.bz2; bzcat n.bz2 | tail -n 1
rm -r pack; tar xf pack.tar; cat pack/link; readlink pack/link
find pack | sort | cpio -o -H newc 2>/dev/null > pack.cpio
mkdir un; (cd un && cpio -id < ../pack.cpio 2>/dev/null; find . | sort)
xz -c numbers 2>/dev/null | xzcat 2>/dev/null | wc -l; lzop -c numbers | lzop -dc | tail -n 1

section here-documents
name=world
cat <<END
hello $name, $((1 + 1)), $(echo from a command)
END
cat <<'END'
hello $name
END
cat <<-END
	tabs are gone
	END
read -r first rest <<END
alpha beta gamma
END
echo "$first|$rest"

section pipes and redirection
echo one > out; echo two >> out; cat < out
{ echo to out; echo to err >&2; } 2>&1 | sort
{ echo a; echo b >&3; } 3>third; cat third
ls nonexistent 2>/dev/null || echo "status $?"
exec 5<numbers; read -r x <&5; read -r y <&5; exec 5<&-; echo "$x $y"
yes | head -n 2
cat numbers | (read -r x; cat >/dev/null; echo "first $x")
(exit 3) | true; echo "pipe: $?"
true | (exit 4); echo "pipe: $?"
dd if=/dev/zero bs=1k count=4 2>/dev/null | wc -c
dd if=numbers of=part bs=1 skip=2 count=5 2>/dev/null; cat part; echo
( echo through the fifo > pipe ) & cat pipe; wait
head -c 100000 /dev/zero | tr '\0' x | fold -w 100 | wc -l

section jobs and traps
(sleep 0; exit 5) & wait $!; echo "job: $?"
for i in 1 2 3; do (exit $i) & done; wait; echo all done
sh -c 'kill -TERM $$'; echo "killed: $?"
sh -c 'trap "echo trapped" USR1; kill -USR1 $$; echo after'
sh -c 'trap "echo exit trap" EXIT; exit 6'; echo "status $?"
sh -c 'trap "" TERM; kill -TERM $$; echo ignored it'
sleep 1000 & victim=$!
kill -0 $victim && echo alive; kill $victim; wait $victim; echo "victim: $?"
sh -c 'sleep 1000 & kill -STOP $!; kill -CONT $!; kill -KILL $!; wait $!; echo "stopped and killed: $?"' 2>/dev/null
timeout 0.1 /bin/sleep 1000; echo "timeout: $?"
timeout 60 /bin/true; echo "in time: $?"
(trap 'exit 0' PIPE; while echo y; do :; done) 2>/dev/null | head -n 1
parent=$(sh -c 'echo $PPID'); [ "$parent" = $$ ] && echo "the shell asked itself"
mkfifo sync; (read -r x < sync; echo "child got $x") & echo message > sync; wait
setsid /bin/sh -c 'echo in a session of its own' | cat
[ "$(nproc)" -ge 1 ] && echo processors
start-stop-daemon -S -x /bin/true --test >/dev/null 2>&1; echo "daemon tool: $?"

section the shell
f() { local v=inner; echo "$v $# $*"; return 9; }
v=outer; f a 'b c'; echo "$? $v"
set -- x y z; shift; echo "$1 $#"
case hello.c in *.h) echo header ;; *.c) echo source ;; esac
for w in a b; do for n in 1 2; do [ $n = 2 ] && continue 2; echo $w$n; done; done
i=0; while [ $i -lt 3 ]; do i=$((i + 1)); [ $i = 2 ] && continue; printf '%s ' $i; done; echo
path=/usr/lib/file.tar.gz; echo "${path##*/} ${path%.*} ${path%%.*} ${path#/} ${#path}"
unset nothing; echo "${nothing:-default} ${nothing-x} ${path:+set}"
echo "${path/lib/LIB} ${path:5:3}"
IFS=:; set -- a:b:c; for x in $1; do printf '[%s]' "$x"; done; echo; unset IFS
eval 'echo evaluated $((2 + 3))'
(cd / && pwd); echo *.a [ln]* | tr ' ' '\n' | head -n 3
getopts ab: opt -b value; echo "$opt $OPTARG"
getopt -o ab: -- -a -b val rest
env -i ONE=1 /bin/sh -c 'echo $ONE ${HOME-no home}'
printenv_like=$(env | grep -c '^LC_ALL=C$'); echo $printenv_like
which sed >/dev/null; type cd
ulimit -n 64; ulimit -n
sh -c 'exit 300'; echo $?
sh -c 'echo $0 $1' name arg
alias greet='echo hi'; eval greet
( set -e; false; echo not reached ); echo "set -e: $?"
! false; echo $?
echo ${0##*/} | wc -l

section the system
uname -s; hostname >/dev/null && echo named
id -u | grep -cE '^[0-9]+$'; whoami >/dev/null 2>&1 || :; groups >/dev/null 2>&1 || :
pidof no-such-program || echo nobody
sync && echo synced
ps >/dev/null && echo ps
free | awk 'NR == 1 { print $1 }'
uptime | grep -c 'load average'
df /proc >/dev/null && echo df
mount | grep -c proc | awk '{ print ($1 > 0) }'
time -f '%x' /bin/true
tty < /dev/null
logname >/dev/null 2>&1; nologin 2>/dev/null | head -n 1 | wc -l
run-parts --test un | wc -l
ipcalc -b 10.1.2.3/24
cttyhack /bin/true 2>/dev/null; echo $?
section end

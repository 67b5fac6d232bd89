#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A working day of busybox: more than a hundred applets, and most of what a
# shell script does, with output that is the same on every Linux. Run by the
# same busybox ash on the host and in Vellum; the two outputs must be equal
# (workday-host.sh prints the host's). Needs /proc, /dev and a tmpfs on /tmp.
#
#   busybox ash workday.sh [BUSYBOX]

box=${1:-/bin/busybox}
LC_ALL=C TZ=UTC0 COLUMNS=80 HOME=/ PS4='+ '
export LC_ALL TZ COLUMNS HOME
umask 022
work=$(mktemp -d /tmp/workday.XXXXXX) || exit 1
trap 'cd /; rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/d" && cd "$work/d" || exit 1
$box --install -s "$work/bin" || exit 1
PATH=$work/bin
export PATH
sections=0

section() {
    sections=$((sections + 1))
    echo "== $sections: $*"
}

# Prints whether a command whose output differs from machine to machine works.
works() {
    if "$@" > out 2> err; then
        echo "$1 works"
    else
        echo "$1 fails with $?: $(head -n 1 err)"
    fi
    rm -f out err
}

section arithmetic
i=0 sum=0
while [ $i -lt 100 ]; do
    i=$((i + 1))
    [ $((i % 3)) = 0 ] && continue
    [ $i -gt 90 ] && break
    sum=$((sum + i * i))
done
echo "i=$i sum=$sum"
echo $((7 / 2)) $((-7 / 2)) $((7 % 3)) $((1 << 20)) $((0xff & ~0xf)) $((010)) $((5 > 3 && 2 > 4))
expr 6 \* 7 + 1
expr length abcdef : 'x*'
echo '2^64; scale=10; 355/113; sqrt(2)' | bc
echo '16 o 48879 p' | dc
factor 720720 1000003 9223372036854775807
seq 1 3 20 | paste -s -d+ - | sed 's/$/ =/' | tr '\n' ' '
seq 1 3 20 | awk '{ s += $1 } END { print s }'
fib() {
    if [ "$1" -lt 2 ]; then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi
}
echo "fib 9 = $(fib 9)"

section quoting and expansion
word='a b  c' empty= glob='*'
set -- one "two three" '' four
echo "$# <$1> <$2> <$3> <$4> <$*>"
for argument in "$@"; do printf '[%s]' "$argument"; done
echo
echo ${word} "${word}" '${word}' \$word ${#word} ${empty:-default} ${unset:=assigned} $unset ${word:+set}
path=/usr/local/lib/libc.so.6
echo ${path##*/} ${path%/*} ${path#/*/} ${path%%.*} ${path/local/share}
touch b.txt a.txt c.dat .hidden
echo *.txt [!a]* ?.dat "$glob" nothing*
echo "$(echo "nested $(echo "twice $(echo deep)")")" `echo backquote`
IFS=:; for part in $(echo x:y::z); do printf '(%s)' "$part"; done; echo
unset IFS
eval 'variable_'7'=indirect'; echo "$variable_7"
case $path in *.so) echo no ;; *.so.[0-9]) echo "case: version ${path##*.}" ;; *) echo no ;; esac
test -n "$word" -a ! -d "$path" && echo "test says so"
[ 10 -gt 9 ] && [ 10 \< 9 ] && [ -f a.txt ] && [ ! -s a.txt ] && [ a.txt -ef ./a.txt ] && echo "brackets too"
printf '%5d|%-5s|%05.1f|%x|%o|%c|%b|%%\n' 42 ab 3.14159 255 8 xyz 'tab\there'
getopt ab:c -a -b value -c rest
while getopts xy: option -x -y 5 z; do echo "option $option $OPTARG"; done
OPTIND=1

section here-documents
cat << END
expanded: $((6 * 7)) $word
	a tab stays
END
cat <<- 'END'
	not expanded: $((6 * 7)) $word
	tabs go
	END
cat << A; cat << B
first
A
second
B
while read -r first rest; do echo "$rest/$first"; done << END
alpha beta gamma
one two\three
END

section pipes
seq 1 1000 | sort -r | head -n 500 | tail -n 3
yes | head -n 1000 | wc -l
echo "the quick brown fox" | tr a-z A-Z | rev | cut -d' ' -f1,3 | fold -w 5
printf 'pear 3\napple 10\nfig 2\napple 9\n' > fruit
sort -k1,1 -k2,2n fruit | uniq -c -w 3 2> /dev/null || sort -k1,1 -k2,2n fruit | uniq -c
sort -u -k1,1 fruit | nl
sort -k2 -n fruit | tac | head -n 2
cut -c1-3 fruit | sort | uniq -d
awk '{ count[$1] += $2 } END { for (f in count) print f, count[f] }' fruit | sort
sed -n -e '/apple/{s/ /: /;p}' -e '$=' fruit
sed 's/\([a-z]*\) \([0-9]*\)/\2 \1/; 2i\
inserted' fruit
grep -n -v apple fruit
egrep -c '^(fig|pear)' fruit; fgrep -l fig fruit a.txt
grep -r -h -o 'p[aeiou]*r' . | sort
false | true; echo "status of a pipe: $?"
(exit 3); echo "status of a subshell: $?"
! true; echo "negated: $?"
{ echo to stdout; echo to stderr >&2; } 2>&1 | sort
echo overwritten > file; echo appended >> file; cat < file; wc -c < file
exec 5> fd5; echo via descriptor 5 >&5; exec 5>&-; cat fd5
seq 5 | tee copy1 copy2 | wc -l; paste copy1 copy2 | head -n 2; cmp copy1 copy2 && echo "tee made two copies"
mkfifo fifo; (seq 3 > fifo &); cat fifo; [ -p fifo ] && rm fifo
dd if=/dev/zero bs=1k count=4 2> /dev/null | od -A d -t x1 | head -n 3

section background and signals
slow() { cat "$1" > /dev/null; echo "end of $2" > "$2.done"; }
mkfifo go1 go2
slow go1 first & first=$!
slow go2 second & second=$!
exec 8> go2 9> go1 # both are open before a job ends, whose SIGCHLD would interrupt the opening
exec 8>&- 9>&-
wait $first $second; echo "both waited for: $?"
cat first.done second.done
(exit 7) & wait $!; echo "status of a job: $?"
sleep 1000 & victim=$!
kill -0 $victim && echo "it runs"
kill $victim; wait $victim 2> /dev/null; echo "killed: $?"
sleep 1000 & kill -KILL $!; wait $! 2> /dev/null; echo "killed hard: $?"
trap 'echo "caught USR1"' USR1
kill -USR1 $$; echo after
trap - USR1
(trap 'echo "subshell exits"' EXIT; echo "in the subshell")
(trap 'echo terminated; exit 9' TERM; sh -c 'kill -TERM $PPID'; while :; do sleep 0.01; done); echo "status $?"
timeout 0.1 sleep 1000; echo "timeout: $?"
nohup_is_missing=$(which nohup); echo "nohup: <$nohup_is_missing>"
(set -e; false; echo never) ; echo "set -e: $?"
(set -u; echo "$undefined_variable") 2> /dev/null; echo "set -u: $?"
set -x; : traced 2> /dev/null; set +x
usleep 1000; sleep 0; time true 2> /dev/null; echo "slept"
renice -n 3 -p $$ > /dev/null 2>&1; echo "nice: $(awk '{ print $19 }' /proc/$$/stat)"
setsid sh -c 'set -- $(cat /proc/$$/stat); [ "$6" = $$ ] && echo "a session of its own"'

section files
mkdir -p tree/a/b tree/c && touch tree/a/1 tree/a/b/2 tree/c/3
find tree -type f | sort
find tree -name '[12]' -exec basename {} \; | sort
find tree -depth -type d | xargs -n 1 echo dir | sort
ln -s ../a/1 tree/c/link; readlink tree/c/link; realpath tree/c/link | sed "s|$work||"
ln tree/a/1 tree/hard; stat -c '%h %F %a' tree/hard
stat -c '%N %s' tree/c/link
chmod 640 tree/c/3; chmod u+x,g-r,o=w tree/c/3; stat -c '%a %A' tree/c/3
chmod 4755 tree/a/1; ls -ln tree/a | awk '{ print $1, $2, $9 }'; chmod 644 tree/a/1
chown 12:34 tree/c/3 2> /dev/null; chgrp 56 tree/c/3 2> /dev/null; stat -c '%u %g' tree/c/3
cp -a tree copy; cp tree/a/1 tree/new; mv tree/new tree/newer; ls -R copy | head -n 20; diff -r tree copy
echo hello > big; truncate -s 10000 big; stat -c %s big; du -k -a tree/c | wc -l
touch -d '2001-02-03 04:05:06' old; stat -c %y old; ls -l --full-time old | awk '{ print $6, $7 }'
date -u -d @1000000000 '+%F %T %j %a %U'; date -u -r old +%s
touch -r old new; [ old -nt new ] || [ new -nt old ] || echo "same time"
split_size=$(head -c 2500 /dev/zero | tr '\0' x | tee xs | wc -c); echo "$split_size"
head -c 5 xs; echo; tail -c +2496 xs; echo
mv -n old new; rm -i new < /dev/null 2> /dev/null; ls old new
unlink old; install -m 711 big installed; stat -c '%a %s' installed
rmdir tree/c 2> /dev/null || echo "rmdir refuses"; rm -r copy; ls -d copy 2> /dev/null || echo "gone"
dirname /a/b/c; basename /a/b/c.d .d; pwd | sed "s|$work||"; cd tree/a && pwd -P | sed "s|$work||"; cd ../..
mktemp -u xxXXXXXX | wc -c; fallocate -l 5000 allocated && stat -c %s allocated
test -e /dev/null -a -c /dev/null && echo "null is a device"; sync; fsync big 2> /dev/null
mknod pipe p && stat -c %F pipe; cat -A << END | head -n 2
tab	here
END

section comparing and patching
printf 'one\ntwo\nthree\nfour\n' > left; printf 'one\n2\nthree\nfour\nfive\n' > right
diff -u left right | tail -n +3 > changes; cat changes
{ echo '--- left'; echo '+++ left'; cat changes; } | patch left && cmp left right && echo patched
cmp left fruit | sed 's/,.*//'; comm_missing=$(which comm); echo "comm: <$comm_missing>"
ed -s left 2> /dev/null << 'END' || ed left << 'END2' > /dev/null
2s/2/two/
w
q
END
2s/2/two/
w
q
END2
cat left

section encodings and checksums
echo "some text" > text
md5sum text; sha1sum text; sha256sum text; sha512sum text | cut -c1-32; sha3sum text | cut -c1-32
cksum_or_crc=$(crc32 text); echo "$cksum_or_crc"
base64 text; base64 text | base64 -d; uuencode text name | tail -n +2; uuencode text out | uudecode -o -
od -c text | head -n 1; hexdump -C text; xxd text; xxd -p text; strings -n 4 text; dos2unix < text | unix2dos | od -t x1 | head -n 1
expand -t 4 << END | unexpand -a -t 4 | od -c | head -n 2
a	b
END
printf '\101\n' | ascii > /dev/null; shuf -e x | cat; ts_out=$(echo line | ts '%F' | cut -d- -f1 | wc -c); echo "$ts_out"

section archives
tar -cf - -C tree a | tar -tf - | sort
tar -czf t.tgz tree && tar -xzf t.tgz -O tree/hard | wc -c
(cd tree && find . | sort | cpio -o -H newc 2> /dev/null) | cpio -t 2> /dev/null
seq 1000 > numbers
for packer in gzip bzip2; do
    $packer -c numbers > packed && $packer -d -c packed | cmp - numbers && echo "$packer there and back"
done
gzip -c numbers | zcat | md5sum; bzip2 -c numbers | bzcat | md5sum; gzip -c numbers | gunzip | tail -n 1
bzip2 -c numbers | bunzip2 | tail -n 1; lzop -c numbers 2> /dev/null | lzop -dc 2> /dev/null | tail -n 1
ar -r lib.a text fruit 2> /dev/null; ar -t lib.a 2> /dev/null | sort

section the system
uname -s; whoami; id -u; id -g; [ "$(hostname)" = "$(uname -n)" ] && echo "one name"
[ "$(nproc)" -ge 1 ] && echo "processors"; tty < /dev/null; env -i A=1 sh -c 'echo $A'; which sed | sed "s|$work||"
works ps; works free; works uptime; works df /; works mount; works du -s /proc/self/fd; works top -b -n 1
works dmesg; works sysctl kernel.pid_max; works taskset -p $$; works cat /proc/loadavg
killall -0 no-such-program 2> /dev/null; echo "killall: $?"; kill -l 15
[ -r /proc/self/status ] && grep -c '^Pid:' /proc/self/status
ls -l /proc/self/fd/1 > /dev/null && echo "descriptors are listed"; readlink /proc/self/cwd | sed "s|$work||"
echo "$PPID" | grep -c '^[0-9]*$'; [ -d /proc/$$ ] && echo "our own process"; ulimit -n 64; ulimit -n
printf 'a\nb\n' | xargs -I X echo "<X>"; seq 4 | xargs -n 2; printf 'x y' | xargs -n 1 printf '%s;'; echo
chroot / "$work/bin/pwd" 2> /dev/null || echo "no chroot"; cal 2 2000 | head -n 3; ipcalc -n 10.1.2.3/16
start-stop-daemon -S -x "$work/bin/true" && echo "daemon started"; run-parts --test tree 2> /dev/null; echo "status $?"
mount -t tmpfs none tree/c 2> /dev/null && touch tree/c/inside && umount tree/c && ls tree/c
less numbers | head -n 2; more numbers < /dev/null | head -n 1; cat numbers | vi -h > /dev/null 2>&1; clear > /dev/null; reset_is=$(which reset | wc -l); echo $reset_is

section scripts
cat > script << END
#!$work/bin/sh
echo "\$0 has \$# arguments: \$*" | sed 's|.*/||'
exit \$#
END
chmod +x script; ./script a b; echo "status $?"
cat > script.awk << END
#!$work/bin/awk -f
{ print NF ": " toupper(\$0) }
END
chmod +x script.awk; echo "by awk" | ./script.awk
echo 'echo sourced $1; return 4' > sourced; . ./sourced; echo "status $?"
sh -c 'echo "$0 $1"' zero one; echo 'echo from stdin' | sh; sh -c 'exit 200'; echo $?
loop=0; until [ $loop -ge 200 ]; do loop=$((loop + 1)); /bin/false 2> /dev/null || true; done; echo "$loop processes"
many=$(seq 1 5000 | while read -r n; do :; done; seq 1 5000 | xargs echo | wc -w); echo "$many words on one line"
local_variable() { local x=inner; echo $x; }; x=outer; local_variable; echo $x
alias hi='echo aliased'; eval hi; unalias hi; type cd | head -n 1; command -v test
readonly constant=1; (constant=2) 2> /dev/null || echo "constants stay"; export exported=yes; sh -c 'echo $exported'
exec 3< fruit; read -r line <&3; echo "$line"; read -r line <&3; echo "$line"; exec 3<&-
echo "$sections sections"

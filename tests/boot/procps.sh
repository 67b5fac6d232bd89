# SPDX-License-Identifier: MIT
# Debian's programs that read /proc and /sys; tests/boot/procps.py checks what they say.
# A line "=== NAME" goes before the output of each, "--- STATUS" after it.
PATH=/usr/bin:/bin:/sbin TERM=vt100 LC_ALL=C
export PATH TERM LC_ALL
at() {
    echo "=== $1"
    shift
    program=$1
    shift
    "/usr/bin/$program" "$@" 2>&1
    echo "--- $?"
}
cp /usr/bin/sleep /tmp/napper
/tmp/napper 1000 &
child=$!
exec 9> /tmp/lock
/usr/bin/flock 9
while [ -e /proc/$child ] && ! grep -q sleep_ /proc/$child/wchan; do :; done
echo "=== facts"
echo "child $child"
echo "shell $$"
echo "size $(cut -d' ' -f23 /proc/$child/stat)"
echo "--- 0"
at ps-aux ps aux
at ps-ef ps -ef
at ps-eLf ps -eLf
at ps-axjf ps axjf
at ps-fields ps -p $child -o pid=,ppid=,stat=,wchan:20=,nlwp=,ni=,rss=,vsz=,etimes=,comm=
at top top -b -n 1
at free free -k
at meminfo cat /proc/meminfo
at vmstat vmstat 1 2
at vmstat-s vmstat -s
at pmap pmap -x $child
at uptime uptime
at pgrep pgrep -x napper
at w w
at slabtop slabtop -o
at sysctl sysctl -a
at sysctl-write sysctl -w kernel.hostname=renamed
at hostname cat /proc/sys/kernel/hostname
at nproc nproc
at lscpu lscpu
at lsmem lsmem -b
at findmnt findmnt -n -o TARGET,FSTYPE
at lsblk lsblk
at dmesg dmesg
at prlimit prlimit -n -o SOFT,HARD --noheadings --pid $child
at lsns lsns -n -o TYPE,NPROCS
at lslocks lslocks -n -o PID,TYPE,MODE,PATH
at fuser fuser /tmp/napper
at pstree pstree -p $$
at lsof lsof -p $child
at pwdx pwdx $child
echo "=== watch" # its output has no lines
/usr/bin/watch -g -n 0.1 cat /proc/uptime > /dev/null 2>&1
echo "--- $?"
at killall killall napper
kill -9 $child 2> /dev/null
wait $child
at gone pgrep -x napper
at pkill pkill -0 -x no-such-name

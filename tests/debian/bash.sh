# SPDX-License-Identifier: MIT
# Arrays, arithmetic, expansion, redirection, traps, jobs, coprocesses: what bash asks of a kernel.
declare -A age=([ann]=31 [bob]=27)
for name in "${!age[@]}"; do echo "$name ${age[$name]}"; done | sort
list=(one two three); echo "${#list[@]} ${list[@]:1} ${list[-1]^^}"
text="The quick brown fox"; echo "${text// /_} ${text%% *} ${text#* } ${#text}"
echo $((2 ** 40 + 16#ff * 7 % 5)) $((1 << 62))
[[ $text =~ ([a-z]+)\ (fox) ]] && echo "${BASH_REMATCH[1]}-${BASH_REMATCH[2]}"
printf '%05d|%-8s|%x|%q\n' 42 left 255 "it's"
while read -r a b; do echo "$b $a"; done < <(printf '1 x\n2 y\n')
cat <<END | tr a-z A-Z
here is $((6 * 7))
END
exec 7>out; echo seven >&7; exec 7>&-; exec 8<out; read -r line <&8; exec 8<&-; echo "$line"
echo error 2>&1 >/dev/null >&2 | cat; { echo a; echo b >&2; } 2>&1 | sort
trap 'echo got USR1' USR1; kill -USR1 $$; trap - USR1
# Before there is a trap of EXIT: with it a child of bash has handlers until it becomes sleep, and would lose this.
sleep 100 & job=$!; kill $job; wait $job; echo "killed $?"
trap 'echo leaving $?' EXIT; (exit 5); echo "status $?"; trap - EXIT
(exit 3) & wait $!; echo "waited $?"
for i in 1 2 3; do (echo "$i" >>all) & done; wait; sort all
set -o pipefail; false | true; echo "pipefail $?"; true | true; echo "${PIPESTATUS[*]}"
coproc { read -r x; echo "co $x"; }; echo hi >&"${COPROC[1]}"; read -r y <&"${COPROC[0]}"; echo "$y"; wait
{ bash -c 'kill -SEGV $$'; } 2>/dev/null; echo "signal $?"
timeout 0.2 bash -c 'while :; do :; done'; echo "timeout $?"
ulimit -n 20; (exec 30>/dev/null) 2>/dev/null || echo "no descriptor 30"
echo {a,b}{1..3} ~root; shopt -s globstar; mkdir -p d/e/f; touch d/e/f/x; echo d/**/x
umask 027; touch private; stat -c '%a' private
mapfile -t lines < <(seq 5); echo "${lines[*]}"; echo "$(<out)"
{ echo one; exec /bin/echo two; echo never; }

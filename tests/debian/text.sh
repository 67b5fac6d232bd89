# SPDX-License-Identifier: MIT
# grep, sed and gawk.
seq 1 2000 | sed 's/$/ line of text/; 7~100s/text/NEEDLE/' >f
grep -c NEEDLE f; grep -n 'NEEDLE$' f | head -2; grep -vc NEEDLE f; grep -o '[0-9]*7 ' f | wc -l; grep -E '^(1|2)0+ ' f; grep -P '\b(\d)\1\1\b' f | head -3
grep -A1 -B1 '^100 ' f; grep -rl NEEDLE . ; grep -q absent f; echo "status $?"; grep -F -x '5 line of text' f; echo 'ÄÖ' | grep -i 'äö'
sed -n '10,12p;$=' f; sed '1,1990d;s/\([0-9]*\) line/line \1/' f | head -2; sed -i.bak 's/line/LINE/g' f; cmp -s f f.bak || echo differs
printf 'a\nb\nc\n' | sed 'N;P;D'; sed -n '/^3 /,/^5 /{s/^/> /;p}' f; printf 'x=1\ny=2\n' | sed -E 's/(.)=(.)/\2=\1/;1w out' ; cat out; sed 'y/abc/xyz/' <<<abcabc; sed --debug -n 1p f | tail -1
gawk '{ s += $1; n[$NF]++ } END { print s, NR; for (k in n) print k, n[k] | "sort"; close("sort") }' f
gawk 'BEGIN { while (("seq 3" | getline x) > 0) print x * x; printf "%.3f %s\n", atan2(0, -1), substr("hello", 2, 3); print length("äöü"), toupper("ab") }'
gawk -F: '$3 == 0 { print $1, $NF }' /etc/passwd; gawk 'BEGIN { n = split("c a b", a); asort(a); for (i = 1; i <= n; i++) printf "%s ", a[i]; print strftime("%Y", 0, 1) }'
gawk 'BEGIN { c = "cat"; print "to the coprocess" |& c; close(c, "to"); c |& getline l; print l; print systime() > 1000000 }'
gawk 'match($0, /([0-9]+) .*(NEEDLE)/, m) { print m[1] m[2]; if (++k == 3) exit }' f; gawk --version | head -1 | cut -d, -f1

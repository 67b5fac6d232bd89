# SPDX-License-Identifier: MIT
# The small C compiler, which runs what it has compiled at once, too.
cat >a.c <<END
#include <stdio.h>
int twice(int);
int main(int argc, char **argv) { printf("%d %s\n", twice(21), argc > 1 ? argv[1] : "-"); return 3; }
END
echo 'int twice(int x) { return 2 * x; }' >b.c
tcc -o p a.c b.c && ./p word; echo "status $?"; tcc -c a.c && tcc -c b.c && tcc -o q a.o b.o && ./q; tcc b.c -run a.c run; echo "status $?"

# SPDX-License-Identifier: MIT
# A C program of several files, built by make with two jobs; threads; a shared library; an error.
for i in 1 2 3 4; do echo "#include \"all.h\"
int f$i(int x) { return x * $i + SHIFT; }" >f$i.c; done
cat >all.h <<END
#define SHIFT 3
int f1(int), f2(int), f3(int), f4(int);
END
cat >main.c <<END
#include "all.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
static void *run(void *p) { *(int *)p += f4(10); return p; }
int main(int argc, char **argv)
{
    pthread_t t[4]; int v[4] = {1, 2, 3, 4}, sum = 0;
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, run, &v[i]);
    for (int i = 0; i < 4; i++) { pthread_join(t[i], NULL); sum += v[i]; }
    printf("%d %d %.6f %d\n", f1(1) + f2(2) + f3(3), sum, sqrt(2.0), argc);
    return argc > 1 ? 7 : 0;
}
END
cat >Makefile <<END
program: main.o f1.o f2.o f3.o f4.o
	@gcc -o \$@ \$^ -lm
%.o: %.c all.h
	@gcc -O2 -Wall -c \$<
END
make -j2; ./program; ./program x; echo "status $?"; make -q && echo "up to date"; touch f1.c; make -n | wc -l
gcc -shared -fPIC -o libf.so f1.c f2.c f3.c f4.c; gcc -o dynamic main.c -L. -lf -lm -Wl,-rpath,'$ORIGIN'; ./dynamic; ldd ./dynamic | grep -c libf
gcc -static -O2 -o static main.c f[1-4].c -lm; ./static; echo 'int main(void) { return undefined_thing; }' >bad.c; gcc bad.c 2>&1 | grep -c error; ar rc lib.a f[1-4].o; nm lib.a | grep -c ' T '; gcc -g main.c lib.a -lm -o g; ./g; size g | wc -l; strip g; ./g
echo 'int main(void) { char *p = 0; *p = 1; }' >crash.c; gcc crash.c -o crash 2>/dev/null; { ./crash; } 2>/dev/null; echo "status $?"; gcc -S -o - f1.c | grep -c f1

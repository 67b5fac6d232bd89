/* SPDX-License-Identifier: MIT */
/* Bugs on demand, to see what comes of them: kernel/trace/provoke.c. */
#ifndef VELLUM_PROVOKE_H
#define VELLUM_PROVOKE_H

struct seq_file;

struct bug {
    const char *name;
    void (*make)(void);
};

/* Bugs of one more file, the last without a name; kept. => while starting up, once */
void provoke_add(const struct bug *list);
void debug_mistakes_init(void); /* in debug builds: adds those of kernel/debug/mistakes.c */

/* Do what the named bug does. Returns 0 if the kernel lived on (the wall it ran into has a hole),
 * -EINVAL if there is no such bug. => in a system call of a process, no lock held */
int provoke_crash(const char *name);
void provoke_show(struct seq_file *m); /* the names, a line each */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What uname(2) and /proc/version say. The release starts with the number of the Linux whose system
 * calls are meant, for C libraries look at it.
 */
#ifndef VELLUM_VERSION_H
#define VELLUM_VERSION_H

#define KERNEL_NAME    "Linux" /* what programs that ask uname(1) can run on */
#define KERNEL_RELEASE "6.1.0-vellum"
#define KERNEL_VERSION "#1 SMP PREEMPT Vellum"

/* sethostname(2), setdomainname(2): kernel/proc keeps them. 0 or -EINVAL (length > 64). */
int host_name_set(const char *name, unsigned length);
int domain_name_set(const char *name, unsigned length);
/* Copy of at most 65 bytes, terminated. */
void host_name_get(char name[65]);
void domain_name_get(char name[65]);

#endif

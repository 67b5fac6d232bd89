/* SPDX-License-Identifier: MIT */
/*
 * Signal-driven input and output: async.c.
 */
#ifndef VELLUM_FS_ASYNC_H
#define VELLUM_FS_ASYNC_H

#include "internal.h"

/* O_ASYNC of F_SETFL. Files whose ops have no async_events are left as they are. 0, -ENOMEM */
int async_switch(struct file *file, int fd, bool on);
long async_ioctl(struct file *file, int fd, bool on); /* FIOASYNC: -ENOTTY for those */
/* F_SETOWN, F_GETOWN, F_SETOWN_EX, F_GETOWN_EX, F_GETOWNER_UIDS, F_SETSIG, F_GETSIG */
long async_fcntl(struct file *file, unsigned command, unsigned long arg);
void async_forget(struct file *file); /* of a file with ->async that goes */
void async_init(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the system calls of sockets share.
 */
#ifndef VELLUM_IPC_SOCKET_CALLS_H
#define VELLUM_IPC_SOCKET_CALLS_H

#include "socket.h"
#include <vellum/process.h>

struct socket_ref {
    struct fd_ref fd;
    struct unix_socket *socket;
};
/* 0, then fd_put(r->fd) is due; -EBADF, -ENOTSOCK */
int socket_get(unsigned fd, struct socket_ref *r);
/* Zeros follow the name. 0, -EINVAL, -EFAULT */
int socket_name_from_user(struct sockaddr_un *name, const void __user *user, int length);
/* a NULL: a socket without a name. *length: in, the room; out, the name's length, which may be more. */
int socket_name_to_user(const struct unix_address *a, void __user *user, int __user *length);
unsigned socket_flags(const struct file *file, unsigned flags); /* with MSG_DONTWAIT if due */
ssize_t socket_send(struct unix_socket *s, struct unix_send *m);
ssize_t socket_receive(struct unix_socket *s, struct unix_receive *m);
void socket_receive_end(struct unix_receive *m); /* what nobody took goes */

#endif

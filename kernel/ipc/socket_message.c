/* SPDX-License-Identifier: MIT */
/*
 * sendmsg(2) and recvmsg(2): buffers in several pieces, and control messages (cmsg(3)).
 */
#include "socket_calls.h"
#include <vellum/alloc.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <asm/socket.h>
#include <linux/time_types.h>

#define CONTROL_MAX  20480 /* net.core.optmem_max */
#define MESSAGES_MAX 1024  /* of sendmmsg(2), recvmmsg(2) */

/* struct msghdr, struct mmsghdr and struct cmsghdr; the UAPI headers leave these to the C library. */
struct user_message {
    void __user *name;
    int name_length;
    struct iovec __user *iov;
    size_t iov_count;
    void __user *control;
    size_t control_length;
    unsigned flags;
};
struct user_messages {
    struct user_message message;
    unsigned length;
};
struct control_header {
    size_t length;
    int level, type;
};
#define CONTROL_ALIGN(n) ALIGN_UP((n), sizeof(size_t))

/* A message header with its buffers. */
struct message {
    struct user_message user;
    struct iovec fast[IOV_FAST], *iov;
    struct iov_iter iter;
};

static int message_get(struct message *m, const struct user_message __user *user)
{
    int error;

    m->iov = m->fast;
    if (copy_from_user(&m->user, user, sizeof(m->user)))
        return -EFAULT;
    if (m->user.iov_count > UIO_MAXIOV)
        return -EMSGSIZE;
    if (m->user.name_length < 0)
        return -EINVAL;
    error = iov_import(&m->iter, m->user.iov, m->user.iov_count, m->fast, &m->iov);
    return error;
}

static void message_put(struct message *m)
{
    if (m->iov != m->fast)
        kfree(m->iov);
}

/* ---- control messages to be sent ------------------------------------------------------------------------------ */

static int check_ucred(const struct ucred_user *u)
{
    const struct cred *c = current->cred;

    if ((pid_t)u->pid != current->process->pid && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (u->uid != c->uid && u->uid != c->euid && u->uid != c->suid && !capable(CAP_SETUID))
        return -EPERM;
    if (u->gid != c->gid && u->gid != c->egid && u->gid != c->sgid && !capable(CAP_SETGID))
        return -EPERM;
    return 0;
}

struct sent_files {
    int fds[SCM_MAX_FD];
    unsigned n;
};

static int take_files(struct sent_files *files, const char *data, size_t bytes)
{
    unsigned n = bytes / sizeof(int);

    if (n > SCM_MAX_FD - files->n)
        return -EINVAL;
    memcpy(files->fds + files->n, data, n * sizeof(int));
    files->n += n;
    return 0;
}

static int parse_control(const char *control, size_t length, struct unix_send *send,
                         struct sent_files *files)
{
    const struct control_header *h;
    struct process *p;
    int error = 0;

    for (size_t at = 0; length - at >= sizeof(*h) && at < length && !error;
         at += CONTROL_ALIGN(h->length)) {
        h = (const struct control_header *)(control + at);
        if (h->length < sizeof(*h) || h->length > length - at)
            return -EINVAL;
        if (h->level != SOL_SOCKET)
            continue;
        if (h->type == SCM_RIGHTS) {
            error = take_files(files, (const char *)(h + 1), h->length - sizeof(*h));
        } else if (h->type == SCM_CREDENTIALS) {
            if (h->length != sizeof(*h) + sizeof(send->cred))
                return -EINVAL;
            memcpy(&send->cred, h + 1, sizeof(send->cred));
            error = check_ucred(&send->cred);
            p = error ? NULL : process_find(send->cred.pid);
            if (!error && !p)
                error = -ESRCH;
            if (p)
                process_put(p);
        } else {
            error = -EINVAL;
        }
    }
    return error;
}

static int control_get(const struct user_message *user, struct unix_send *send)
{
    struct sent_files *files;
    char *control;
    int error = -ENOMEM;

    if (!user->control_length)
        return 0;
    if (user->control_length > CONTROL_MAX)
        return -ENOBUFS;
    control = kmalloc(ALIGN_UP(user->control_length, 8), ALLOC_KERNEL);
    files = kmalloc(sizeof(*files), ALLOC_KERNEL);
    if (!control || !files)
        goto out;
    files->n = 0;
    error = -EFAULT;
    if (copy_from_user(control, user->control, user->control_length))
        goto out;
    error = parse_control(control, user->control_length, send, files);
    if (!error && files->n) {
        send->rights = unix_rights_make(files->fds, files->n);
        if (is_err(send->rights)) {
            error = ptr_err(send->rights);
            send->rights = NULL;
        }
    }
out:
    kfree(files);
    kfree(control);
    return error;
}

/* ---- sendmsg ---------------------------------------------------------------------------------------------------- */

static ssize_t send_message(struct socket_ref *r, const struct user_message __user *user,
                            unsigned flags)
{
    const struct cred *c = current->cred;
    struct unix_send send = {.cred = {current->process->pid, c->uid, c->gid}};
    struct sockaddr_un name;
    struct message m;
    ssize_t result = message_get(&m, user);
    int length = min_t(int, m.user.name_length, sizeof(struct __kernel_sockaddr_storage));

    if (result)
        goto out;
    send.iter = &m.iter;
    send.flags = socket_flags(r->fd.file, flags);
    if (m.user.name && length) {
        result = socket_name_from_user(&name, m.user.name, length);
        send.to = &name;
        send.to_length = length;
    }
    if (!result)
        result = control_get(&m.user, &send);
    if (!result)
        result = socket_send(r->socket, &send);
    if (send.rights)
        unix_rights_free(send.rights);
out:
    message_put(&m);
    return result;
}

SYSCALL_DEFINE3(sendmsg, unsigned, fd, const struct user_message __user *, user, unsigned, flags)
{
    struct socket_ref r;
    ssize_t result = socket_get(fd, &r);

    if (result)
        return result;
    result = send_message(&r, user, flags);
    fd_put(r.fd);
    return result;
}

SYSCALL_DEFINE4(sendmmsg, unsigned, fd, struct user_messages __user *, user, unsigned, n, unsigned,
                flags)
{
    struct socket_ref r;
    ssize_t result = socket_get(fd, &r);
    unsigned done = 0;

    if (result)
        return result;
    for (n = min(n, (unsigned)MESSAGES_MAX); done < n; done++) {
        result = send_message(&r, &user[done].message, flags);
        if (result < 0)
            break;
        result = put_user((unsigned)result, &user[done].length);
        if (result)
            break;
        if (signal_pending())
            n = done + 1;
    }
    fd_put(r.fd);
    return done ? (ssize_t)done : min_t(ssize_t, result, 0);
}

/* ---- control messages received ----------------------------------------------------------------------------------- */

/* What is left of the user's room. */
struct control_room {
    char __user *at;
    size_t left;
    unsigned flags; /* MSG_CTRUNC */
};

/* A header, and data of which `n` bytes are meant to follow; cut if there is less room. */
static int put_control(struct control_room *room, int type, const void *data, size_t n)
{
    struct control_header h = {sizeof(h) + n, SOL_SOCKET, type};
    size_t space;

    if (room->left < sizeof(h)) {
        room->flags |= MSG_CTRUNC;
        return 0;
    }
    if (room->left < h.length) {
        room->flags |= MSG_CTRUNC;
        h.length = room->left;
    }
    if (copy_to_user(room->at, &h, sizeof(h)) ||
        copy_to_user(room->at + sizeof(h), data, h.length - sizeof(h)))
        return -EFAULT;
    space = min(CONTROL_ALIGN(h.length), room->left);
    room->at += space;
    room->left -= space;
    return 0;
}

/* Descriptors for as many files as there is room; the others are closed. */
static int put_files(struct control_room *room, struct unix_rights *rights, bool close_on_exec)
{
    struct control_header h = {0, SOL_SOCKET, SCM_RIGHTS};
    unsigned fit = room->left > sizeof(h) ? (room->left - sizeof(h)) / sizeof(int) : 0, i;
    int __user *numbers = (int *)(room->at + sizeof(h));
    int fd, error = 0;
    size_t space;

    for (i = 0; i < rights->n && i < fit && !error; i++) {
        fd = fd_reserve(0, close_on_exec);
        error = fd < 0 ? fd : put_user(fd, &numbers[i]);
        if (error) {
            if (fd >= 0)
                fd_cancel(fd);
            break;
        }
        fd_install(fd, file_get(rights->files[i]));
    }
    if (i < rights->n)
        room->flags |= MSG_CTRUNC;
    if (i == 0)
        return error == -EFAULT ? error : 0;
    h.length = sizeof(h) + i * sizeof(int);
    if (copy_to_user(room->at, &h, sizeof(h)))
        return -EFAULT;
    space = min(CONTROL_ALIGN(h.length), room->left);
    room->at += space;
    room->left -= space;
    return 0;
}

static int control_put(struct unix_socket *s, struct message *m, struct unix_receive *r,
                       struct control_room *room)
{
    int error = 0;

    *room = (struct control_room){m->user.control, m->user.control ? m->user.control_length : 0, 0};
    if (s->pass_credentials && (r->cred.pid || r->rights || r->from))
        error = put_control(room, SCM_CREDENTIALS, &r->cred, sizeof(r->cred));
    if (!error && r->rights)
        error = put_files(room, r->rights, r->flags & MSG_CMSG_CLOEXEC);
    return error;
}

/* ---- recvmsg ---------------------------------------------------------------------------------------------------------- */

static int results_put(struct user_message __user *user, struct message *m, struct unix_receive *r,
                       struct control_room *room)
{
    unsigned flags = r->out_flags | room->flags | (r->flags & MSG_CMSG_CLOEXEC);
    int error = 0;

    if (m->user.name)
        error = r->from ? socket_name_to_user(r->from, m->user.name, &user->name_length)
                        : put_user(0, &user->name_length);
    if (!error)
        error = put_user(flags, &user->flags);
    if (!error)
        error = put_user((size_t)(room->at - (char *)m->user.control), &user->control_length);
    return error;
}

static ssize_t receive_message(struct socket_ref *r, struct user_message __user *user,
                               unsigned flags)
{
    struct unix_receive receive = {.control = true};
    struct control_room room;
    struct message m;
    ssize_t result = message_get(&m, user);
    int error;

    if (result)
        goto out;
    receive.iter = &m.iter;
    receive.flags = socket_flags(r->fd.file, flags);
    result = socket_receive(r->socket, &receive);
    if (result >= 0) {
        error = control_put(r->socket, &m, &receive, &room);
        if (!error)
            error = results_put(user, &m, &receive, &room);
        if (error)
            result = error;
    }
    socket_receive_end(&receive);
out:
    message_put(&m);
    return result;
}

SYSCALL_DEFINE3(recvmsg, unsigned, fd, struct user_message __user *, user, unsigned, flags)
{
    struct socket_ref r;
    ssize_t result = socket_get(fd, &r);

    if (result)
        return result;
    result = receive_message(&r, user, flags);
    fd_put(r.fd);
    return result;
}

/* The time-out is looked at after each message, as recvmmsg(2) says under BUGS. */
SYSCALL_DEFINE5(recvmmsg, unsigned, fd, struct user_messages __user *, user, unsigned, n, unsigned,
                flags, struct __kernel_timespec __user *, timeout)
{
    struct socket_ref r;
    ktime_t deadline;
    ssize_t result = deadline_from_user(timeout, &deadline);
    unsigned done = 0;

    if (!result)
        result = socket_get(fd, &r);
    if (result)
        return result;
    result = -unix_take_error(r.socket);
    for (n = min(n, (unsigned)MESSAGES_MAX); done < n && !result;) {
        result = receive_message(&r, &user[done].message, flags & ~(unsigned)MSG_WAITFORONE);
        if (result < 0)
            break;
        result = put_user((unsigned)result, &user[done].length);
        if (result)
            break;
        done++;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if (deadline != KTIME_MAX && ktime_get() >= deadline)
            break;
    }
    fd_put(r.fd);
    if (done && timeout && timespec_to_user(timeout, ktime_left(deadline)))
        return -EFAULT;
    return done ? (ssize_t)done : result;
}

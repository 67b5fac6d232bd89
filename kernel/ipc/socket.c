/* SPDX-License-Identifier: MIT */
/*
 * The system calls of sockets (socket(2), socket(7)). There is one family, AF_UNIX: what is common to
 * families in other kernels is simply called here.
 */
#include "socket.h"
#include "socket_calls.h"
#include <vellum/alloc.h>
#include <vellum/string.h>
#include <vellum/syscall.h>

#define NAME_START offsetof(struct sockaddr_un, sun_path)

int socket_get(unsigned fd, struct socket_ref *r)
{
    r->fd = fd_get(fd);
    if (unlikely(!r->fd.file))
        return -EBADF;
    r->socket = file_socket(r->fd.file);
    if (likely(r->socket))
        return 0;
    fd_put(r->fd);
    return -ENOTSOCK;
}

int socket_name_from_user(struct sockaddr_un *name, const void __user *user, int length)
{
    struct __kernel_sockaddr_storage any = {0};

    memset(name, 0, sizeof(*name));
    if (length < 0 || length > (int)sizeof(any))
        return -EINVAL;
    if (copy_from_user(&any, user, length))
        return -EFAULT;
    memcpy(name, &any, sizeof(*name));
    return 0;
}

int socket_name_to_user(const struct unix_address *a, void __user *user, int __user *user_length)
{
    static const struct sockaddr_un nameless = {.sun_family = AF_UNIX};
    const struct sockaddr_un *name = a ? &a->name : &nameless;
    int room, length = a ? a->length : NAME_START;

    if (get_user(room, user_length))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (copy_to_user(user, name, min(room, length)))
        return -EFAULT;
    return put_user(length, user_length);
}

/* ---- making ------------------------------------------------------------------------------------------------- */

static int check_family(int family, int *type, int protocol, unsigned *flags)
{
    *flags = *type & ~SOCK_TYPE_MASK;
    *type &= SOCK_TYPE_MASK;
    if (*flags & ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    if (family < 0 || family >= AF_MAX)
        return -EAFNOSUPPORT;
    if (*type >= SOCK_MAX)
        return -EINVAL;
    if (family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (*type == SOCK_RAW)
        *type = SOCK_DGRAM;
    if (*type != SOCK_STREAM && *type != SOCK_DGRAM && *type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    return 0;
}

/* A descriptor for the socket, whose reference is consumed. */
static int install(struct unix_socket *s, unsigned flags)
{
    int fd = fd_reserve(0, flags & SOCK_CLOEXEC);
    struct file *file;

    if (fd < 0) {
        unix_put(s);
        return fd;
    }
    file = unix_file(s, flags & SOCK_NONBLOCK);
    if (is_err(file)) {
        fd_cancel(fd);
        return ptr_err(file);
    }
    fd_install(fd, file);
    return fd;
}

SYSCALL_DEFINE3(socket, int, family, int, type, int, protocol)
{
    struct unix_socket *s;
    unsigned flags;
    int error = check_family(family, &type, protocol, &flags);

    if (error)
        return error;
    s = unix_create(type);
    return s ? install(s, flags) : -ENOMEM;
}

/* Two files on a pair. 0 or -errno */
static int make_pair(int type, unsigned flags, struct file *files[2])
{
    struct unix_socket *a = unix_create(type), *b = unix_create(type);

    if (!a || !b) {
        if (a)
            unix_put(a);
        if (b)
            unix_put(b);
        return -ENOMEM;
    }
    files[0] = unix_file(a, flags & SOCK_NONBLOCK);
    if (is_err(files[0])) {
        unix_put(b);
        return ptr_err(files[0]);
    }
    files[1] = unix_file(b, flags & SOCK_NONBLOCK);
    if (is_err(files[1])) {
        file_put(files[0]);
        return ptr_err(files[1]);
    }
    unix_pair(a, b);
    return 0;
}

SYSCALL_DEFINE4(socketpair, int, family, int, type, int, protocol, int __user *, result)
{
    struct file *files[2] = {NULL};
    unsigned flags;
    int error = check_family(family, &type, protocol, &flags);

    if (error)
        return error;
    error = make_pair(type, flags, files);
    return error ? error : fd_pair_for_files(files, flags & SOCK_CLOEXEC, result);
}

/* ---- names and connections ------------------------------------------------------------------------------------ */

SYSCALL_DEFINE3(bind, unsigned, fd, const void __user *, user, int, length)
{
    struct sockaddr_un name;
    struct socket_ref r;
    int error = socket_get(fd, &r);

    if (error)
        return error;
    error = socket_name_from_user(&name, user, length);
    if (!error)
        error = unix_bind(r.socket, &name, length);
    fd_put(r.fd);
    return error;
}

SYSCALL_DEFINE3(connect, unsigned, fd, const void __user *, user, int, length)
{
    struct sockaddr_un name;
    struct socket_ref r;
    int error = socket_get(fd, &r);

    if (error)
        return error;
    error = socket_name_from_user(&name, user, length);
    if (!error && length < (int)sizeof(name.sun_family))
        error = -EINVAL;
    if (!error)
        error = unix_connect(r.socket, &name, length, r.fd.file->flags & O_NONBLOCK);
    fd_put(r.fd);
    return error;
}

SYSCALL_DEFINE2(listen, unsigned, fd, int, backlog)
{
    struct socket_ref r;
    int error = socket_get(fd, &r);

    if (error)
        return error;
    error = unix_listen(r.socket, backlog);
    fd_put(r.fd);
    return error;
}

static int peer_name_to_user(struct unix_socket *s, void __user *user, int __user *length)
{
    struct unix_socket *peer = unix_peer(s);
    struct unix_address *a = peer ? unix_address_get(peer) : NULL;
    int error = socket_name_to_user(a, user, length);

    if (a)
        unix_address_put(a);
    if (peer)
        unix_put(peer);
    return error;
}

static int do_accept(struct file *listener, void __user *user, int __user *length, unsigned flags)
{
    int fd = fd_reserve(0, flags & SOCK_CLOEXEC), error;
    struct unix_socket *s;
    struct file *file;

    if (fd < 0)
        return fd;
    s = unix_accept(listener->private_data, listener->flags & O_NONBLOCK);
    error = is_err(s) ? ptr_err(s) : 0;
    if (error)
        goto fail;
    file = unix_file(s, flags & SOCK_NONBLOCK);
    error = is_err(file) ? ptr_err(file) : 0;
    if (error)
        goto fail;
    if (user)
        error = peer_name_to_user(s, user, length);
    if (error) {
        file_put(file);
        goto fail;
    }
    fd_install(fd, file);
    return fd;
fail:
    fd_cancel(fd);
    return error;
}

SYSCALL_DEFINE4(accept4, unsigned, fd, void __user *, user, int __user *, length, int, flags)
{
    struct socket_ref r;
    int result;

    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    result = socket_get(fd, &r);
    if (result)
        return result;
    result = do_accept(r.fd.file, user, length, flags);
    fd_put(r.fd);
    return result;
}

SYSCALL_DEFINE3(accept, unsigned, fd, void __user *, user, int __user *, length)
{
    return sys_accept4(fd, (unsigned long)user, (unsigned long)length, 0, 0, 0);
}

SYSCALL_DEFINE2(shutdown, unsigned, fd, int, how)
{
    struct socket_ref r;
    int error = socket_get(fd, &r);

    if (error)
        return error;
    error = unix_shutdown(r.socket, how);
    fd_put(r.fd);
    return error;
}

SYSCALL_DEFINE3(getsockname, unsigned, fd, void __user *, user, int __user *, length)
{
    struct unix_address *a;
    struct socket_ref r;
    int error = socket_get(fd, &r);

    if (error)
        return error;
    a = unix_address_get(r.socket);
    error = socket_name_to_user(a, user, length);
    if (a)
        unix_address_put(a);
    fd_put(r.fd);
    return error;
}

SYSCALL_DEFINE3(getpeername, unsigned, fd, void __user *, user, int __user *, length)
{
    struct unix_socket *peer;
    struct socket_ref r;
    int error = socket_get(fd, &r);

    if (error)
        return error;
    peer = unix_peer(r.socket);
    error = peer ? peer_name_to_user(r.socket, user, length) : -ENOTCONN;
    if (peer)
        unix_put(peer);
    fd_put(r.fd);
    return error;
}

/* ---- one buffer ------------------------------------------------------------------------------------------------- */

unsigned socket_flags(const struct file *file, unsigned flags)
{
    return file->flags & O_NONBLOCK ? flags | MSG_DONTWAIT : flags;
}

ssize_t socket_send(struct unix_socket *s, struct unix_send *m)
{
    return s->type == SOCK_STREAM ? unix_stream_send(s, m) : unix_datagram_send(s, m);
}

ssize_t socket_receive(struct unix_socket *s, struct unix_receive *m)
{
    return s->type == SOCK_STREAM ? unix_stream_receive(s, m) : unix_datagram_receive(s, m);
}

void socket_receive_end(struct unix_receive *m)
{
    if (m->from)
        unix_address_put(m->from);
    if (m->rights)
        unix_rights_free(m->rights);
}

SYSCALL_DEFINE6(sendto, unsigned, fd, const void __user *, buffer, size_t, n, unsigned, flags,
                const void __user *, user_name, int, length)
{
    const struct cred *c = current->cred;
    struct unix_send m = {.cred = {current->process->pid, c->uid, c->gid}};
    struct sockaddr_un name;
    struct socket_ref r;
    struct iov_iter it;
    ssize_t result = socket_get(fd, &r);

    if (unlikely(result))
        return result;
    result = -EFAULT;
    if (unlikely(!user_range_ok(buffer, n)))
        goto out;
    iov_single(&it, (void *)buffer, min_t(size_t, n, MAX_RW_COUNT));
    m.iter = &it;
    m.flags = socket_flags(r.fd.file, flags);
    if (user_name) {
        result = socket_name_from_user(&name, user_name, length);
        if (result)
            goto out;
        m.to = length ? &name : NULL;
        m.to_length = length;
    }
    result = socket_send(r.socket, &m);
out:
    fd_put(r.fd);
    return result;
}

SYSCALL_DEFINE6(recvfrom, unsigned, fd, void __user *, buffer, size_t, n, unsigned, flags,
                void __user *, user_name, int __user *, length)
{
    struct unix_receive m = {.control = user_name != NULL};
    struct socket_ref r;
    struct iov_iter it;
    ssize_t result = socket_get(fd, &r);
    int error = 0;

    if (unlikely(result))
        return result;
    result = -EFAULT;
    if (unlikely(!user_range_ok(buffer, n)))
        goto out;
    iov_single(&it, buffer, min_t(size_t, n, MAX_RW_COUNT));
    m.iter = &it;
    m.flags = socket_flags(r.fd.file, flags);
    result = socket_receive(r.socket, &m);
    if (user_name && result >= 0)
        error = m.from ? socket_name_to_user(m.from, user_name, length) : put_user(0, length);
    socket_receive_end(&m);
    if (error)
        result = error;
out:
    fd_put(r.fd);
    return result;
}

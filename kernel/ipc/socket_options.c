/* SPDX-License-Identifier: MIT */
/*
 * Options and ioctls of sockets (socket(7), "Socket options").
 *
 * Those that say how packets are to travel are kept and told, and change nothing: nothing travels.
 */
#include "socket_calls.h"
#include <vellum/syscall.h>
#include <asm/ioctls.h>
#include <asm/socket.h>
#include <linux/sockios.h>
#include <linux/time_types.h>

#define BUFFER_MAX  212992 /* net.core.wmem_max, rmem_max */
#define SEND_MIN    4608
#define RECEIVE_MIN 2304

struct linger {
    int on, seconds;
};

/* Options that are a bit, by number. */
static const u8 bit_options[] = {SO_DEBUG,     SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST,
                                 SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK,  SO_REUSEPORT};

static_assert(UNIX_OOB_INLINE == BIT(5), "where SO_OOBINLINE stands");

static int bit_of(int option)
{
    for (unsigned i = 0; i < ARRAY_SIZE(bit_options); i++)
        if (bit_options[i] == option)
            return i;
    return -1;
}

/* ---- setsockopt ------------------------------------------------------------------------------------------------ */

static int set_timeout(u64 *timeout, const void __user *user, int length)
{
    struct __kernel_old_timeval tv;

    if (length < (int)sizeof(tv))
        return -EINVAL;
    if (copy_from_user(&tv, user, sizeof(tv)))
        return -EFAULT;
    if ((u64)tv.tv_usec >= 1000000)
        return -EDOM;
    if (tv.tv_sec < 0) /* "do not wait", as near as can be */
        *timeout = 1;
    else if ((u64)tv.tv_sec >= INT64_MAX / NSEC_PER_SEC)
        *timeout = 0;
    else
        *timeout = tv.tv_sec * NSEC_PER_SEC + tv.tv_usec * 1000;
    return 0;
}

static int set_linger(struct unix_socket *s, const void __user *user, int length)
{
    struct linger l;

    if (length < (int)sizeof(l))
        return -EINVAL;
    if (copy_from_user(&l, user, sizeof(l)))
        return -EFAULT;
    s->linger_seconds = l.on ? (u32)l.seconds + 1 : 0;
    return 0;
}

static void set_buffer(u32 *limit, int value, u32 least, bool force)
{
    u32 n = value;

    if (!force)
        n = min(n, (u32)BUFFER_MAX);
    n = min(n, (u32)INT32_MAX / 2) * 2; /* half of it is for bookkeeping, socket(7) */
    *limit = max(n, least);
}

static int set_option(struct unix_socket *s, int option, int value)
{
    int bit = bit_of(option);

    if (bit >= 0) {
        if (option == SO_DEBUG && value && !capable(CAP_NET_ADMIN))
            return -EACCES;
        s->option_bits = (s->option_bits & ~(u32)BIT(bit)) | (value ? BIT(bit) : 0);
        return 0;
    }
    switch (option) {
    case SO_PASSCRED:
        s->pass_credentials = value;
        return 0;
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        if (!capable(CAP_NET_ADMIN))
            return -EPERM;
        if (option == SO_SNDBUFFORCE)
            set_buffer(&s->send_limit, max(value, 0), SEND_MIN, true);
        else
            set_buffer(&s->receive_limit, max(value, 0), RECEIVE_MIN, true);
        return 0;
    case SO_SNDBUF:
        set_buffer(&s->send_limit, value, SEND_MIN, false);
        unix_wake_all(s, EPOLLOUT | EPOLLWRNORM);
        return 0;
    case SO_RCVBUF:
        set_buffer(&s->receive_limit, value, RECEIVE_MIN, false);
        return 0;
    case SO_RCVLOWAT:
        s->low_water = value < 0 ? INT32_MAX : max(value, 1);
        return 0;
    case SO_PEEK_OFF:
        mutex_lock(&s->reading);
        s->peek_offset = value;
        mutex_unlock(&s->reading);
        return 0;
    case SO_PRIORITY:
        return value >= 0 && (value <= 6 || capable(CAP_NET_ADMIN)) ? 0 : -EPERM;
    case SO_TYPE:
    case SO_DOMAIN:
    case SO_PROTOCOL:
    case SO_ERROR:
    case SO_ACCEPTCONN:
    case SO_SNDLOWAT:
    case SO_PEERCRED:
    default:
        return -ENOPROTOOPT;
    }
}

SYSCALL_DEFINE5(setsockopt, unsigned, fd, int, level, int, option, const void __user *, user, int,
                length)
{
    struct socket_ref r;
    int value, error = socket_get(fd, &r);

    if (error)
        return error;
    if (length < 0)
        error = -EINVAL;
    else if (level != SOL_SOCKET)
        error = -EOPNOTSUPP;
    else if (option == SO_RCVTIMEO_OLD || option == SO_RCVTIMEO_NEW)
        error = set_timeout(&r.socket->receive_timeout, user, length);
    else if (option == SO_SNDTIMEO_OLD || option == SO_SNDTIMEO_NEW)
        error = set_timeout(&r.socket->send_timeout, user, length);
    else if (option == SO_LINGER)
        error = set_linger(r.socket, user, length);
    else if (length < (int)sizeof(value))
        error = -EINVAL;
    else if (get_user(value, (const int __user *)user))
        error = -EFAULT;
    else
        error = set_option(r.socket, option, value);
    fd_put(r.fd);
    return error;
}

/* ---- getsockopt ------------------------------------------------------------------------------------------------ */

union option_value {
    int number;
    struct linger linger;
    struct ucred_user cred;
    struct __kernel_old_timeval time;
};

static size_t get_timeout(union option_value *v, u64 timeout)
{
    v->time.tv_sec = timeout / NSEC_PER_SEC;
    v->time.tv_usec = timeout % NSEC_PER_SEC / 1000;
    return sizeof(v->time);
}

static size_t get_peer_cred(struct unix_socket *s, union option_value *v)
{
    spin_lock(&s->lock);
    v->cred = s->peer_cred;
    if (!s->peer_groups || s->state == UNIX_LISTENING) {
        v->cred = (struct ucred_user){0, -1, -1};
        if (s->state == UNIX_LISTENING)
            v->cred = s->own;
    }
    spin_unlock(&s->lock);
    return sizeof(v->cred);
}

/* The value of an option, and its size; or an error. */
static int get_option(struct unix_socket *s, int option, union option_value *v)
{
    int bit = bit_of(option);

    if (bit >= 0) {
        v->number = (s->option_bits >> bit) & 1;
        return sizeof(int);
    }
    switch (option) {
    case SO_TYPE:
        v->number = s->type;
        break;
    case SO_DOMAIN:
        v->number = AF_UNIX;
        break;
    case SO_PROTOCOL:
    case SO_PRIORITY:
    case SO_TIMESTAMP_OLD:
    case SO_TIMESTAMPNS_OLD:
    case SO_MARK:
        v->number = 0;
        break;
    case SO_ERROR:
        v->number = unix_take_error(s);
        break;
    case SO_ACCEPTCONN:
        v->number = s->state == UNIX_LISTENING;
        break;
    case SO_SNDBUF:
        v->number = s->send_limit;
        break;
    case SO_RCVBUF:
        v->number = s->receive_limit;
        break;
    case SO_RCVLOWAT:
        v->number = s->low_water;
        break;
    case SO_SNDLOWAT:
        v->number = 1;
        break;
    case SO_PEEK_OFF:
        v->number = s->peek_offset;
        break;
    case SO_PASSCRED:
        v->number = s->pass_credentials;
        break;
    case SO_LINGER:
        v->linger.on = s->linger_seconds != 0;
        v->linger.seconds = s->linger_seconds ? s->linger_seconds - 1 : 0;
        return sizeof(v->linger);
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
        return get_timeout(v, s->receive_timeout);
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW:
        return get_timeout(v, s->send_timeout);
    case SO_PEERCRED:
        return get_peer_cred(s, v);
    default:
        return -ENOPROTOOPT;
    }
    return sizeof(int);
}

/* SO_PEERGROUPS: the supplementary groups of who connected. */
static int get_groups(struct unix_socket *s, void __user *user, int __user *length, int room)
{
    const struct cred *c = s->peer_groups;
    int size;

    if (!c || s->state == UNIX_LISTENING)
        return -ENODATA;
    size = c->ngroups * sizeof(gid_t);
    if (room < size)
        return put_user(size, length) ? -EFAULT : -ERANGE;
    if (copy_to_user(user, c->groups, size))
        return -EFAULT;
    return put_user(size, length);
}

/* SO_PEERNAME */
static int get_peer_name(struct unix_socket *s, void __user *user, int __user *length, int room)
{
    struct unix_socket *peer = unix_peer(s);
    struct unix_address *a = peer ? unix_address_get(peer) : NULL;
    int error = -ENOTCONN;

    if (peer) {
        error = room < (int)(a ? a->length : 2) ? -EINVAL : socket_name_to_user(a, user, length);
        unix_put(peer);
    }
    if (a)
        unix_address_put(a);
    return error;
}

static int do_getsockopt(struct unix_socket *s, int option, void __user *user, int __user *length)
{
    union option_value v;
    int room, size;

    if (get_user(room, length))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (option == SO_PEERGROUPS)
        return get_groups(s, user, length, room);
    if (option == SO_PEERNAME)
        return get_peer_name(s, user, length, room);
    size = get_option(s, option, &v);
    if (size < 0)
        return size;
    size = min(size, room);
    if (copy_to_user(user, &v, size))
        return -EFAULT;
    return put_user(size, length);
}

SYSCALL_DEFINE5(getsockopt, unsigned, fd, int, level, int, option, void __user *, user,
                int __user *, length)
{
    struct socket_ref r;
    int error = socket_get(fd, &r);

    if (error)
        return error;
    error = level == SOL_SOCKET ? do_getsockopt(r.socket, option, user, length) : -EOPNOTSUPP;
    fd_put(r.fd);
    return error;
}

/* ---- ioctl ------------------------------------------------------------------------------------------------------- */

static int bytes_waiting(struct unix_socket *s)
{
    struct unix_message *m;
    int n;

    spin_lock(&s->lock);
    m = list_first_entry_or_null(&s->queue, struct unix_message, link);
    if (s->state == UNIX_LISTENING)
        n = -EINVAL;
    else
        n = s->type != SOCK_DGRAM ? (int)s->bytes : m ? (int)m->length : 0;
    spin_unlock(&s->lock);
    return n;
}

/* Is what comes next in a stream the place of MSG_OOB's byte? One that was taken counts until another one
 * has come. */
static bool is_at_mark(struct unix_socket *s)
{
    struct unix_message *m;
    bool yes;

    spin_lock(&s->lock);
    m = list_first_entry_or_null(&s->queue, struct unix_message, link);
    yes = s->state == UNIX_CONNECTED && m && m->urgent &&
          (m == s->urgent || !s->urgent || m->link.next == &s->urgent->link);
    spin_unlock(&s->lock);
    return yes;
}

long unix_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct unix_socket *s = file->private_data;
    int n;

    switch (command) {
    case SIOCINQ:
        n = bytes_waiting(s);
        return n < 0 ? n : put_user(n, (int __user *)arg);
    case FIOSETOWN:
    case SIOCSPGRP:
        if (get_user(n, (int __user *)arg))
            return -EFAULT;
        return async_set_owner(file, n);
    case FIOGETOWN:
    case SIOCGPGRP:
        return put_user(async_owner(file), (int __user *)arg);
    case SIOCOUTQ:
        return put_user(atomic_read(&s->charged), (int __user *)arg);
    case SIOCATMARK:
        if (s->type != SOCK_STREAM)
            return -EOPNOTSUPP;
        return put_user((int)is_at_mark(s), (int __user *)arg);
    default:
        return -ENOTTY;
    }
}

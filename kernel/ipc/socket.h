/* SPDX-License-Identifier: MIT */
/*
 * What the files of the local sockets share: socket.c (the calls), socket_message.c (sendmsg and
 * recvmsg), socket_options.c, unix.c (life and connections), unix_name.c, unix_stream.c, unix_datagram.c,
 * unix_rights.c (descriptors in flight).
 *
 * Locks: the table of names, then a socket's lock, which is innermost here; no two are held at once, except a listener's and then
 * that of a connection in its queue. Sleeping locks: gc_mutex, then a socket's lock; reading, then all
 * that a copy to the user may take.
 */
#ifndef VELLUM_IPC_SOCKET_H
#define VELLUM_IPC_SOCKET_H

#include <vellum/fs.h>
#include <vellum/sync.h>
#include <linux/eventpoll.h>
#include <linux/socket.h>
#include <linux/un.h>

/* <sys/socket.h>; the UAPI headers leave these to the C library. */
enum { AF_UNSPEC = 0, AF_UNIX = 1, AF_MAX = 46 };
enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_SEQPACKET = 5, SOCK_MAX = 11 };
#define SOCK_TYPE_MASK 0xf
#define SOCK_NONBLOCK  O_NONBLOCK
#define SOCK_CLOEXEC   O_CLOEXEC
enum { SHUT_RD, SHUT_WR, SHUT_RDWR };
enum {
    MSG_OOB = 1,
    MSG_PEEK = 2,
    MSG_CTRUNC = 8,
    MSG_TRUNC = 0x20,
    MSG_DONTWAIT = 0x40,
    MSG_WAITALL = 0x100,
    MSG_ERRQUEUE = 0x2000,
    MSG_NOSIGNAL = 0x4000,
    MSG_WAITFORONE = 0x10000,
    MSG_CMSG_CLOEXEC = 0x40000000
};
enum { SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 };
#define SCM_MAX_FD 253

struct ucred_user { /* struct ucred */
    u32 pid;
    uid_t uid;
    gid_t gid;
};

enum unix_state { UNIX_IDLE, UNIX_LISTENING, UNIX_CONNECTED };
enum { RECEIVE_SHUT = 1, SEND_SHUT = 2, BOTH_SHUT = 3 };

#define UNIX_OOB_INLINE 32u /* in option_bits */

struct unix_address {
    refcount_t refs;
    u32 length; /* of name, as the user gave it */
    struct sockaddr_un name;
    char end; /* a path that fills sun_path is ended here */
};

struct unix_socket;

/* Open files on their way. */
struct unix_rights {
    struct user *user; /* who sent them; with a reference */
    unsigned n;
    struct file *files[];
};

struct unix_message {
    struct list link;           /* [receiver's lock] */
    struct unix_socket *sender; /* [i] with a reference: it is charged for this until it is read */
    struct unix_rights *rights; /* [receiver's lock] or NULL */
    struct ucred_user cred;     /* [i] */
    u32 length;                 /* [i] */
    u32 taken;                  /* [receiver's lock] of a stream: read already */
    u32 charge;                 /* [i] */
    u32 order;                  /* [i] of pages */
    struct page *pages;         /* [i] that hold the bytes, or NULL: they follow */
    char *data;                 /* [i] */
    bool urgent;                /* [receiver's lock] one byte of MSG_OOB, read or not: a mark */
    char bytes[];
};

struct unix_socket {
    refcount_t refs;
    spinlock_t lock;
    u8 type;     /* [i] SOCK_* */
    u8 state;    /* [l] enum unix_state */
    u8 shutdown; /* [l] *_SHUT; read without */
    bool dead;   /* [l] its file has gone */
    bool pass_credentials;
    u32 short_of_room;             /* a send found none: O_ASYNC tells when there is some */
    int error;                     /* for SO_ERROR; exchanged atomically */
    struct unix_socket *peer;      /* [l] with a reference; of a stream it stays until the end */
    struct list queue;             /* [l] messages; of a listener: connections, by pending_link */
    struct list pending_link;      /* [listener's lock] */
    u32 queued;                    /* [l] entries of queue */
    u32 arrived;                   /* [l] messages that ever came into it */
    struct unix_message *urgent;   /* [l] of a stream: in the queue, not read yet; or NULL */
    int peek_offset;               /* [reading] SO_PEEK_OFF; negative: none */
    u32 backlog;                   /* [l] of a listener: how many may wait */
    u64 bytes;                     /* [l] in queue */
    atomic_t charged;              /* what it has sent and nobody has read */
    u32 send_limit, receive_limit; /* SO_SNDBUF, SO_RCVBUF */
    u32 low_water;                 /* SO_RCVLOWAT */
    u64 receive_timeout, send_timeout; /* ns, 0: none */
    u32 option_bits;                   /* SO_OOBINLINE, and others that mean nothing here */
    u32 linger_seconds;
    struct mutex reading;           /* one receiver at a time */
    struct wait_queue read_wait;    /* receivers, accept */
    struct wait_queue write_wait;   /* senders of this socket, whom `charged` stops */
    struct wait_queue room_wait;    /* those who want to put something into this socket's queue */
    struct list blocked;            /* [l] senders who poll for that, by blocked_link */
    struct list blocked_link;       /* [lock of blocked_on] */
    struct unix_socket *blocked_on; /* [l] with a reference */
    struct unix_address *address; /* [l] with a reference; NULL: no name. Never changes once set */
    struct path path;             /* [l] of a name in the file system */
    struct hlist_node name_hash;  /* [table lock] of an abstract name */
    struct list all_link;         /* [table lock] */
    struct ucred_user own, peer_cred; /* [l] who made it, or listens; SO_PEERCRED */
    struct cred const *peer_groups;   /* [l] SO_PEERGROUPS, or NULL */
    struct file *file;                /* [i] no reference; NULL: not accepted yet */
    unsigned in_flight;               /* [gc_mutex] */
    long gc_count;                    /* [gc_mutex] */
    bool gc_reached;                  /* [gc_mutex] */
    struct list flight_link;          /* [gc_mutex] */
    struct list gc_link;              /* [gc_mutex] */
};
/* [l] its own lock */

/* What recvmsg asks for, and gets. */
struct unix_receive {
    struct iov_iter *iter;
    unsigned flags;             /* MSG_* */
    bool control;               /* wants what follows */
    unsigned out_flags;         /* MSG_TRUNC */
    struct ucred_user cred;     /* of the sender */
    struct unix_rights *rights; /* the caller's to free, asked for or not; or NULL */
    struct unix_address *from;  /* with a reference, or NULL */
};

/* What sendmsg gives. */
struct unix_send {
    struct iov_iter *iter;
    unsigned flags;
    struct ucred_user cred;
    struct unix_rights *rights;   /* NULL once they are sent */
    const struct sockaddr_un *to; /* NULL: the peer */
    unsigned to_length;
};

extern const struct file_ops unix_file_ops;

static inline struct unix_socket *file_socket(const struct file *file)
{
    return file->ops == &unix_file_ops ? file->private_data : NULL;
}

/* unix.c */
struct unix_socket *unix_create(unsigned type);
struct file *unix_file(struct unix_socket *s, unsigned flags); /* consumes the reference */
static inline void unix_get(struct unix_socket *s)
{
    ref_get(&s->refs);
}
void unix_put(struct unix_socket *s);
int unix_connect(struct unix_socket *s, const struct sockaddr_un *name, unsigned length,
                 bool nonblock);
int unix_listen(struct unix_socket *s, int backlog);
struct unix_socket *unix_accept(struct unix_socket *s, bool nonblock); /* err_ptr */
void unix_pair(struct unix_socket *a, struct unix_socket *b);
int unix_shutdown(struct unix_socket *s, int how);
void unix_wake_all(struct unix_socket *s, unsigned events);
unsigned unix_poll(struct file *file, struct poll_table *table);
struct ucred_user current_ucred(void); /* effective ids */
/* The peer with a reference, or NULL. */
struct unix_socket *unix_peer(struct unix_socket *s);
/* SO_ERROR: tell it once. Positive */
int unix_take_error(struct unix_socket *s);
/* 0, or what a wait's end means: -EAGAIN after a time-out, -EINTR where it cannot be restarted. */
static inline int wait_result(int r, u64 timeout)
{
    return r == -ETIME ? -EAGAIN : r == -ERESTARTSYS && timeout ? -EINTR : r;
}
static inline ktime_t wait_deadline(u64 timeout)
{
    return timeout ? ktime_after(timeout) : KTIME_MAX;
}

/* unix_name.c */
int unix_bind(struct unix_socket *s, const struct sockaddr_un *name, unsigned length);
int unix_autobind(struct unix_socket *s);
void unix_name_release(struct unix_socket *s);
/* The socket of a name, with a reference: err_ptr(-ECONNREFUSED, -EPROTOTYPE, -ENOENT ...). */
struct unix_socket *unix_find(const struct sockaddr_un *name, unsigned length, unsigned type);
struct unix_address *unix_address_get(struct unix_socket *s); /* or NULL */
void unix_address_put(struct unix_address *a);
void unix_list_add(struct unix_socket *s);
void unix_list_remove(struct unix_socket *s);

/* unix_stream.c */
ssize_t unix_stream_send(struct unix_socket *s, struct unix_send *m);
ssize_t unix_stream_receive(struct unix_socket *s, struct unix_receive *r);
/* A message from s, charged to it: waits for room. err_ptr */
struct unix_message *unix_message_make(struct unix_socket *s, struct unix_send *m, size_t n);
void unix_message_free(struct unix_message *m);
/* For a receiver that found no message; may sleep. 1: look again, 0: the end, or an error. seen: it found
 * some, but nothing it wants, when s->arrived was that; else NULL. *deadline: 0 the first time; the
 * time-out is one for all of a call. => s->reading, which is released meanwhile */
int unix_await_message(struct unix_socket *s, unsigned flags, const u32 *seen, ktime_t *deadline);
/* SO_PEEK_OFF moves: n bytes have been looked at, or (negative) taken. => s->reading */
static inline void unix_peeked(struct unix_socket *s, ssize_t n)
{
    if (unlikely(s->peek_offset >= 0))
        s->peek_offset = clamp(s->peek_offset + n, (ssize_t)0, (ssize_t)INT32_MAX);
}
bool unix_writable(const struct unix_socket *s);
/* What a message tells besides its bytes. => s->reading */
void unix_receive_control(struct unix_socket *s, struct unix_message *m, struct unix_receive *r);

/* unix_datagram.c */
ssize_t unix_datagram_send(struct unix_socket *s, struct unix_send *m);
ssize_t unix_datagram_receive(struct unix_socket *s, struct unix_receive *r);
int unix_datagram_connect(struct unix_socket *s, const struct sockaddr_un *name, unsigned length);
/* Could the peer's queue take one more? If not, and register_it, s is woken when it can. */
bool unix_datagram_room(struct unix_socket *s, struct unix_socket *peer, bool register_it);
void unix_blocked_forget(struct unix_socket *s);
void unix_room_made(struct unix_socket *s); /* the queue of s is shorter now. => no lock */

/* unix_rights.c */
struct unix_rights *unix_rights_make(const int *fds, unsigned n); /* err_ptr */
struct unix_rights *unix_rights_peek(struct unix_rights *rights); /* a copy; NULL: no memory */
void unix_rights_sent(struct unix_rights *rights);                /* they are in a queue now */
void unix_rights_received(struct unix_rights *rights);            /* and out of it */
void unix_rights_free(struct unix_rights *rights);                /* => not in flight */
/* Free messages taken off a queue, with what is in them; however deep sockets lie in sockets. */
void unix_messages_discard(struct list *messages);
void unix_collect_garbage(void); /* after a socket was closed */

/* socket_options.c */
long unix_ioctl(struct file *file, unsigned command, unsigned long arg);

#endif

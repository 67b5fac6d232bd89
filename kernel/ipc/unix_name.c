/* SPDX-License-Identifier: MIT */
/*
 * The names of local sockets: in the file system, where an inode leads to the socket, and abstract
 * ones, which start with a zero byte and stand in a table of their own.
 */
#include "socket.h"
#include <vellum/alloc.h>
#include <vellum/format.h>
#include <vellum/process.h>
#include <vellum/random.h>
#include <vellum/seq_file.h>
#include <vellum/string.h>
#include <linux/net.h>

#define NAME_BITS  8
#define PATH_START offsetof(struct sockaddr_un, sun_path)

static DEFINE_SPINLOCK(table_lock);
static struct hlist_head names[1 << NAME_BITS];  /* [table_lock] abstract names */
static struct list sockets = LIST_INIT(sockets); /* [table_lock] all */
static DEFINE_MUTEX(bind_mutex);                 /* one socket gets a name at a time */

void unix_address_put(struct unix_address *a)
{
    if (ref_put(&a->refs))
        kfree(a);
}

struct unix_address *unix_address_get(struct unix_socket *s)
{
    struct unix_address *a;

    spin_lock(&s->lock);
    a = s->address;
    if (a)
        ref_get(&a->refs);
    spin_unlock(&s->lock);
    return a;
}

static bool is_abstract(const struct unix_address *a)
{
    return a->name.sun_path[0] == 0;
}

static struct hlist_head *bucket_of(const struct sockaddr_un *name, unsigned length, unsigned type)
{
    return &names[hash_bytes(name->sun_path, length - PATH_START, type) & ((1 << NAME_BITS) - 1)];
}

/* => table_lock */
static struct unix_socket *find_abstract(const struct sockaddr_un *name, unsigned length,
                                         unsigned type)
{
    struct unix_socket *s;

    hlist_for_each_entry(s, bucket_of(name, length, type), name_hash)
        if (s->type == type && s->address->length == length &&
            memcmp(s->address->name.sun_path, name->sun_path, length - PATH_START) == 0)
            return s;
    return NULL;
}

static struct unix_address *address_make(const struct sockaddr_un *name, unsigned length)
{
    struct unix_address *a = kzalloc(sizeof(*a), ALLOC_KERNEL);

    if (!a)
        return NULL;
    ref_init(&a->refs);
    memcpy(&a->name, name, length);
    a->length = length;
    if (!is_abstract(a))
        a->length = PATH_START + strlen(a->name.sun_path) + 1;
    return a;
}

/* ---- bind => bind_mutex ----------------------------------------------------------------------------------- */

static int bind_abstract(struct unix_socket *s, struct unix_address *a)
{
    int error = -EADDRINUSE;

    spin_lock(&table_lock);
    if (!find_abstract(&a->name, a->length, s->type)) {
        spin_lock_raw(&s->lock);
        s->address = a;
        spin_unlock_raw(&s->lock);
        hlist_add_head(&s->name_hash, bucket_of(&a->name, a->length, s->type));
        error = 0;
    }
    spin_unlock(&table_lock);
    return error;
}

static int bind_path(struct unix_socket *s, struct unix_address *a)
{
    mode_t mode = S_IFSOCK | (s->file->inode->mode & 0777);
    struct path path;
    int error = kernel_mknod_path(a->name.sun_path, mode, &path);

    if (error)
        return error == -EEXIST ? -EADDRINUSE : error;
    spin_lock(&path.dentry->inode->lock);
    path.dentry->inode->pipe = s;
    spin_unlock(&path.dentry->inode->lock);
    spin_lock(&s->lock);
    s->path = path;
    s->address = a;
    spin_unlock(&s->lock);
    return 0;
}

int unix_bind(struct unix_socket *s, const struct sockaddr_un *name, unsigned length)
{
    struct unix_address *a;
    int error;

    if (length == PATH_START && name->sun_family == AF_UNIX)
        return unix_autobind(s);
    if (length <= PATH_START || length > sizeof(*name) || name->sun_family != AF_UNIX)
        return -EINVAL;
    a = address_make(name, length);
    if (!a)
        return -ENOMEM;
    mutex_lock(&bind_mutex);
    error = s->address ? -EINVAL : is_abstract(a) ? bind_abstract(s, a) : bind_path(s, a);
    mutex_unlock(&bind_mutex);
    if (error)
        unix_address_put(a);
    return error;
}

/* A name that nobody has: five hexadecimal digits. */
int unix_autobind(struct unix_socket *s)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct unix_address *a;
    u32 number = random_u64();
    char digits[8];
    int error = 0;

    mutex_lock(&bind_mutex);
    for (unsigned tries = 0; !s->address && tries <= 0xfffff; tries++) {
        snprintf(digits, sizeof(digits), "%05x", (number + tries) & 0xfffff);
        memcpy(name.sun_path + 1, digits, 5);
        a = address_make(&name, PATH_START + 6);
        error = a ? bind_abstract(s, a) : -ENOMEM;
        if (error && a)
            unix_address_put(a);
        if (error != -EADDRINUSE)
            break;
    }
    mutex_unlock(&bind_mutex);
    return error;
}

/* The name means nothing any more; the socket still knows it. */
void unix_name_release(struct unix_socket *s)
{
    struct path path;
    struct inode *inode;

    spin_lock(&table_lock);
    if (!hlist_unhashed(&s->name_hash))
        hlist_del(&s->name_hash);
    spin_unlock(&table_lock);
    spin_lock(&s->lock);
    path = s->path;
    s->path = (struct path){0};
    spin_unlock(&s->lock);
    if (!path.dentry)
        return;
    inode = path.dentry->inode;
    spin_lock(&inode->lock);
    if (inode->pipe == s)
        inode->pipe = NULL;
    spin_unlock(&inode->lock);
    path_put(&path);
}

/* ---- looking up ---------------------------------------------------------------------------------------------- */

static struct unix_socket *find_path(const char *name, unsigned type)
{
    struct unix_socket *s = err_ptr(-ECONNREFUSED), *found;
    struct inode *inode;
    struct path path;
    int error = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &path);

    if (error)
        return err_ptr(error);
    inode = path.dentry->inode;
    error = inode_permission(inode, MAY_WRITE);
    if (error) {
        s = err_ptr(error);
    } else if ((inode->mode & S_IFMT) == S_IFSOCK) {
        spin_lock(&inode->lock);
        found = inode->pipe;
        if (found && found->type != type) {
            s = err_ptr(-EPROTOTYPE);
        } else if (found) {
            unix_get(found);
            s = found;
        }
        spin_unlock(&inode->lock);
    }
    path_put(&path);
    return s;
}

struct unix_socket *unix_find(const struct sockaddr_un *name, unsigned length, unsigned type)
{
    char path[sizeof(name->sun_path) + 1] = {0};
    struct unix_socket *s;

    if (length <= PATH_START || length > sizeof(*name) || name->sun_family != AF_UNIX)
        return err_ptr(-EINVAL);
    if (name->sun_path[0]) {
        memcpy(path, name->sun_path, length - PATH_START);
        return find_path(path, type);
    }
    spin_lock(&table_lock);
    s = find_abstract(name, length, type);
    if (s)
        unix_get(s);
    spin_unlock(&table_lock);
    return s ? s : err_ptr(-ECONNREFUSED);
}

/* ---- /proc/net/unix --------------------------------------------------------------------------------------------- */

void unix_list_add(struct unix_socket *s)
{
    spin_lock(&table_lock);
    list_add_tail(&s->all_link, &sockets);
    spin_unlock(&table_lock);
}

void unix_list_remove(struct unix_socket *s)
{
    spin_lock(&table_lock);
    list_del(&s->all_link);
    spin_unlock(&table_lock);
}

static void show_name(struct seq_file *m, const struct unix_address *a)
{
    unsigned n = a->length - PATH_START - !is_abstract(a);

    seq_putc(m, ' ');
    for (unsigned i = 0; i < n; i++)
        seq_putc(m, a->name.sun_path[i] ? a->name.sun_path[i] : '@');
}

void unix_sockets_show(struct seq_file *m)
{
    struct unix_socket *s;
    bool connected;

    seq_puts(m, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    spin_lock(&table_lock);
    list_for_each_entry(s, &sockets, all_link) {
        spin_lock_raw(&s->lock);
        connected = s->state == UNIX_CONNECTED;
        seq_printf(m, "%016x: %08X %08X %08X %04X %02X %5lu", 0, atomic_read(&s->refs), 0,
                   s->state == UNIX_LISTENING ? __SO_ACCEPTCON : 0, s->type,
                   s->file ? (connected ? SS_CONNECTED : SS_UNCONNECTED)
                           : (connected ? SS_CONNECTING : SS_DISCONNECTING),
                   s->file && !s->dead ? (unsigned long)s->file->inode->ino : 0UL);
        if (s->address)
            show_name(m, s->address);
        seq_putc(m, '\n');
        spin_unlock_raw(&s->lock);
    }
    spin_unlock(&table_lock);
}

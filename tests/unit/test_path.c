/* SPDX-License-Identifier: MIT */
/* unit: tests/unit/path_model.c tests/unit/vfs_glue.c kernel/fs/tmpfs/tmpfs.c kernel/fs/tmpfs/contents.c kernel/fs/tmpfs/super.c kernel/fs/tmpfs/ramfs.c */
/* unit: kernel/fs/dentry.c kernel/fs/inode.c kernel/fs/handle.c kernel/fs/dentry_move.c */
/* unit: kernel/fs/mount.c kernel/fs/mount_calls.c kernel/fs/propagate.c kernel/fs/mount_fd.c kernel/fs/names.c */
/* unit: kernel/fs/path.c kernel/fs/super.c kernel/fs/walk.c kernel/fs/walk_link.c kernel/fs/init.c */
/* unit: kernel/fs/attributes.c kernel/fs/open.c kernel/fs/file.c kernel/fs/descriptor.c */
/* unit: kernel/fs/rename.c kernel/fs/stat.c kernel/fs/iov.c kernel/mm/page_cache.c kernel/mm/page_cache_remove.c kernel/mm/page_cache_swap.c */
/* unit: kernel/fs/cached_file.c kernel/fs/locks.c kernel/fs/read_write.c kernel/fs/readdir.c */
/* unit: kernel/mm/writeback.c kernel/mm/flusher.c kernel/mm/throttle.c kernel/mm/dirty_policy.c */
/* unit: kernel/fs/read_ahead.c kernel/fs/read_window.c lib/error_sequence.c */
/* unit: kernel/fs/char_device.c kernel/mm/page_lock.c kernel/mm/uaccess.c kernel/proc/cred.c kernel/proc/user.c lib/bitmap.c */
/* unit: lib/hash.c lib/radix_tree.c lib/number.c lib/rbtree.c lib/interval_tree.c */
/*
 * Path lookup in the dentry cache and tmpfs, against the model: random names are
 * made, linked, moved, removed and looked up through the system calls, and every
 * result, errors included, has to be the model's.
 */
#include "shim/kmalloc.h"
#include "tests/unit/path_model.h"
#include "tests/unit/vfs_glue.h"
#include "unit.h"
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/stat.h>
#include <vellum/error.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/thread.h>

#define CALL(name)                                                                                 \
    long sys_##name(unsigned long, unsigned long, unsigned long, unsigned long, unsigned long,     \
                    unsigned long)
CALL(mkdirat);
CALL(openat);
CALL(close);
CALL(symlinkat);
CALL(linkat);
CALL(unlinkat);
CALL(renameat2);
CALL(statx);
CALL(chdir);
CALL(readlinkat);

#define HERE      ((unsigned long)AT_FDCWD)
#define P(string) ((unsigned long)(string))

/* What was done, for the message if it was not right. */
#define CHECK_CALL(got, expected, format, ...)                                                     \
    do {                                                                                           \
        long got_ = (got), expected_ = (expected);                                                 \
        if ((got_ < 0 ? got_ : 0) != (expected_ < 0 ? expected_ : 0))                              \
            unit_failed(__FILE__, __LINE__, format ": %ld, not %ld", __VA_ARGS__, got_,            \
                        expected_);                                                                \
    } while (0)

static struct statx st;

static long stat_path(const char *path, bool follow)
{
    return sys_statx(HERE, P(path), follow ? 0 : AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, P(&st), 0);
}

/* st is of the node, and its links agree. */
static void check_stat(int number, const char *path)
{
    const struct model_node *node = &model_nodes[number];
    unsigned type = node->type == NODE_DIR ? S_IFDIR : node->type == NODE_FILE ? S_IFREG : S_IFLNK;

    if ((st.stx_mode & S_IFMT) != type)
        unit_failed(__FILE__, __LINE__, "type of %.60s is %o, not %o", path, st.stx_mode, type);
    if (st.stx_ino != node->id)
        unit_failed(__FILE__, __LINE__, "%.60s leads to the wrong inode", path);
    if (node->type != NODE_DIR)
        CHECK_EQ(st.stx_nlink, node->links);
}

/* A new node: remember its inode number. */
static void made(int node, const char *path, bool follow)
{
    if (node < 0)
        return;
    CHECK_EQ(stat_path(path, follow), 0);
    model_nodes[node].id = st.stx_ino;
}

static void open_file(const char *path, unsigned flags)
{
    bool exclusive = flags & O_EXCL;
    int before = exclusive ? -1 : model_lookup(path, true);
    int node = exclusive ? model_create(path) : model_open(path);
    long fd = sys_openat(HERE, P(path), O_CREAT | O_WRONLY | flags, 0644, 0, 0);

    CHECK_CALL(fd, node, "open %.60s %s", path, exclusive ? "O_EXCL" : "");
    if (fd >= 0)
        sys_close(fd, 0, 0, 0, 0, 0);
    if (before < 0)
        made(node, path, true);
}

static void do_make(void)
{
    char path[MODEL_PATH], text[MODEL_PATH];
    int node;

    if (model_full())
        return;
    model_random_path(path);
    switch (unit_random_below(5)) {
    case 0:
    case 1:
        node = model_mkdir(path);
        CHECK_CALL(sys_mkdirat(HERE, P(path), 0755, 0, 0, 0), node, "mkdir %.60s", path);
        made(node, path, true);
        break;
    case 2:
        open_file(path, O_EXCL);
        break;
    case 3:
        open_file(path, 0);
        break;
    case 4:
        model_random_path(text);
        node = model_symlink(text, path);
        CHECK_CALL(sys_symlinkat(P(text), HERE, P(path), 0, 0, 0), node, "symlink %.60s %.60s",
                   text, path);
        made(node, path, false);
        break;
    }
}

static void do_remove(void)
{
    char path[MODEL_PATH];

    model_random_path(path);
    if (unit_random_below(2))
        CHECK_CALL(sys_unlinkat(HERE, P(path), 0, 0, 0, 0), model_unlink(path), "unlink %.60s",
                   path);
    else
        CHECK_CALL(sys_unlinkat(HERE, P(path), AT_REMOVEDIR, 0, 0, 0), model_rmdir(path),
                   "rmdir %.60s", path);
}

static void do_move(void)
{
    char from[MODEL_PATH], to[MODEL_PATH];
    unsigned flags = 0;

    do { /* with two wrong paths, which error comes first is not told */
        model_random_path(from);
        model_random_path(to);
    } while (strlen(from) > NAME_MAX || strlen(to) > NAME_MAX);
    if (unit_random_below(4) == 0) {
        flags = unit_random_below(2) ? AT_SYMLINK_FOLLOW : 0;
        CHECK_CALL(sys_linkat(HERE, P(from), HERE, P(to), flags, 0), model_link(from, to, flags),
                   "link %.60s %.60s", from, to);
        return;
    }
    if (unit_random_below(3) == 0)
        flags = unit_random_below(2) ? RENAME_NOREPLACE : RENAME_EXCHANGE;
    CHECK_CALL(sys_renameat2(HERE, P(from), HERE, P(to), flags, 0),
               model_rename(from, to, flags == RENAME_NOREPLACE, flags == RENAME_EXCHANGE),
               "rename %.60s %.60s %u", from, to, flags);
}

/* Returns whether there was something. */
static bool do_look(void)
{
    char path[MODEL_PATH], text[PATH_MAX];
    bool follow = unit_random_below(2);
    int node;
    long n;

    model_random_path(path);
    if (unit_random_below(20) == 0) {
        CHECK_CALL(sys_chdir(P(path), 0, 0, 0, 0, 0), model_chdir(path), "chdir %.60s", path);
        return false;
    }
    node = model_lookup(path, follow);
    CHECK_CALL(stat_path(path, follow), node, "stat %.60s", path);
    if (node < 0)
        return false;
    check_stat(node, path);
    if (model_nodes[node].type != NODE_LINK)
        return true;
    n = sys_readlinkat(HERE, P(path), P(text), sizeof(text), 0, 0);
    CHECK_EQ(n, strlen(model_nodes[node].text));
    CHECK_EQ(memcmp(text, model_nodes[node].text, n), 0);
    return true;
}

/* Remove all that is left, deepest first. */
static void remove_all(int dir, char *path, size_t length)
{
    while (model_nodes[dir].count) {
        int node = model_nodes[dir].entries[0].node;
        size_t n = length + sprintf(path + length, "/%s", model_nodes[dir].entries[0].name);

        if (model_nodes[node].type == NODE_DIR) {
            remove_all(node, path, n);
            path[n] = 0;
            CHECK_EQ(sys_unlinkat(HERE, P(path), AT_REMOVEDIR, 0, 0, 0), model_rmdir(path));
        } else {
            CHECK_EQ(sys_unlinkat(HERE, P(path), 0, 0, 0, 0), model_unlink(path));
        }
    }
}

TEST(path_lookup_half_a_million_random_calls)
{
    static char path[MODEL_NODES * 50];
    int successes = 0;
    u64 objects;

    vfs_start();
    vfs_shrink();
    objects = kmalloc_in_use;
    model_reset();
    made(0, "/", true);
    for (int op = 0; op < 500000; op++) {
        bool growing = unit_random_below(100) < ((op / 10000) % 2 ? 20 : 50);

        switch (unit_random_below(10)) {
        case 0 ... 2:
            growing ? do_make() : do_remove();
            break;
        case 3 ... 4:
            do_move();
            break;
        default:
            successes += do_look();
        }
        if (op % 5000 == 0)
            vfs_shrink();
    }
    CHECK(successes > 50000); /* or the paths are too strange */
    CHECK_EQ(sys_chdir(P("/"), 0, 0, 0, 0, 0), model_chdir("/"));
    remove_all(0, path, 0);
    vfs_shrink();
    CHECK_EQ(kmalloc_in_use, objects);
    CHECK_EQ(current->preempt_count, 0);
}

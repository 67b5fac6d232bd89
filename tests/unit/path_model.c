/* SPDX-License-Identifier: MIT */
/*
 * See path_model.h. Where the order of two errors matters it is Linux's; the
 * manual pages leave it open.
 */
#include "tests/unit/path_model.h"
#include "unit.h"
#include <linux/limits.h>
#include <vellum/error.h>
#include <vellum/string.h>

#define MAX_LINKS 40

struct model_node model_nodes[MODEL_NODES];
int model_cwd;

/* Where a walk stopped: in `dir`, before its last name. */
struct place {
    int dir;
    char last[NAME_MAX + 1];
    bool slash; /* the name is followed by one */
    enum { NORMAL, DOT, DOT_DOT, ROOT } kind;
};

static char *copy_text(const char *s)
{
    return memcpy(malloc(strlen(s) + 1), s, strlen(s) + 1);
}

/* ---- the tree -------------------------------------------------------------------- */

static bool is_dir(int node)
{
    return model_nodes[node].type == NODE_DIR;
}

/* A directory whose name is gone: nothing can be put into it any more. */
static bool is_dead(int dir)
{
    return dir != 0 && model_nodes[dir].links == 0;
}

static struct model_entry *find_entry(int dir, const char *name)
{
    struct model_node *d = &model_nodes[dir];

    for (int i = 0; i < d->count; i++)
        if (strcmp(d->entries[i].name, name) == 0)
            return &d->entries[i];
    return NULL;
}

static void add_entry(int dir, const char *name, int node)
{
    struct model_node *d = &model_nodes[dir];

    d->entries = realloc(d->entries, (d->count + 1) * sizeof(*d->entries));
    d->entries[d->count++] = (struct model_entry){copy_text(name), node};
    model_nodes[node].links++;
    if (is_dir(node))
        model_nodes[node].parent = dir;
}

static void remove_entry(int dir, struct model_entry *entry)
{
    struct model_node *d = &model_nodes[dir];

    model_nodes[entry->node].links--;
    free(entry->name);
    *entry = d->entries[--d->count];
}

/* Is `above` the directory `dir` or one of those it lies in? */
static bool is_above(int above, int dir)
{
    for (;; dir = model_nodes[dir].parent) {
        if (dir == above)
            return true;
        if (dir == 0)
            return false;
    }
}

static void free_node(struct model_node *node)
{
    for (int i = 0; i < node->count; i++)
        free(node->entries[i].name);
    free(node->entries);
    free(node->text);
    *node = (struct model_node){0};
}

/* Free what has no name, except the working directory and those above it. */
static void collect(void)
{
    for (int i = 1; i < MODEL_NODES; i++)
        if (model_nodes[i].type && model_nodes[i].links == 0 &&
            !(is_dir(i) && is_above(i, model_cwd)))
            free_node(&model_nodes[i]);
}

static int find_free(void)
{
    collect();
    for (int i = 1; i < MODEL_NODES; i++)
        if (!model_nodes[i].type)
            return i;
    return -1;
}

bool model_full(void)
{
    return find_free() < 0;
}

void model_reset(void)
{
    for (int i = 0; i < MODEL_NODES; i++)
        free_node(&model_nodes[i]);
    model_nodes[0].type = NODE_DIR;
    model_cwd = 0;
}

static int make(const struct place *place, enum node_type type)
{
    int node = find_free();

    model_nodes[node].type = type;
    add_entry(place->dir, place->last, node);
    return node;
}

/* ---- the walk ---------------------------------------------------------------------- */

static int resolve(int dir, const char *path, bool follow, int *links);

/* What one name means in a directory. */
static int step(int dir, const char *name, bool follow, int *links)
{
    struct model_entry *entry;

    if (strcmp(name, ".") == 0)
        return dir;
    if (strcmp(name, "..") == 0)
        return dir == 0 ? 0 : model_nodes[dir].parent;
    entry = find_entry(dir, name);
    if (!entry)
        return -ENOENT;
    if (model_nodes[entry->node].type != NODE_LINK || !follow)
        return entry->node;
    if (++*links > MAX_LINKS)
        return -ELOOP;
    return resolve(dir, model_nodes[entry->node].text, true, links);
}

/* Go along a path up to its last name. */
static int go_to_last(int dir, const char *path, int *links, struct place *place)
{
    size_t length;

    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (!*path)
        return -ENOENT;
    *place = (struct place){.dir = *path == '/' ? 0 : dir, .kind = ROOT};
    for (path += strspn(path, "/"); *path;) {
        if (!is_dir(place->dir))
            return -ENOTDIR;
        length = strcspn(path, "/");
        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(place->last, path, length);
        place->last[length] = 0;
        place->slash = path[length] == '/';
        path += length;
        path += strspn(path, "/");
        if (!*path)
            break;
        place->dir = step(place->dir, place->last, true, links);
        if (place->dir < 0)
            return place->dir;
    }
    if (*place->last)
        place->kind = strcmp(place->last, ".") == 0    ? DOT
                      : strcmp(place->last, "..") == 0 ? DOT_DOT
                                                       : NORMAL;
    return 0;
}

static int resolve(int dir, const char *path, bool follow, int *links)
{
    struct place place;
    int error = go_to_last(dir, path, links, &place), node;

    if (error)
        return error;
    if (place.kind == ROOT)
        return 0;
    node = step(place.dir, place.last, follow || place.slash, links);
    if (node >= 0 && place.slash && !is_dir(node))
        return -ENOTDIR;
    return node;
}

int model_lookup(const char *path, bool follow)
{
    int links = 0;

    return resolve(model_cwd, path, follow, &links);
}

static int find_place(const char *path, struct place *place)
{
    int links = 0;

    return go_to_last(model_cwd, path, &links, place);
}

/* The place for a new name. */
static int find_new_place(const char *path, struct place *place, bool directory)
{
    int error = find_place(path, place);

    if (error)
        return error;
    if (place->kind != NORMAL || find_entry(place->dir, place->last))
        return -EEXIST;
    if (place->slash && !directory)
        return -ENOENT;
    return 0;
}

/* ---- the calls --------------------------------------------------------------------- */

int model_mkdir(const char *path)
{
    struct place place;
    int error = find_new_place(path, &place, true);

    if (error)
        return error;
    return is_dead(place.dir) ? -ENOENT : make(&place, NODE_DIR);
}

int model_create(const char *path)
{
    struct place place;
    int error = find_place(path, &place);

    if (error)
        return error;
    if (place.kind != NORMAL)
        return -EEXIST;
    if (place.slash)
        return -EISDIR;
    if (find_entry(place.dir, place.last))
        return -EEXIST;
    return is_dead(place.dir) ? -ENOENT : make(&place, NODE_FILE);
}

int model_open(const char *path)
{
    struct model_entry *entry;
    struct place place;
    int links = 0, dir = model_cwd;

    for (;;) {
        int error = go_to_last(dir, path, &links, &place);

        if (error)
            return error;
        if (place.kind != NORMAL || place.slash)
            return -EISDIR;
        entry = find_entry(place.dir, place.last);
        if (!entry)
            return is_dead(place.dir) ? -ENOENT : make(&place, NODE_FILE);
        if (model_nodes[entry->node].type != NODE_LINK)
            return is_dir(entry->node) ? -EISDIR : entry->node;
        if (++links > MAX_LINKS)
            return -ELOOP;
        dir = place.dir;
        path = model_nodes[entry->node].text;
    }
}

int model_symlink(const char *text, const char *path)
{
    struct place place;
    int error, node;

    if (!*text)
        return -ENOENT;
    if (strlen(text) >= PATH_MAX)
        return -ENAMETOOLONG;
    error = find_new_place(path, &place, false);
    if (error)
        return error;
    if (is_dead(place.dir))
        return -ENOENT;
    node = make(&place, NODE_LINK);
    model_nodes[node].text = copy_text(text);
    return node;
}

int model_link(const char *from, const char *to, bool follow)
{
    int node = model_lookup(from, follow), error;
    struct place place;

    if (node < 0)
        return node;
    error = find_new_place(to, &place, false);
    if (error)
        return error;
    if (is_dead(place.dir))
        return -ENOENT;
    if (is_dir(node))
        return -EPERM;
    add_entry(place.dir, place.last, node);
    return 0;
}

int model_unlink(const char *path)
{
    struct model_entry *entry;
    struct place place;
    int error = find_place(path, &place);

    if (error)
        return error;
    if (place.kind != NORMAL)
        return -EISDIR;
    entry = find_entry(place.dir, place.last);
    if (!entry)
        return -ENOENT;
    if (is_dir(entry->node))
        return -EISDIR;
    if (place.slash)
        return -ENOTDIR;
    remove_entry(place.dir, entry);
    return 0;
}

int model_rmdir(const char *path)
{
    struct model_entry *entry;
    struct place place;
    int error = find_place(path, &place);

    if (error)
        return error;
    if (place.kind != NORMAL)
        return place.kind == DOT ? -EINVAL : place.kind == DOT_DOT ? -ENOTEMPTY : -EBUSY;
    entry = find_entry(place.dir, place.last);
    if (!entry)
        return -ENOENT;
    if (!is_dir(entry->node))
        return -ENOTDIR;
    if (model_nodes[entry->node].count)
        return -ENOTEMPTY;
    remove_entry(place.dir, entry);
    return 0;
}

/* May `old` be moved to where `new` (or nothing: NULL) is? */
static int check_rename(const struct place *from, const struct model_entry *old,
                        const struct place *to, const struct model_entry *new, bool exchange)
{
    bool dir = is_dir(old->node), to_dir = new &&is_dir(new->node);

    if (exchange && !to_dir && to->slash)
        return -ENOTDIR;
    if (!dir && (from->slash || (!exchange && to->slash)))
        return -ENOTDIR;
    if (dir && from->dir != to->dir && is_above(old->node, to->dir))
        return -EINVAL;
    if (to_dir && from->dir != to->dir && is_above(new->node, from->dir))
        return exchange ? -EINVAL : -ENOTEMPTY;
    if (!new || new->node == old->node || exchange)
        return 0;
    if (dir != to_dir)
        return dir ? -ENOTDIR : -EISDIR;
    return to_dir && model_nodes[new->node].count ? -ENOTEMPTY : 0;
}

static void swap_entries(const struct place *from, struct model_entry *old, const struct place *to,
                         struct model_entry *new)
{
    SWAP(old->node, new->node);
    if (is_dir(old->node))
        model_nodes[old->node].parent = from->dir;
    if (is_dir(new->node))
        model_nodes[new->node].parent = to->dir;
}

int model_rename(const char *from, const char *to, bool no_replace, bool exchange)
{
    struct model_entry *old, *new;
    struct place a, b;
    int error = find_place(from, &a), node;

    if (!error)
        error = find_place(to, &b);
    if (error)
        return error;
    if (a.kind != NORMAL)
        return -EBUSY;
    if (b.kind != NORMAL)
        return no_replace ? -EEXIST : -EBUSY;
    old = find_entry(a.dir, a.last);
    if (!old || is_dead(b.dir))
        return -ENOENT;
    new = find_entry(b.dir, b.last);
    if (new &&no_replace)
        return -EEXIST;
    if (!new &&exchange)
        return -ENOENT;
    error = check_rename(&a, old, &b, new, exchange);
    if (error || (new &&new->node == old->node))
        return error;
    if (exchange) {
        swap_entries(&a, old, &b, new);
        return 0;
    }
    if (new)
        remove_entry(b.dir, new);
    node = old->node;
    add_entry(b.dir, b.last, node);
    remove_entry(a.dir, find_entry(a.dir, a.last));
    return 0;
}

int model_chdir(const char *path)
{
    int node = model_lookup(path, true);

    if (node < 0)
        return node;
    if (!is_dir(node))
        return -ENOTDIR;
    model_cwd = node;
    collect();
    return 0;
}

/* ---- paths ------------------------------------------------------------------------- */

#define LONG_NAME "a-name-of-forty-characters-to-be-hashed-"

static const char *random_name(void)
{
    static const char *const names[] = {
        "a", "b", "c", "d", "ee", "eight888", "nine99999", LONG_NAME, ".", "..", "...", ".a",
    };

    return names[unit_random_below(unit_random_below(3) ? 4 : ARRAY_SIZE(names))];
}

static void strange_path(char *path)
{
    unsigned n = unit_random_below(8) + NAME_MAX - 4;

    switch (unit_random_below(4)) {
    case 0:
        *path = 0;
        break;
    case 1: /* about as long as a name can be; not where nothing can be anyway */
        n = is_dead(model_cwd) ? 1 : n;
        memset(path, 'x', n);
        path[n] = 0;
        break;
    case 2: /* about as long as a path can be */
        n = PATH_MAX - 5 + unit_random_below(8);
        for (unsigned i = 0; i < n; i++)
            path[i] = i % 2 ? '/' : '.';
        path[n] = 0;
        break;
    case 3:
        memcpy(path, "///", 4);
        break;
    }
}

/* The next name of a path in `dir` (-1: nowhere): most often of something that is there. */
static const char *next_name(int *dir)
{
    const struct model_node *d = *dir < 0 ? NULL : &model_nodes[*dir];
    const char *name;
    int links = 0;

    if (d && d->count && unit_random_below(4))
        name = d->entries[unit_random_below(d->count)].name;
    else
        name = random_name();
    if (d)
        *dir = step(*dir, name, true, &links);
    if (*dir >= 0 && !is_dir(*dir))
        *dir = -1;
    return name;
}

void model_random_path(char *path)
{
    unsigned names = 1 + unit_random_below(unit_random_below(4) ? 3 : 6);
    int dir = model_cwd;

    *path = 0;
    if (unit_random_below(100) == 0) {
        strange_path(path);
        return;
    }
    if (unit_random_below(3) == 0) {
        path += sprintf(path, unit_random_below(8) ? "/" : "//");
        dir = 0;
    }
    while (names--)
        path += sprintf(path, "%s%s", next_name(&dir),
                        !names                  ? ""
                        : unit_random_below(10) ? "/"
                                                : "///");
    if (unit_random_below(10) == 0)
        sprintf(path, unit_random_below(4) ? "/" : "//");
}

/* SPDX-License-Identifier: MIT */
/*
 * Propagation: a mount below a shared mount appears below its peers and their slaves too
 * (mount_namespaces(7), "Shared subtrees").
 *
 *     group 1:   A ----- B         peers: a ring. What is mounted at A/d is mounted at B/d as well,
 *                        |         and the two mounts are peers of each other.
 *     group 2:       C ----- D     slaves of a mount of group 1: they see what happens there, and do
 *                                  not tell. As C and D are peers too, they have a group of their own.
 *
 * Each slave stands in the list of one mount of its master's group. If that one goes, or stops being
 * shared, the slave is handed on to a peer of it.
 */
#include "mount.h"

static int last_group;     /* [mount_mutex] */
static unsigned last_pass; /* [mount_mutex] */

/* ---- kinds of mounts => mount_mutex -------------------------------------------------------------------- */

static void make_shared(struct mount *m)
{
    if (!m->group)
        m->group = ++last_group;
}

static struct mount *another_peer(struct mount *m)
{
    return list_empty(&m->peers) ? NULL : list_first_entry(&m->peers, struct mount, peers);
}

static void set_master(struct mount *m, struct mount *master)
{
    list_del_init(&m->slave_link);
    m->master = master;
    if (master)
        list_add(&m->slave_link, &master->slaves);
}

/* m becomes the slave of what its peers are; without peers nothing more reaches it but from its own
 * master. Its slaves are handed on. */
static void make_slave(struct mount *m)
{
    struct mount *peer = another_peer(m), *master = peer ? peer : m->master;

    while (!list_empty(&m->slaves))
        set_master(list_first_entry(&m->slaves, struct mount, slave_link), master);
    list_del_init(&m->peers);
    m->group = 0;
    set_master(m, master);
}

void mount_make_private(struct mount *m)
{
    if (!m->group && !m->master)
        return;
    make_slave(m);
    set_master(m, NULL);
}

static void set_one(struct mount *m, unsigned long type)
{
    m->unbindable = type == MS_UNBINDABLE;
    if (type == MS_SHARED)
        make_shared(m);
    else if (type == MS_SLAVE && m->group)
        make_slave(m);
    else if (type != MS_SLAVE)
        mount_make_private(m);
}

void mount_set_propagation(struct mount *m, unsigned long type, bool recursive)
{
    for (struct mount *at = m; at; at = recursive ? mount_next_below(at, m) : NULL)
        set_one(at, type);
}

void mount_join_peers(struct mount *copy, struct mount *from)
{
    if (from->group) {
        copy->group = from->group;
        list_add(&copy->peers, &from->peers);
    }
    set_master(copy, from->master);
}

/* ---- where it is to appear ------------------------------------------------------------------------------ */

/* The copies made so far: detached trees whose ->parent says where each is to be attached. */
struct propagation {
    struct dentry *mountpoint;
    struct path origin; /* where the tree itself is attached */
    struct list copies; /* by sibling */
    struct list groups; /* by pass_link: slaves that it has not come to yet */
    unsigned pass;
};

/* A copy of a whole tree, each mount of it a peer of what it copies; or a slave, in a new group if asked. */
static struct mount *copy_related(struct mount *from, bool slave, bool shared)
{
    struct mount *copy = mount_copy(from, from->root, true), *c, *f;

    if (is_err(copy))
        return copy;
    for (c = copy, f = from; c; c = mount_next_below(c, copy), f = mount_next_below(f, from)) {
        c->pass = last_pass; /* it is in the group now, but has seen this */
        if (!slave)
            continue;
        mount_make_private(c);
        set_master(c, f);
        if (shared)
            make_shared(c);
    }
    return copy;
}

/* To one mount; its slaves are to come. *from: the copy that the next peer is to copy. */
static int propagate_one(struct propagation *p, struct mount *target, struct mount **from,
                         bool slave)
{
    struct mount *copy = *from, *s;

    if (target->pass == p->pass) /* new itself, or it has seen this */
        return 0;
    target->pass = p->pass;
    if (target != p->origin.mount && mount_shows(target, p->mountpoint)) {
        copy = copy_related(*from, slave, target->group != 0);
        if (is_err(copy))
            return ptr_err(copy);
        copy->parent = target;
        list_add_tail(&copy->sibling, &p->copies);
    }
    list_for_each_entry(s, &target->slaves, slave_link) {
        if (s->pass == p->pass)
            continue;
        s->pass_from = copy;
        list_add_tail(&s->pass_link, &p->groups);
    }
    if (target->group)
        *from = copy;
    return 0;
}

/* To a mount and its peers. The first copy for a group of slaves is a slave, the others are its peers. */
static int propagate_group(struct propagation *p, struct mount *first, struct mount *from,
                           bool slave)
{
    struct mount *target = first, *before = from;
    int error;

    do {
        error = propagate_one(p, target, &from, slave && from == before);
        target = list_empty(&target->peers) ? first
                                            : list_first_entry(&target->peers, struct mount, peers);
    } while (!error && target != first);
    return error;
}

/* To a group, and to those of its slaves, one after the other. */
static int propagate_all(struct propagation *p, struct mount *first, struct mount *from)
{
    int error = propagate_group(p, first, from, false);

    while (!list_empty(&p->groups)) {
        struct mount *s = list_first_entry(&p->groups, struct mount, pass_link);

        list_del_init(&s->pass_link);
        if (!error)
            error = propagate_group(p, s, s->pass_from, true);
    }
    return error;
}

/* Under what may be mounted there already, which stays what is seen. */
static void attach_below(struct mount *copy, const struct path *where)
{
    struct mount *on_top = mount_find(where->mount, where->dentry);
    struct path root = {.mount = copy, .dentry = copy->root};

    if (on_top)
        mount_detach(on_top);
    mount_attach(copy, where);
    if (on_top) {
        mount_attach(on_top, &root);
        mount_put(on_top);
    }
}

int mount_propagate(struct mount *m, const struct path *where)
{
    struct propagation p = {.mountpoint = where->dentry,
                            .origin = *where,
                            .copies = LIST_INIT(p.copies),
                            .groups = LIST_INIT(p.groups),
                            .pass = ++last_pass};
    struct mount *copy, *next;
    struct path at;
    int error;

    for (copy = m; copy; copy = mount_next_below(copy, m)) {
        make_shared(copy);
        copy->pass = p.pass;
    }
    error = propagate_all(&p, where->mount, m);
    if (!error)
        mount_attach(m, where);
    list_for_each_entry_safe(copy, next, &p.copies, sibling) {
        list_del_init(&copy->sibling);
        at = (struct path){.mount = copy->parent, .dentry = where->dentry};
        copy->parent = NULL;
        if (error)
            mount_remove_tree(copy, false);
        else
            attach_below(copy, &at);
    }
    return error;
}

/* ---- going away ------------------------------------------------------------------------------------------- */

static void add_target(struct list *targets, struct mount *m, unsigned pass)
{
    if (m->pass == pass)
        return;
    m->pass = pass;
    list_add_tail(&m->pass_link, targets);
}

/* The mount's peers, unless they have been added together, and its slaves. */
static void add_related(struct list *targets, struct mount *m, unsigned pass)
{
    struct mount *other;

    if (!list_empty(&m->peers) && list_first_entry(&m->peers, struct mount, peers)->pass != pass)
        list_for_each_entry(other, &m->peers, peers)
            add_target(targets, other, pass);
    list_for_each_entry(other, &m->slaves, slave_link)
        add_target(targets, other, pass);
}

/* Call fn on the copies of m that stand below the peers of its parent and their slaves, until one of the
 * calls says so. Returns whether one did. A copy that fn removes may be one of these itself. */
static bool for_each_copy(struct mount *m, bool (*fn)(struct mount *copy))
{
    struct list targets = LIST_INIT(targets);
    struct mount *parent = m->parent, *target, *copy;
    unsigned pass = ++last_pass;
    bool stop = false;

    add_target(&targets, parent, pass);
    list_for_each_entry(target, &targets, pass_link) /* which grows */
        add_related(&targets, target, pass);
    while (!list_empty(&targets)) {
        target = list_first_entry(&targets, struct mount, pass_link);
        list_del_init(&target->pass_link);
        copy = stop || target == parent ? NULL : mount_find(target, m->mountpoint);
        if (!copy)
            continue;
        if (copy->sb == m->sb && copy->root == m->root)
            stop = fn(copy);
        mount_put(copy);
    }
    return stop;
}

static bool is_busy(struct mount *copy)
{
    return list_empty(&copy->children) && atomic_read(&copy->refs) > 2; /* the tree's and ours */
}

static bool remove_copy(struct mount *copy)
{
    if (list_empty(&copy->children))
        mount_remove(copy);
    return false;
}

bool mount_copies_busy(struct mount *m)
{
    return m->parent->group && for_each_copy(m, is_busy);
}

void mount_remove_copies(struct mount *m)
{
    if (m->parent->group)
        for_each_copy(m, remove_copy);
}

/* SPDX-License-Identifier: MIT */
/*
 * Symbolic links on the way of a path walk (walk.c).
 *
 * The text of a link is walked in place of its name; what followed the name is remembered as a place to go
 * on at. Links nest, so places are a stack; a link at the very end of a text needs none.
 */
#include "internal.h"

/* Where to go on once the text of a symbolic link is used up. */
struct walk_place {
    const char *rest;
    struct dentry *link; /* keeps the text of rest, or */
    char *buffer;        /* this is where it is, or it is the caller's */
};

static int walk_to_root(struct walk *w)
{
    if (unlikely(w->flags & LOOKUP_BENEATH))
        return -EXDEV;
    if (unlikely(w->flags & LOOKUP_NO_XDEV) && w->root.mount != w->path.mount)
        return -EXDEV;
    path_get(&w->root);
    walk_jump(w, &w->root);
    return 0;
}

static void walk_drop_text(struct walk *w)
{
    if (w->link)
        dentry_put(w->link);
    if (w->link_buffer)
        name_free(w->link_buffer);
    w->link = NULL;
    w->link_buffer = NULL;
}

/* Remember the rest of the present text, and who keeps it. */
static int walk_push(struct walk *w)
{
    if (!w->places) {
        w->places = kmalloc_array(MAX_LINK_JUMPS, sizeof(*w->places), ALLOC_KERNEL);
        if (!w->places)
            return -ENOMEM;
    }
    w->places[w->depth++] =
        (struct walk_place){.rest = w->rest, .link = w->link, .buffer = w->link_buffer};
    w->link = NULL;
    w->link_buffer = NULL;
    return 0;
}

void walk_pop(struct walk *w)
{
    struct walk_place *place = &w->places[--w->depth];

    walk_drop_text(w);
    w->rest = place->rest;
    w->link = place->link;
    w->link_buffer = place->buffer;
}

static const char *link_text(struct inode *inode, char **buffer)
{
    const char *text = inode->ops->get_link(inode, NULL);

    *buffer = NULL;
    if (text != err_ptr(-EAGAIN))
        return text;
    *buffer = name_alloc();
    if (!*buffer)
        return err_ptr(-ENOMEM);
    text = inode->ops->get_link(inode, *buffer);
    if (is_err(text)) {
        name_free(*buffer);
        *buffer = NULL;
    }
    return text;
}

/* Links that lead to an object, for which there is no saying whether it lies inside a scope. */
static int walk_jump_link(struct walk *w, struct inode *inode)
{
    struct path target;
    int error;

    if (unlikely(w->flags & LOOKUP_NO_MAGIC_LINKS))
        return -ELOOP;
    error = inode->ops->follow(inode, &target);
    if (error)
        return error;
    if (unlikely(w->flags & LOOKUP_SCOPED) ||
        (unlikely(w->flags & LOOKUP_NO_XDEV) && target.mount != w->path.mount)) {
        path_put(&target);
        return -EXDEV;
    }
    walk_jump(w, &target);
    return 0;
}

int walk_follow(struct walk *w, struct dentry *d)
{
    struct inode *inode = d->inode;
    const char *text;
    char *buffer;
    int error = -ELOOP;

    if (w->jumps++ >= MAX_LINK_JUMPS || (w->flags & LOOKUP_NO_SYMLINKS) ||
        (w->path.mount->flags & MS_NOSYMFOLLOW))
        goto fail;
    inode_accessed(w->path.mount, inode);
    if (inode->ops->follow) {
        error = walk_jump_link(w, inode);
        dentry_put(d);
        return error;
    }
    text = link_text(inode, &buffer);
    error = is_err(text) ? ptr_err(text) : 0;
    if (error)
        goto fail;
    if (*w->rest)
        error = walk_push(w);
    else
        walk_drop_text(w);
    if (!error && !*text)
        error = -ENOENT;
    if (error) {
        if (buffer)
            name_free(buffer);
        goto fail;
    }
    w->link = d;
    w->link_buffer = buffer;
    w->rest = text;
    return *text == '/' ? walk_to_root(w) : 0;
fail:
    dentry_put(d);
    return error;
}

void walk_end_links(struct walk *w)
{
    while (w->depth)
        walk_pop(w);
    walk_drop_text(w);
    kfree(w->places);
}

/* SPDX-License-Identifier: MIT */
/*
 * A file system of names as plain arrays, and path lookup in it, written down as
 * path_resolution(7) and the pages of the system calls say. It knows nothing of
 * caches, references and locks, so that it can be seen to be right; it has also
 * been compared with Linux's own answers.
 *
 * Nodes are numbers; 0 is the root directory. Functions return 0 or a node, or a
 * negative errno.
 */
#ifndef TESTS_UNIT_PATH_MODEL_H
#define TESTS_UNIT_PATH_MODEL_H

#include <stdbool.h>

#define MODEL_NODES 400
#define MODEL_PATH  4200

enum node_type { NODE_FREE, NODE_DIR, NODE_FILE, NODE_LINK };

struct model_node {
    enum node_type type;
    int links;  /* names; of a directory: 1 while it has one */
    int parent; /* of a directory */
    char *text; /* of a symbolic link */
    struct model_entry {
        char *name;
        int node;
    } * entries; /* of a directory */
    int count;
    unsigned long id; /* the test's: inode number in the system that is tested */
};

extern struct model_node model_nodes[MODEL_NODES];
extern int model_cwd;

void model_reset(void);
bool model_full(void); /* no room for another node */

/* The node that a path means. follow: also if the last name is a symbolic link. */
int model_lookup(const char *path, bool follow);

int model_mkdir(const char *path);
int model_create(const char *path); /* open(O_CREAT | O_EXCL) */
int model_open(const char *path);   /* open(O_CREAT): the node */
int model_symlink(const char *text, const char *path);
int model_link(const char *from, const char *to, bool follow);
int model_unlink(const char *path);
int model_rmdir(const char *path);
int model_rename(const char *from, const char *to, bool no_replace, bool exchange);
int model_chdir(const char *path);

/* A path of a few names, some of which exist; now and then of an unusual shape. */
void model_random_path(char *path);

#endif

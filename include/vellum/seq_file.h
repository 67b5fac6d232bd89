/* SPDX-License-Identifier: MIT */
/*
 * Files whose text is made when they are read (procfs): the text is produced at the first read from
 * offset 0 into a buffer that grows, and served from there.
 *
 * A file of many records may make its text a buffer at a time, so that a reading of any length needs
 * little memory and its calls are short. Its show begins at m->cursor (0: the first record), and asks
 * after each record whether the buffer is full:
 *
 *      for (r = first_from(m->cursor); r; r = next(r)) {
 *          size_t before = m->used;
 *          show_one(m, r);
 *          if (seq_full(m, before, cursor_of(r)))
 *              break;
 *      }
 */
#ifndef VELLUM_SEQ_FILE_H
#define VELLUM_SEQ_FILE_H

#include <vellum/file.h>

struct seq_file {
    char *buffer;
    size_t size, used;
    bool overflow; /* show() is run again with a larger buffer */
    bool more;     /* show() goes on from the cursor when this has been read */
    u64 cursor;
    loff_t start; /* where in the file the buffer begins */
    struct mutex mutex;
    int (*show)(struct seq_file *m, void *arg);
    void *arg;
};
/* For file_ops->open: the file will read as what show prints. 0 or -ENOMEM. */
int seq_open(struct file *file, int (*show)(struct seq_file *m, void *arg), void *arg);
ssize_t seq_read(struct file *file, struct iov_iter *iter, loff_t *pos);
void seq_release(struct file *file);
/* The record that began when m->used was `before` does not fit: it is taken back, and show returns; the
 * next run begins with it, at cursor. A single one that is larger than the buffer makes it larger. */
bool seq_full(struct seq_file *m, size_t before, u64 cursor);
void seq_printf(struct seq_file *m, const char *format, ...) __printf(2, 3);
void seq_puts(struct seq_file *m, const char *s);
void seq_putc(struct seq_file *m, char c);
void seq_write(struct seq_file *m, const void *data, size_t n);
void seq_mask(struct seq_file *m, u64 bits, unsigned width); /* hex, as many digits as width bits */
void seq_ranges(struct seq_file *m, u64 bits);               /* "0-3,5" */
void seq_escape(struct seq_file *m, const char *s, const char *chars); /* as \ooo */

#endif

/* SPDX-License-Identifier: MIT */
/* Reading files of /proc and /sys: numbers behind names, fields of stat. */
#ifndef ABI_PROCFILE_H
#define ABI_PROCFILE_H

#include "check.h"

static char proc_text[1 << 18];

/* The text of a file whose name is printed with FORMAT; "" if it cannot be read. */
static CHECK_USED __attribute__((format(printf, 1, 2))) char *proc_read(const char *format, ...)
{
    char path[PATH_MAX];
    va_list list;
    va_start(list, format);
    vsnprintf(path, sizeof(path), format, list);
    va_end(list);
    if (read_file(path, proc_text, sizeof(proc_text)) < 0)
        proc_text[0] = 0;
    return proc_text;
}

/* What stands behind NAME at the start of a line of TEXT, or NULL. */
static CHECK_USED char *line_of(char *text, const char *name)
{
    for (char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        if (!strncmp(p, name, strlen(name)))
            return p + strlen(name);
    return NULL;
}

/* The number behind NAME, -1 if there is none. */
static CHECK_USED long number_of(char *text, const char *name)
{
    char *p = line_of(text, name);
    return p ? strtol(p, NULL, 10) : -1;
}

static CHECK_USED unsigned long hex_of(char *text, const char *name)
{
    char *p = line_of(text, name);
    return p ? strtoul(p, NULL, 16) : 0;
}

/* Field N (as proc(5) counts, from 3 on) of the text of a stat file. */
static CHECK_USED char *field_at(char *text, int n)
{
    char *p = strrchr(text, ')');
    for (int i = 2; p && i < n; i++) {
        p = strchr(p, ' ');
        p = p ? p + 1 : NULL;
    }
    return p ? p : "";
}

static CHECK_USED long stat_field(const char *process, int n)
{
    return strtol(field_at(proc_read("/proc/%s/stat", process), n), NULL, 10);
}

static CHECK_USED unsigned long stat_word(const char *process, int n)
{
    return strtoul(field_at(proc_read("/proc/%s/stat", process), n), NULL, 10);
}

static CHECK_USED const char *pid_text(pid_t pid)
{
    static char text[4][16];
    static unsigned next;
    char *at = text[next++ % 4];
    snprintf(at, 16, "%d", pid);
    return at;
}

/* Opens and reads: 0 or an errno. */
static CHECK_USED int read_error(const char *path)
{
    char byte[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC), error = errno;
    if (fd < 0)
        return error;
    error = read(fd, byte, sizeof(byte)) < 0 ? errno : 0;
    close(fd);
    return error;
}

/* Opens and writes: 0 or an errno. */
static CHECK_USED int write_error(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), error = errno;
    if (fd < 0)
        return error;
    error = write(fd, text, strlen(text)) < 0 ? errno : 0;
    close(fd);
    return error;
}

static CHECK_USED int starts_with(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

#endif

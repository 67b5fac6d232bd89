/* SPDX-License-Identifier: MIT */
/*
 * Scripts: a first line "#!interpreter [argument]" (execve(2), "Interpreter scripts").
 *
 * All that follows the interpreter's name is one argument, without the blanks around it. The script's
 * own name takes the place of argv[0].
 */
#include "exec.h"
#include <vellum/string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cut the line (in place, ended by zero) into name and argument (NULL: none). False if it is none. */
static bool parse_line(char *line, bool complete, char **name, char **argument)
{
    char *end = line + strlen(line), *p;

    if (complete)
        while (end > line && is_blank(end[-1]))
            *--end = '\0';
    line += strspn(line, " \t");
    if (!*line)
        return false;
    p = line + strcspn(line, " \t");
    if (!*p && !complete)
        return false; /* the name is cut off */
    *name = line;
    *argument = NULL;
    if (!*p)
        return true;
    *p++ = '\0';
    p += strspn(p, " \t");
    if (*p)
        *argument = p;
    return true;
}

int script_load(struct exec *e)
{
    char line[EXEC_HEAD], *name, *argument, *newline;
    struct file *interpreter;
    int error;

    if (e->head[0] != '#' || e->head[1] != '!')
        return -ENOEXEC;
    memcpy(line, e->head, EXEC_HEAD);
    newline = memchr(line, '\n', EXEC_HEAD);
    if (newline)
        *newline = '\0';
    line[EXEC_HEAD - 1] = '\0'; /* the rest of a longer line is cut off */
    if (!parse_line(line + 2, newline || strlen(line) < EXEC_HEAD - 1, &name, &argument))
        return -ENOEXEC;
    if (e->name_is_closed)
        return -ENOENT;
    error = exec_args_prepend(&e->args, name, argument, e->script ? e->script : e->name);
    if (error)
        return error;
    if (++e->depth > EXEC_DEPTH + 1)
        return -ELOOP;
    strlcpy(e->script_buffer, name, sizeof(e->script_buffer));
    e->script = e->script_buffer;
    interpreter = exec_open(AT_FDCWD, name, LOOKUP_FOLLOW);
    if (is_err(interpreter))
        return ptr_err(interpreter);
    exec_close(e->file);
    e->file = interpreter;
    return exec_read_head(e);
}

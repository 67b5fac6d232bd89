/* SPDX-License-Identifier: MIT */
/*
 * The kernel's command line: words separated by blanks, "..." keeps blanks together. What follows
 * a word `--` is arguments for init; words with `=` that no part of the kernel has asked for are
 * init's environment (bootparam(7)).
 */
#include <vellum/boot.h>
#include <vellum/string.h>

#define WORDS_MAX 128

struct boot_info boot_info;

static char text[COMMAND_LINE_MAX]; /* cut into words */
static char *words[WORDS_MAX];
static bool asked_for[WORDS_MAX]; /* by boot_param() */
static unsigned word_count, first_argument;

/* Cut the next word at *p off in place: quotes are removed, *p moves behind it. NULL at the end. */
static char *next_word(char **p)
{
    char *in = *p, *out, *word;
    bool quoted = false;

    while (*in == ' ' || *in == '\t' || *in == '\n')
        in++;
    if (!*in)
        return NULL;
    for (word = out = in; *in && (quoted || (*in != ' ' && *in != '\t' && *in != '\n')); in++) {
        if (*in == '"')
            quoted = !quoted;
        else
            *out++ = *in;
    }
    *p = *in ? in + 1 : in;
    *out = '\0';
    return word;
}

static void cut(void)
{
    char *p = text, *word;

    strlcpy(text, boot_info.command_line, sizeof(text));
    first_argument = WORDS_MAX;
    while (word_count < WORDS_MAX && (word = next_word(&p))) {
        if (first_argument == WORDS_MAX && strcmp(word, "--") == 0)
            first_argument = word_count;
        else
            words[word_count++] = word;
    }
    if (first_argument > word_count)
        first_argument = word_count;
}

const char *boot_param(const char *name)
{
    size_t n = strlen(name);
    const char *value = NULL;

    if (word_count == 0)
        cut();
    for (unsigned i = 0; i < first_argument; i++) {
        if (strncmp(words[i], name, n) != 0 || (words[i][n] != '=' && words[i][n] != '\0'))
            continue;
        asked_for[i] = true;
        value = words[i][n] == '=' ? words[i] + n + 1 : "";
    }
    return value;
}

u64 boot_param_u64(const char *name, u64 fallback)
{
    const char *s = boot_param(name);
    u64 value;

    if (!s)
        return fallback;
    if (str_to_size(*s == '-' ? s + 1 : s, NULL, &value) != 0)
        return fallback;
    return *s == '-' ? -value : value;
}

void boot_init_arguments(const char *init, char **argv, char **envp, unsigned max)
{
    unsigned nargs = 0, nenv = 0;

    argv[nargs++] = (char *)init;
    envp[nenv++] = (char *)"HOME=/";
    envp[nenv++] = (char *)"TERM=linux";
    for (unsigned i = 0; i < word_count; i++) {
        if (i >= first_argument) {
            if (nargs < max - 1)
                argv[nargs++] = words[i];
        } else if (!asked_for[i] && strchr(words[i], '=') && !strchr(words[i], '.')) {
            if (strncmp(words[i], "TERM=", 5) == 0)
                envp[1] = words[i];
            else if (strncmp(words[i], "HOME=", 5) == 0)
                envp[0] = words[i];
            else if (nenv < max - 1)
                envp[nenv++] = words[i];
        }
    }
    argv[nargs] = envp[nenv] = NULL;
}

/* SPDX-License-Identifier: MIT */
/* What the tests of local sockets share. */
#ifndef ABI_SOCKETS_H
#define ABI_SOCKETS_H

#include "check.h"

#include <sys/socket.h>
#include <sys/un.h>

/* An address: a path, or with '@' before it an abstract name. Returns its length. */
static CHECK_USED socklen_t name_of(struct sockaddr_un *a, const char *text)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    if (text[0] == '@') {
        memcpy(a->sun_path + 1, text + 1, strlen(text + 1));
        return offsetof(struct sockaddr_un, sun_path) + strlen(text);
    }
    strcpy(a->sun_path, text);
    return offsetof(struct sockaddr_un, sun_path) + strlen(text) + 1;
}

static CHECK_USED int bind_to(int fd, const char *text)
{
    struct sockaddr_un a;
    socklen_t n = name_of(&a, text);
    return bind(fd, (struct sockaddr *)&a, n);
}

static CHECK_USED int connect_to(int fd, const char *text)
{
    struct sockaddr_un a;
    socklen_t n = name_of(&a, text);
    return connect(fd, (struct sockaddr *)&a, n);
}

/* An option that is a number, or -1000 - errno. */
static CHECK_USED int option(int fd, int which)
{
    int value = -1;
    socklen_t n = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, which, &value, &n) == 0 ? value : -1000 - errno;
}

static CHECK_USED int events_of(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    poll(&p, 1, 0);
    return p.revents;
}

#endif

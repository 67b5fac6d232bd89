/* SPDX-License-Identifier: MIT */
/* The port to the host, and the frames on it (main.c lists them). */
#include "init.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PORT_DEVICE "/dev/virtio-ports/" PORT_NAME

/* On Linux the port's device is found by the name that /sys gives it. */
static int open_port_linux(void)
{
    char path[64], name[sizeof PORT_NAME + 1];
    for (int port = 0; port < 32; port++) {
        snprintf(path, sizeof path, "/sys/class/virtio-ports/vport%dp%d/name", port / 8, port % 8);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        ssize_t n = read(fd, name, sizeof name);
        close(fd);
        if (n >= (ssize_t)strlen(PORT_NAME) && !memcmp(name, PORT_NAME, strlen(PORT_NAME))) {
            snprintf(path, sizeof path, "/dev/vport%dp%d", port / 8, port % 8);
            return open(path, O_RDWR | O_CLOEXEC);
        }
    }
    errno = ENODEV;
    return -1;
}

int open_port(void)
{
    int fd = open(PORT_DEVICE, O_RDWR | O_CLOEXEC);
    return fd >= 0 ? fd : open_port_linux();
}

_Noreturn void port_failed(const char *what)
{
    complain(what);
    power_off();
}

static void write_all(int fd, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (n < 0 && errno != EINTR) {
            port_failed("write to the host");
        }
    }
}

static void read_all(int fd, uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = read(fd, data, size);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            port_failed("read from the host");
        }
    }
}

void send_frame(int port, char kind, uint8_t *frame, size_t size)
{
    frame[0] = (uint8_t)kind;
    for (int i = 0; i < 3; i++) {
        frame[1 + i] = (uint8_t)(size >> (8 * i));
    }
    write_all(port, frame, FRAME_HEADER + size);
}

char receive_frame(int port, uint8_t *data, size_t *size)
{
    uint8_t header[FRAME_HEADER];
    read_all(port, header, sizeof header);
    *size = header[1] | (size_t)header[2] << 8 | (size_t)header[3] << 16;
    if (*size > FRAME_DATA) {
        errno = EPROTO;
        port_failed("frame from the host");
    }
    read_all(port, data, *size);
    return (char)header[0];
}

void wait_for_host(int port, char kind)
{
    static uint8_t data[FRAME_DATA];
    size_t size;
    while (receive_frame(port, data, &size) != kind) {
    }
}

void ask_host(int port)
{
    uint8_t begin[FRAME_HEADER];
    send_frame(port, 'b', begin, 0);
    wait_for_host(port, 'g');
}

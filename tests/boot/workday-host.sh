#!/bin/bash
# SPDX-License-Identifier: MIT
# What workday.sh prints on this machine's own Linux: the text that Vellum's
# output is compared with.
#
#   workday-host.sh ARCH BUSYBOX > expected
#
# BUSYBOX is the one that the guest's image has, for ARCH; that of another
# machine runs under qemu-user.
set -eu
arch=$1 busybox=$(realpath "$2")
here=$(dirname "$(realpath "$0")")

# qemu-user 7.2 loses a SIGCHLD now and then, so that a shell waits for ever:
# a run that takes a minute is given up and made again.
if [ "${WORKDAY_PRIVATE:-}" != 1 ]; then
    elevate=
    [ "$(id -u)" = 0 ] || elevate=sudo
    for attempt in 1 2 3 4; do
        status=0
        text=$($elevate timeout -s KILL 60 env WORKDAY_PRIVATE=1 \
            unshare --mount --pid --fork --kill-child "$0" "$@") || status=$?
        [ $status = 137 ] || break
    done
    printf '%s\n' "$text"
    exit $status
fi

. "$here/../abi/emulator.sh"
register_emulator "$arch"
mount -t proc none /proc
mount -t tmpfs none /mnt
cp "$busybox" /mnt/busybox
cp "$here/workday.sh" /mnt
mount -t tmpfs -o mode=1777 none /tmp
cd /
exec env -i /mnt/busybox ash /mnt/workday.sh /mnt/busybox < /dev/null

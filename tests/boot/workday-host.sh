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

if [ "${WORKDAY_PRIVATE:-}" != 1 ]; then
    elevate=
    [ "$(id -u)" = 0 ] || elevate=sudo
    exec $elevate env WORKDAY_PRIVATE=1 unshare --mount --pid --fork --kill-child "$0" "$@"
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

#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: chroot.sh ROOT COMMAND ARG...
# Run a command in a root file system on this host's Linux, in a process and
# mount namespace of its own. What it writes is gone afterwards: an overlay
# takes it, or, where there is none, a copy of the root.
set -e
if [ "${1-}" != --inside ]; then
    exec unshare --mount --pid --fork --kill-child sh "$0" --inside "$@"
fi
root=$2
shift 2
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root 2>/dev/null ||
    cp -a "$root/." /mnt/root
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
mount -t tmpfs -o mode=1777 tmpfs /mnt/root/tmp
exec env -i "$(command -v chroot)" /mnt/root "$@"

#!/bin/bash
# SPDX-License-Identifier: MIT
# The oracle: runs the ABI tests of one machine on this machine's own Linux.
#
#   host.sh ARCH FOLDER [NAME...]
#
# The tests run as root in a private mount namespace with a tmpfs on /tmp, as
# in Vellum. Programs of another machine run under qemu-user, which is told to
# the kernel (binfmt_misc) so that they can execute each other.
set -eu
arch=$1 folder=$(realpath "$2")
shift 2

if [ "${ABI_PRIVATE:-}" != 1 ]; then
    elevate=
    [ "$(id -u)" = 0 ] || elevate=sudo
    exec $elevate env ABI_PRIVATE=1 unshare --mount "$0" "$arch" "$folder" "$@"
fi

. "$(dirname "$(realpath "$0")")/emulator.sh"
register_emulator "$arch"
emulator=
[ "$arch" = "$(uname -m)" ] || emulator=qemu-$arch

# The programs may lie below /tmp: take them along.
programs=$(mktemp -d)
mount -t tmpfs none "$programs"
if [ $# = 0 ]; then cp "$folder"/* "$programs"; else (cd "$folder" && cp "$@" "$programs"); fi
mkdir -p /dev/shm
mount --move "$programs" /mnt && rmdir "$programs"
mount -t tmpfs -o mode=1777 none /tmp

passed=0 failed=0 skipped=0 bad=
for program in /mnt/*; do
    name=${program##*/}
    status=0
    $emulator "$program" < /dev/null > /tmp/out 2> /tmp/err || status=$?
    p=$(grep -c '^ok' /tmp/out || true)
    s=$(grep -c '^ok.*# skip' /tmp/out || true)
    f=$(grep -c '^not ok' /tmp/out || true)
    [ $status = 0 ] || [ "$f" != 0 ] || f=1
    passed=$((passed + p - s)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" != 0 ]; then
        bad="$bad $name"
        grep '^not ok' /tmp/out | sed "s/^/$name: /"
        sed "s/^/$name: /" /tmp/err | head -n 5
    fi
    [ -z "${ABI_VERBOSE:-}" ] || sed "s/^/$name: /" /tmp/out
    rm -f /tmp/out /tmp/err
    left=$(ls -A /tmp)
    [ -z "$left" ] || { echo "$name: leaves behind: $left"; failed=$((failed + 1)); }
done
echo "$arch on $(uname -s) $(uname -r): $passed passed, $failed failed, $skipped skipped${bad:+; failing:$bad}"
[ $failed = 0 ]

# SPDX-License-Identifier: MIT
# Sourced: programs of another machine run under qemu-user, also those that
# they execute themselves. For that the kernel is told (binfmt_misc).

# register_emulator ARCH: prints nothing; needs root.
register_emulator() {
    # magic and mask of a 64-bit little-endian ELF file for machine 0xf3
    magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfc\xff\xff\xff'
    formats=/proc/sys/fs/binfmt_misc
    [ "$1" != "$(uname -m)" ] || return 0
    [ -e $formats/register ] || mount -t binfmt_misc none $formats 2> /dev/null || return 0
    if [ -w $formats/register ] && ! grep -qs "qemu-$1" $formats/*; then
        printf '%s' ":vellum-$1:M::$magic:$mask:$(command -v "qemu-$1"):POCF" > $formats/register ||
            true
    fi
}

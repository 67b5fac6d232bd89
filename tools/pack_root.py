#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pack a directory into an initramfs, for ./run --root.

usage: tools/pack_root.py DIRECTORY OUTPUT INIT

INIT is a program that is put beside the directory's contents. Owners, modes, times, devices and links are kept. Contents of a page or more
begin at a page of the archive, by zeros behind the name, so that Vellum can
take the pages as they are (kernel/boot/initramfs.c); for every other reader
this is an ordinary newc archive. An output that is newer than all changes is
left alone: OUTPUT.state tells what it was made from.
"""

import hashlib
import os
import stat
import sys
import time

import newc

INIT = ".vellum/init"
PAGE = 4096
PATH_MAX = 4096
SMALL = 1024  # shorter contents are not worth the rest of a page


class Progress:
    """One line on a terminal, that is rewritten; elsewhere a line now and then."""

    def __init__(self, what, total):
        self.what = what
        self.total = max(total, 1)
        self.terminal = sys.stderr.isatty()
        self.next = time.monotonic() + (0.2 if self.terminal else 5)
        self.shown = False

    def show(self, done):
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + (0.2 if self.terminal else 5)
        self.shown = True
        start, end = ("\r", "") if self.terminal else ("", "\n")
        print(f"{start}  {self.what} {100 * done // self.total} %", end=end, file=sys.stderr, flush=True)

    def end(self):
        if self.shown and self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def walk(top):
    """(name in the archive, path, lstat) of everything below, folders before what they hold."""
    folders = [(b"", top)]
    while folders:
        prefix, folder = folders.pop()
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda e: e.name)
        for entry in found:
            info = entry.stat(follow_symlinks=False)
            yield prefix + entry.name, entry.path, info
            if stat.S_ISDIR(info.st_mode):
                folders.append((prefix + entry.name + b"/", entry.path))


class Writer:
    def __init__(self, out):
        self.out = out
        self.at = 0
        self.inodes = {}  # (st_dev, st_ino) of files with several names: our number
        self.next_inode = 1

    def put(self, data):
        self.out.write(data)
        self.at += len(data)

    def header(self, inode, name, info, size, aligned=False):
        name += b"\0"
        end = self.at + 110 + len(name)
        pad = -end % PAGE if aligned else -end % 4
        if pad >= 4 and len(name) + pad > PATH_MAX:
            pad = -end % 4  # the longest names have no room for the zeros
        visible = len(name) + (pad & ~3)  # the zeros count as a part of the name
        major, minor = os.major(info.st_rdev), os.minor(info.st_rdev)
        fields = (inode, info.st_mode, info.st_uid, info.st_gid, info.st_nlink, int(info.st_mtime), size)
        fields += (0, 0, major, minor, visible, 0)
        self.put(b"070701" + b"".join(b"%08X" % (f & 0xFFFFFFFF) for f in fields) + name + b"\0" * pad)

    def inode(self, info):
        """Its number, and whether this is the first of its names."""
        key = (info.st_dev, info.st_ino)
        if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
            if key in self.inodes:
                return self.inodes[key], False
            self.inodes[key] = self.next_inode
        self.next_inode += 1
        return self.next_inode - 1, True

    def add(self, name, path, info):
        inode, first = self.inode(info)
        if stat.S_ISLNK(info.st_mode):
            target = os.readlink(path)
            self.header(inode, name, info, len(target))
            self.contents(target)
        elif stat.S_ISREG(info.st_mode) and first:
            # The contents come with the first name, which Linux accepts too.
            with open(path, "rb") as f:
                data = f.read()
            self.header(inode, name, info, len(data), len(data) >= SMALL)
            self.contents(data)
        else:
            self.header(inode, name, info, 0)

    def contents(self, data):
        self.put(data)
        self.put(b"\0" * (-len(data) % 4))


def fingerprint(entries, init):
    """Changes when anything changes that the archive tells of."""
    sum_ = hashlib.sha256(repr((os.path.getmtime(__file__), os.path.getmtime(init))).encode())
    for name, _, i in entries:
        seen = (i.st_mode, i.st_uid, i.st_gid, i.st_rdev, i.st_size, i.st_mtime_ns, i.st_ino, i.st_nlink)
        sum_.update(name + repr(seen).encode())
    return sum_.hexdigest()


def init_archive(init):
    archive = newc.Archive()
    with open(init, "rb") as f:
        archive.file(INIT, 0o755, f.read())
    return archive.bytes()


def read_state(name):
    try:
        with open(name) as f:
            return f.read()
    except OSError:
        return None


def pack(directory, output, init):
    """Write the archive unless it is up to date."""
    entries = list(walk(os.fsencode(directory)))
    state = fingerprint(entries, init)
    if os.path.exists(output) and read_state(output + ".state") == state:
        return
    total = sum(i.st_size for _, _, i in entries if stat.S_ISREG(i.st_mode))
    progress = Progress(f"PACK     {directory}", total)
    os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
    new = f"{output}.{os.getpid()}"
    with open(new, "wb", buffering=1 << 20) as out:
        writer = Writer(out)
        for entry in entries:
            writer.add(*entry)
            progress.show(writer.at)
        out.write(b"\0" * (-writer.at % 512))
        out.write(init_archive(init))
    progress.end()
    os.replace(new, output)
    with open(output + ".state", "w") as f:
        f.write(state)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        pack(*sys.argv[1:])
    except OSError as e:
        sys.exit(f"pack_root: {e.filename!r}: {e.strerror}")


if __name__ == "__main__":
    main()

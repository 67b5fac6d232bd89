#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write an uncompressed newc archive (cpio's format for an initramfs).

usage: tools/newc.py OUTPUT LIST...

Each line of a LIST names one entry, owner root, modes in octal:

    dir  PATH MODE
    file PATH MODE SOURCE
    link PATH TARGET
    node PATH MODE b|c MAJOR MINOR
    tree PATH SOURCE          everything below SOURCE; executable files 0755

The same input gives the same bytes: entries are sorted, times are zero.
"""

import os
import stat
import sys


class Archive:
    """The entries of an archive by path; a later one replaces an earlier one."""

    def __init__(self):
        self.entries = {}

    def _add(self, path, mode, data=b"", rdev=(0, 0)):
        path = path.strip("/")
        if path:
            self.entries[path] = (mode, data, rdev)

    def dir(self, path, mode=0o755):
        self._add(path, stat.S_IFDIR | mode)

    def file(self, path, mode, data):
        self._add(path, stat.S_IFREG | mode, data)

    def link(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, os.fsencode(target))

    def node(self, path, mode, kind, major, minor):
        self._add(path, {"b": stat.S_IFBLK, "c": stat.S_IFCHR}[kind] | mode, rdev=(major, minor))

    def tree(self, path, source):
        for folder, dirs, files in os.walk(source):
            dirs.sort()
            base = os.path.join(path, os.path.relpath(folder, source))
            base = os.path.normpath(base)
            if os.path.relpath(folder, source) != ".":
                self.dir(base)
            for name in files + [d for d in dirs if os.path.islink(os.path.join(folder, d))]:
                full = os.path.join(folder, name)
                if os.path.islink(full):
                    self.link(os.path.join(base, name), os.readlink(full))
                    continue
                with open(full, "rb") as f:
                    mode = 0o755 if os.access(full, os.X_OK) else 0o644
                    self.file(os.path.join(base, name), mode, f.read())

    def parents(self):
        """Add the folders that the entries need and nobody named."""
        for path in list(self.entries):
            while "/" in path:
                path = path.rsplit("/", 1)[0]
                if path not in self.entries:
                    self.dir(path)

    def bytes(self):
        self.parents()
        out = []
        size = 0

        def put(chunk):
            nonlocal size
            pad = -len(chunk) % 4
            out.append(chunk + b"\0" * pad)
            size += len(chunk) + pad

        def entry(inode, path, mode, data, rdev):
            name = os.fsencode(path) + b"\0"
            nlink = 2 if stat.S_ISDIR(mode) else 1
            fields = (inode, mode, 0, 0, nlink, 0, len(data), 0, 0, rdev[0], rdev[1], len(name), 0)
            put(b"070701" + b"".join(b"%08X" % f for f in fields) + name)
            put(data)

        for inode, path in enumerate(sorted(self.entries), 1):
            entry(inode, path, *self.entries[path])
        entry(0, "TRAILER!!!", 0, b"", (0, 0))
        out.append(b"\0" * (-size % 512))
        return b"".join(out)

    def read_list(self, name):
        with open(name) as f:
            for number, line in enumerate(f, 1):
                words = line.split("#", 1)[0].split()
                if not words:
                    continue
                try:
                    self._line(*words)
                except (TypeError, ValueError, KeyError, OSError) as e:
                    sys.exit(f"{name}:{number}: {e}")

    def _line(self, kind, path, *rest):
        if kind == "dir":
            (mode,) = rest
            self.dir(path, int(mode, 8))
        elif kind == "file":
            mode, source = rest
            with open(source, "rb") as f:
                self.file(path, int(mode, 8), f.read())
        elif kind == "link":
            (target,) = rest
            self.link(path, target)
        elif kind == "node":
            mode, what, major, minor = rest
            self.node(path, int(mode, 8), what, int(major), int(minor))
        elif kind == "tree":
            (source,) = rest
            self.tree(path, source)
        else:
            raise ValueError(f"no such kind of entry: {kind}")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    archive = Archive()
    for name in sys.argv[2:]:
        archive.read_list(name)
    with open(sys.argv[1] + ".new", "wb") as f:
        f.write(archive.bytes())
    os.replace(sys.argv[1] + ".new", sys.argv[1])


if __name__ == "__main__":
    main()

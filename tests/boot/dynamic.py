# SPDX-License-Identifier: MIT
"""Debian's own programs in an image: each with the libraries that it names, and the loader."""

import functools
import os
import re

from harness import ROOT, call, check

TUPLE = {"x86_64": "x86_64-linux-gnu", "riscv64": "riscv64-linux-gnu"}
LOADER = {
    "x86_64": ("lib64/ld-linux-x86-64.so.2", "ld-linux-x86-64.so.2"),
    "riscv64": ("lib/ld-linux-riscv64-lp64d.so.1", "ld-linux-riscv64-lp64d.so.1"),
}


@functools.lru_cache(None)
def needed(path):
    """The libraries that an ELF file names, and the interpreter of a program."""
    text = call(["readelf", "-dlW", path]).expect(0).out.decode()
    return re.findall(r"\(NEEDED\)\s+Shared library: \[(.*)\]", text)


def add_programs(archive, arch, packages, programs):
    """Put `programs` (names) and what they need into an archive, from packages that may all be fetched."""
    call(["tools/guest-packages", arch, *packages], timeout=1800).expect(0)
    roots = [f"{ROOT}/build/packages/{arch}/{p}" for p in packages]
    folders = ["usr/bin", "usr/sbin", "bin", "sbin", f"usr/lib/{TUPLE[arch]}", f"lib/{TUPLE[arch]}"]
    done = set()

    def find(name):
        for folder in folders:
            for root in roots:
                if os.path.exists(f"{root}/{folder}/{name}"):
                    return f"{root}/{folder}/{name}"
        return None

    def add(path, name, mode):
        if name in done:
            return
        done.add(name)
        source = find(name)
        check(source, f"{name} is in none of the packages")
        with open(source, "rb") as f:
            data = f.read()
        archive.file(f"{path}/{name}", mode, data)
        if data[:4] == b"\x7fELF":
            for library in needed(os.path.realpath(source)):
                add(f"usr/lib/{TUPLE[arch]}", library, 0o755 if library.startswith("ld-") else 0o644)

    for name in programs:
        add("usr/bin", name, 0o755)
    place, loader = LOADER[arch]
    add(f"usr/lib/{TUPLE[arch]}", loader, 0o755)
    archive.link(place, f"/usr/lib/{TUPLE[arch]}/{loader}")
    archive.file("etc/ld.so.conf", 0o644, b"")

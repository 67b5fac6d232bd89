# SPDX-License-Identifier: MIT
"""Debian's own programs: each script prints the same in Vellum and on the host's Linux.

The root is Debian 13, made by debootstrap and kept in build/. On the host the
scripts run in a chroot of that same root; for RISC-V, whose root is of the same
packages only unpacked, what x86-64 printed there is what is right.
"""

import difflib
import glob
import io
import os
import platform
import re
import shutil
import tarfile
import threading
import time

from harness import ROOT, Failure, Part, Skip, call, run_argv, test

FOLDER = f"{ROOT}/tests/debian"
PACKAGES = "gawk gcc git libc6-dev lua5.4 make perl python3 sqlite3 tcc xz-utils".split()
TESTSUITE = "libpython3.13-testsuite"
ABSENT = {"riscv64": {"tcc"}}  # Debian has no such package for the machine
LIMIT = {"host": 60, "guest": 240}  # seconds for one script
host_lock = threading.Lock()
host_said = {}


def debian_root(arch, packages, *options):
    """The folder of a root; it is made if need be, which takes minutes."""
    if os.getuid():
        raise Skip("needs root, for chroot")
    if not shutil.which("debootstrap"):
        raise Skip("there is no debootstrap here")
    packages = ",".join(p for p in packages if p not in ABSENT.get(arch, ()))
    made = call(["tools/debian_root.py", *options, arch, packages], timeout=7200).expect(0)
    return made.out.decode().strip()


def scripts(arch):
    found = sorted(os.path.basename(f) for end in ("sh", "pl", "py", "lua") for f in glob.glob(f"{FOLDER}/*.{end}"))
    helpers = {"chroot.sh", "run_debian.py", "python_modules.py", "stress_ng.py"}
    return [f for f in found if f not in helpers and f.split(".")[0] not in ABSENT.get(arch, ())]


def archive():
    """The driver and the scripts as a tar file, for standard input."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in ["driver", *scripts(None)]:
            tar.add(f"{FOLDER}/{name}", name)
    return data.getvalue()


def command(limit, names):
    start = "mkdir /tests && tar -C /tests -xf - && exec /tests/driver"
    return ["/bin/sh", "-c", f'{start} "$@"', "sh", str(limit), *names]


def sections(output):
    """name: (what it printed, its status) from what the driver said."""
    found = re.findall(r"(?ms)^=== begin (\S+)\n(.*?)^=== end \1 (\d+)$", output.decode(errors="replace"))
    return {name: (text, int(status)) for name, text, status in found}


def on_host():
    """What is right: each script's output and status on this host's Linux, in x86-64's root."""
    with host_lock:
        if not host_said:
            if platform.machine() != "x86_64":
                raise Skip("needs an x86-64 host, for the chroot")
            root = debian_root("x86_64", PACKAGES)
            argv = [f"{FOLDER}/chroot.sh", root, *command(LIMIT["host"], scripts("x86_64"))]
            r = call(argv, archive(), timeout=600)
            if r.status:
                raise Skip(f"no chroot here: {r.err[-300:].decode(errors='replace').strip()}")
            host_said.update(sections(r.out))
        return host_said


def difference(want, got):
    lines = [(text + f"status {status}\n").splitlines() for text, status in (want, got)]
    return "\n".join(difflib.unified_diff(*lines, "host", "vellum", lineterm="", n=1))


def compare(arch, names, want, r, part="debian"):
    """A line of the report for each script."""
    got = sections(r.out)
    parts = []
    for name in names:
        text = "did not end; the machine said:\n" + (r.out + r.err)[-2500:].decode(errors="replace")
        if name in got:
            text = difference(want[name], got[name])
        verdict = "FAIL" if text else "ok"
        parts.append(Part(f"{part}/{name.split('.')[0]} {arch}", verdict, r.seconds / len(names), text))
    return parts


def in_guest(arch, root, part="debian"):
    want = on_host()
    names = scripts(arch)
    argv = run_argv(arch, "--root", root, "--timeout", "900", "--append", "loglevel=4")
    start = time.monotonic()
    r = call([*argv, "--", *command(LIMIT["guest"], names)], archive(), timeout=1000)
    r.seconds = time.monotonic() - start
    return compare(arch, names, want, r, part)


@test("debian", weight=150)
def programs(arch):
    return in_guest(arch, debian_root(arch, PACKAGES, *([] if arch == "x86_64" else ["--unpacked"])))


@test("debian", arches=("riscv64",), weight=2000, default=False)
def second_stage(arch):
    """The same in a root whose packages were configured: by debootstrap's second stage, in Vellum."""
    return in_guest(arch, debian_root(arch, [*PACKAGES, TESTSUITE]), "debian/second-stage")

# SPDX-License-Identifier: MIT
"""What can be said of the sources without running them."""

import re

from harness import ARCHES, ROOT, Failure, call, check, make, test

KERNEL = ("kernel/", "lib/", "include/")


def files(*patterns):
    return call(["git", "ls-files", *patterns]).expect(0).out.decode().split()


def offences(names, pattern, allowed=()):
    """Lines that match, as file:line: text."""
    found = []
    for name in names:
        if name in allowed:
            continue
        with open(f"{ROOT}/{name}", errors="replace") as f:
            for number, line in enumerate(f, 1):
                if re.search(pattern, line):
                    found.append(f"{name}:{number}: {line.strip()}")
    return found


def none(found, what):
    check(not found, f"{what}:\n" + "\n".join(found[:30]))


def sources():
    return files("*.c", "*.h", "*.S")


@test("lint", weight=60)
def gcc(arch):
    make(arch, "kernel", "programs")


@test("lint", weight=90)
def clang(arch):
    call(["make", "-s", f"ARCH={arch}", "CC=clang", f"OUT=build/{arch}-clang", "kernel"], timeout=900).expect(0)


@test("lint", weight=60)
def debug(arch):
    make(arch, "DEBUG=1", "kernel")


@test("lint", arches=(None,))
def layout(_):
    """clang-format has nothing to change."""
    r = call(["clang-format", "--dry-run", *files("*.c", "*.h", ":!tests/bench")])
    bad = sorted(set(re.findall(r"(?m)^(\S+?):\d+:\d+: warning", r.err.decode())))
    check(not bad and r.status == 0, "make format would change:\n" + "\n".join(bad) + r.err[-500:].decode())


@test("lint", arches=(None,), weight=1)
def licence(_):
    names = [n for n in sources() + files("*.py", "*.sh", "run", "test") if not n.startswith("tests/bench/kbench")]
    bad = [n for n in names if "SPDX-License-Identifier: MIT" not in open(f"{ROOT}/{n}").read(400)]
    none(bad, "no SPDX line at the top")


@test("lint", arches=(None,), weight=1)
def machine_in_its_room(_):
    """Nothing outside arch/ is assembly or knows which machine it is."""
    names = [n for n in sources() if n.startswith(KERNEL)]
    none([n for n in names if n.endswith(".S")], "assembly outside arch/")
    # offsets.h computes constants for the machines' assembly; it never runs
    allowed = ("include/vellum/offsets.h",)
    none(offences(names, r"\basm\s*(volatile|goto|\()|__asm__", allowed), "assembly outside arch/")
    none(offences(names, r"#\s*(el)?if.*(__x86_64__|__riscv|__amd64__)"), "the machine's name outside arch/")



# What only one of the machines has: its firmware's tables, its controllers, its start.
MACHINE_ONLY = {
    "x86_64": {"acpi.c", "apic.c", "cpuinfo.c", "fpu.c", "pvh.c"},
    "riscv64": {"firmware/main.c", "firmware/sbi.c", "hwprobe.c", "icache.c", "sbi.c", "start.c"},
}


@test("lint", arches=(None,), weight=1)
def same_files(_):
    """Both machines' folders implement the same interface under the same names."""
    want, got = ({n.split("/", 2)[2] for n in files(f"arch/{arch}/*.c")} - MACHINE_ONLY[arch] for arch in ARCHES)
    only = [f"x86_64: {n}" for n in sorted(want - got)] + [f"riscv64: {n}" for n in sorted(got - want)]
    if only:
        raise Failure("only on one machine: " + ", ".join(only))


@test("lint", arches=(None,), weight=5)
def compatibility(_):
    """docs/compatibility.md says what the sources say."""
    if call(["tools/compatibility.py", "--check"]).status != 0:
        raise Failure("docs/compatibility.md is not up to date: make docs")


@test("lint", arches=(None,), weight=1)
def unfinished(_):
    words = r"\b(TODO|FIXME|XXX|HACK)\b"
    none(offences([n for n in sources() if not n.startswith("tests/bench/")], words), "unfinished")


@test("lint", arches=(None,), weight=1)
def linux_numbers(_):
    """Numbers of system calls and errors come from the UAPI headers."""
    names = [n for n in sources() if n.startswith(KERNEL + ("arch/",))]
    none(offences(names, r"#\s*define\s+(__NR_|SYS_|E(?!RESTART)[A-Z]{3,}\s+\d)"), "retyped")


@test("lint", arches=(None,), weight=1)
def hosts(_):
    """No host that packages come from is named."""
    names = files("run", "test", "Makefile", "tools", "tests/*.py", "tests/*.sh", "user", ".ci")
    none(offences(names, r"\b(https?|ftp)://\w"), "named")

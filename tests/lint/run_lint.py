# SPDX-License-Identifier: MIT
"""What can be said of the sources without running them."""

import os
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


# Who may know whom: the floors of the house, from the ground up. A room (a folder of kernel/, and lib/)
# includes the headers of its own floor and of lower ones. A header stands on the floor of the lowest room
# that it is made for: where a lower room must call up, the header holds a table of operations, or a few
# functions, and the room that implements it stands higher (sched.h, time.h, file.h, seq_file.h ...).
FLOORS = (
    (("lib",), """assert atomic bitmap compiler error error_sequence fdt format hash id_map interval_tree list radix_tree
                  rbtree ring string types version"""),
    # the machine, threads and what they wait for, who they are; files and text as those below fs see them
    (("sync", "trace"), """arch boot cpu cred file inherit iov lockdep offsets printk provoke random read_ahead rseq sched
                           seq_file signal smp spinlock_types symbols sync syscall sysfs thread time uaccess
                           vdso_clock vmstat vvar wait"""),
    (("mm", "debug"), """alloc compaction dirty_policy huge khugepaged lru mm page page_cache page_table reclaim rmap swap writeback"""),
    (("block", "dev"), """block device irq pci tty virtio"""),
    (("fs",), """files fs notify"""),
    (("proc", "ipc", "sched", "time"), """futex io_context process ptrace"""),
    (("boot",), ""),
)
# Where the house is not built so, and why.
KNOWS_ABOVE = (
    # a system call stands above all rooms, whichever it is written down in
    (r"SYSCALL_DEFINE", ("fs", "process", "seq_file")),
    # a terminal belongs to a session of processes, which it sends signals; its slave's name is in a file system
    (r"kernel/dev/(tty|pty)|vellum/tty\.h", ("fs", "process")),
    # a file is opened, a path is walked for a process: its limits, its table of descriptors. procfs shows them all
    (r"kernel/fs/(procfs/)?internal\.h|kernel/fs/procfs/", ("process", "ptrace")),
    # it makes each mistake on purpose, of processes too
    (r"kernel/trace/provoke\.c", ("process",)),
)


def rooms_offences():
    header_floor = {h: i for i, (_, headers) in enumerate(FLOORS) for h in headers.split()}
    room_floor = {room: i for i, (rooms, _) in enumerate(FLOORS) for room in rooms}
    found = []
    for name in files("kernel/*.[ch]", "lib/*.[ch]", "include/vellum/*.h"):
        text = open(f"{ROOT}/{name}").read()
        folders = name.split("/")
        room = folders[1] if folders[0] == "kernel" else folders[0]
        floor = header_floor.get(folders[-1][:-2]) if room == "include" else room_floor.get(room)
        if floor is None:
            found.append(f"{name}: on which floor?")
            continue
        excused = {h for where, headers in KNOWS_ABOVE if re.search(where, name) or re.search(where, text)
                   for h in headers}
        for h in re.findall(r"#include <vellum/(\w+)\.h>", text):
            if header_floor.get(h, 99) > floor and h not in excused:
                found.append(f"{name}: <vellum/{h}.h> is above it")
        for h in re.findall(r'#include "(\.\./.*?)"', text):
            inside = os.path.normpath(f"{os.path.dirname(name)}/{h}").split("/")[1]
            if inside != room and room != "debug":  # whose checks may look into everything
                found.append(f"{name}: {h} is another room's own")
    return found


@test("lint", arches=(None,), weight=1)
def rooms(_):
    """No room knows of what is above it."""
    none(rooms_offences(), "not for this room")

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


@test("lint", arches=(None,), weight=1)
def counted(_):
    """Each name in /proc/vmstat is counted somewhere."""
    text = open(f"{ROOT}/include/vellum/vmstat.h").read()
    names = re.findall(r"\bX\((\w+)\)", text.split("enum vm_count")[0])
    check(len(names) > 50, "vmstat.h is not as it was")
    used = set()
    for name in files("kernel/*.c", "arch/*.c"):
        used |= set(re.findall(r"\bvm_(?:events?|gauge_add)\((\w+)|\bVM_(\w+)", open(f"{ROOT}/{name}").read()))
    used = {name for pair in used for name in pair}
    # `VM_x_anon + is_of_a_file` counts both; the lists of pages count themselves (vm_count())
    used |= {name[:-4] + "file" for name in used if name.endswith("_anon")}
    none([name for name in names if name not in used], "in vmstat.h, but nobody counts it")


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

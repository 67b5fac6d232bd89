# SPDX-License-Identifier: MIT
"""Debian's stress-ng, with --verify: nothing fails, each of its stressors has done something, and the
kernel says nothing that it should not. `./test full` lets each run for a minute."""

import re

from debian.run_debian import debian_root, sections
from harness import Failure, call, check, run_argv, swap_disk, test

# What each does in the quick form: its size, and how often.
QUICK = {
    "vm": "--vm-bytes 8M --vm-ops 16",
    "mmap": "--mmap-bytes 4M --mmap-ops 1",
    "mremap": "--mremap-bytes 4M --mremap-ops 1",
    "madvise": "--madvise-ops 1",
    "fork": "--fork-ops 30",
    "brk": "--brk-bytes 16M --brk-ops 200",
    "stack": "--stack-ops 5",
    "bigheap": "--bigheap-bytes 16M --bigheap-ops 100",
    "shm": "--shm-bytes 1M --shm-objs 4 --shm-ops 1",
    "vm-splice": "--vm-splice-ops 100",
}
# Options of the long form; memthrash always takes 256 MiB.
LONG = {
    "vm": "--vm-bytes 50%",
    "mmap": "",
    "mremap": "",
    "madvise": "",
    "fork": "",
    "brk": "",
    "stack": "",
    "bigheap": "--bigheap-bytes 512M",
    "memthrash": "",
    "shm": "",
    "swap": "",
    "pageswap": "",
    "vm-splice": "",
}
SECONDS, SWAP_MIB = 60, 512
# The root is in memory; Linux does not swap to such a file either.
EXCUSED = {"swap": "cannot enable swap, filesystem type: tmpfs"}
EXPECTED = re.compile(r"system call \w+ is not there|reboot: power off|swap on .*/dev/vda")


def root_of(arch):
    return debian_root(arch, ["stress-ng"], *([] if arch == "x86_64" else ["--unpacked"]))


def kernel_messages(err):
    """What the kernel said from the first process on that is not expected."""
    lines = err.decode(errors="replace").split("from entry to init", 1)[-1].splitlines()[1:]
    return [line for line in lines if re.match(r"\[ *\d+\.\d+\]", line) and not EXPECTED.search(line)]


def look_at(name, text, status):
    """Why the stressor did not do what it should, or nothing."""
    if name in EXCUSED and EXCUSED[name] in text:
        return ""
    done = re.search(rf"metrc: \[\d+\] {name} +(\d+) +\d", text)
    bad = re.search(r"stress-ng: (fail|error):", text)
    if status == 0 and not bad and done and int(done.group(1)) > 0:
        return ""
    return f"{name}: status {status}\n{text}"


def run(arch, words, script, timeout):
    argv = run_argv(arch, "--root", root_of(arch), "--timeout", str(timeout), *words)
    r = call([*argv, "--", "/bin/sh", "-c", script], timeout=timeout + 60)
    said = kernel_messages(r.err)
    check(not said, "the kernel said:\n" + "\n".join(said[-40:]))
    check(r.status == 0, f"status {r.status}\n" + (r.out + r.err)[-3000:].decode(errors="replace"))
    return r


@test("debian", weight=60)
def stress_ng(arch):
    each = " ".join(f"--{name} 1 {options}" for name, options in QUICK.items())
    command = f"cd /tmp && stress-ng --verify --metrics-brief --timeout 200 {each} 2>&1"
    text = run(arch, [], command, 400).out.decode(errors="replace")
    bad = [name for name in QUICK if look_at(name, text, 0)]
    check(not bad, f"nothing was done, or it failed: {bad}\n{text}")


@test("debian", weight=1200, default=False)
def stress_ng_long(arch):
    disk = swap_disk(arch, "stress-ng", SWAP_MIB)
    script = "swapon /dev/vda || exit 99; cd /tmp\n"
    for name, options in LONG.items():
        how = f"--verify --metrics-brief --page-in --timeout {SECONDS}"
        script += f"echo; echo '=== begin {name}'; stress-ng --{name} 2 {options} {how} 2>&1; "
        script += f"echo '=== end {name}' $?\n"
    got = sections(run(arch, ["--disk", disk], script, (SECONDS * 3 + 60) * len(LONG)).out)
    missing = [name for name in LONG if name not in got]
    bad = [look_at(name, *got[name]) for name in LONG if name in got]
    if missing or any(bad):
        raise Failure(f"did not end: {missing}\n" + "\n".join(filter(None, bad)))

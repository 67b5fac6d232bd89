# SPDX-License-Identifier: MIT
"""Bugs of the kernel, provoked: what is said, and what goes on."""

import re

from harness import Failure, check, make, test, vellum

# What each bug is called in the kernel's report; those that end only the process that met them.
OOPSES = {
    "null": "null pointer",
    "illegal-instruction": r"invalid opcode|illegal instruction|breakpoint",
    "write-code": "page fault: write",
    "write-constant": "page fault: write",
    "execute-data": "page fault: execute",
    "read-user": "page fault: read",
    "execute-user": "page fault: execute",
}
PANICS = {
    "stack-overflow": "kernel stack overflow",
    "panic": "provoked",
}
# What only a debug kernel notices.
MISTAKES = {
    "lock-order": rb"lock order: two processors could wait for each other",
    "lock-irq": rb"lock order: a lock of interrupts is held, or waits, with interrupts on",
    "sleep-atomic": rb"sleeping where it must not",
    "past-end": rb"object was written to past its end",
    "after-free": rb"object was written to after it was freed",
    "free-twice": rb"object freed twice",
    "frame": rb"frame 0x[0-9a-f]+ was written to after it was freed",
    "list": rb"assertion failed: .*list\.h",
    "undefined": rb"undefined behaviour: shift of 'int' 0x1 by 40 \(kernel/debug/mistakes\.c:\d+",
    "assertion": rb"assertion failed: .*\(kernel/debug/mistakes\.c:\d+",
}


@test("boot")
def oops(arch):
    """The process is killed, the report names the function, the machine lives on."""
    script = "for b; do sh -c 'echo $0 > /proc/provoke_crash' $b; echo $b $?; done; echo alive"
    r = vellum(arch, "--", "sh", "-c", script, "sh", *OOPSES)
    r.expect(0, out=b"".join(b"%s 137\n" % name.encode() for name in OOPSES) + b"alive\n")
    reports = re.split(rb"(?m)^.*\] oops: ", r.err)[1:]
    check(len(reports) == len(OOPSES), r.err.decode(errors="replace"))
    for (name, cause), report in zip(OOPSES.items(), reports):
        text = report.decode(errors="replace")
        check(re.match(cause, text), f"{name}: {text}")
        check("provoke_crash+0x" in text, f"{name}: no backtrace that leads to the bug: {text}")


@test("boot")
def fatal_bugs(arch):
    for name, cause in PANICS.items():
        r = vellum(arch, "--", "sh", "-c", f"echo {name} > /proc/provoke_crash")
        r.expect(125, out=b"", err=f"run: Kernel panic.*{cause}".encode())


@test("boot", weight=25)
def mistakes_are_found(arch):
    make(arch, "DEBUG=1", "kernel", jobs=2)
    for name, want in MISTAKES.items():
        r = vellum(arch, "--debug", "--", "sh", "-c", f"echo {name} > /proc/provoke_crash")
        check(r.status == 125, f"{name}: status {r.status}")
        if not re.search(rb"(panic|oops)[^\n]*(" + want + rb")", r.err):
            raise Failure(f"{name}:\n" + r.err[-2000:].decode(errors="replace"))

# SPDX-License-Identifier: MIT
"""The checks of a debug kernel find what they are there for: mistakes made on purpose."""

import re

from harness import Failure, check, test, vellum

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
    "stack": rb"stack overflow|double fault",
}


@test("boot", weight=25)
def mistakes_are_found(arch):
    for name, want in MISTAKES.items():
        r = vellum(arch, "--debug", "--append", f"mistake={name}", "--", "true")
        check(r.status == 125, f"{name}: status {r.status}")
        if not re.search(rb"(panic|oops)[^\n]*(" + want + rb")", r.err):
            raise Failure(f"{name}:\n" + r.err[-2000:].decode(errors="replace"))

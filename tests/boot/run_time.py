# SPDX-License-Identifier: MIT
"""Timers of run time are punctual: run_time.c under --icount, where an instruction is a nanosecond."""

import re

from harness import CROSS, ROOT, call, check, equal, image, test, vellum

NAMES = ["ITIMER_PROF", "ITIMER_VIRTUAL", "PROCESS", "THREAD"]
LIMITS = ["RLIMIT_CPU", "RLIMIT_CPU/hard"]
LATE = 50_000  # instructions from the moment on up to the handler; a tick would be 4,000,000


@test("boot", weight=60)
def run_time(arch):
    program = f"{ROOT}/build/{arch}/tests/run_time"
    source = f"{ROOT}/tests/boot/run_time.c"
    call([CROSS[arch], "-static", "-O2", "-Wall", "-o", program, source, "-pthread"]).expect(0)

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("tests/run_time", 0o755, f.read())

    r = vellum(arch, "--icount", "--initrd", image(arch, "run_time", fill), "--", "/tests/run_time", timeout=400)
    out = r.expect(0).out.decode()
    lines = re.findall(r"(?m)^(\S+) fired (\d+) late (-?\d+) early (-?\d+)$", out)
    names = NAMES + LIMITS + [n + "+process" for n in NAMES] + ["PROCESS+thread", "THREAD+thread"]
    equal([line[0] for line in lines], names, "the timers")
    for name, fired, late, early in lines:
        equal(int(fired), 1 if name in LIMITS else 12, f"{name} fired")
        equal(int(early), 0, f"{name}: ns too early")
        check(0 <= int(late) < LATE, f"{name}: {late} ns too late")

# SPDX-License-Identifier: MIT
"""Timers and their signals under --icount, where an instruction is a nanosecond: those of run time are
punctual (run_time.c), and none is lost on the way to sleep (about_to_sleep.c)."""

import re

from harness import CROSS, ROOT, call, check, equal, image, test, vellum

NAMES = ["ITIMER_PROF", "ITIMER_VIRTUAL", "PROCESS", "THREAD"]
LIMITS = ["RLIMIT_CPU", "RLIMIT_CPU/hard"]
# Instructions from the moment on up to the handler, with room for the debug kernel; a tick would be 4,000,000.
LATE = 100_000


def output_of(arch, name):
    """What tests/boot/NAME.c prints there."""
    program = f"{ROOT}/build/{arch}/tests/{name}"
    source = f"{ROOT}/tests/boot/{name}.c"
    call([CROSS[arch], "-static", "-O2", "-Wall", "-o", program, source, "-pthread"]).expect(0)

    def fill(archive):
        with open(program, "rb") as f:
            archive.file(f"tests/{name}", 0o755, f.read())

    r = vellum(arch, "--icount", "--initrd", image(arch, name, fill), "--", f"/tests/{name}", timeout=400)
    return r.expect(0).out.decode()


@test("boot", weight=60)
def run_time(arch):
    out = output_of(arch, "run_time")
    lines = re.findall(r"(?m)^(\S+) fired (\d+) late (-?\d+) early (-?\d+)$", out)
    names = NAMES + LIMITS + [n + "+process" for n in NAMES] + ["PROCESS+thread", "THREAD+thread"]
    equal([line[0] for line in lines], names, "the timers")
    for name, fired, late, early in lines:
        equal(int(fired), 1 if name in LIMITS else 12, f"{name} fired")
        equal(int(early), 0, f"{name}: ns too early")
        check(0 <= int(late) < LATE, f"{name}: {late} ns too late")


@test("boot", weight=20)
def about_to_sleep(arch):
    lines = re.findall(r"(?m)^(\S+) rounds (\d+) alarms (\d+)$", output_of(arch, "about_to_sleep"))
    equal([line[0] for line in lines], ["sigsuspend", "ppoll"], "the ways to sleep")
    for name, rounds, alarms in lines:
        check(int(rounds) > 1000, f"{name}: {rounds} rounds")
        equal(alarms, rounds, f"{name}: signals that came")

# SPDX-License-Identifier: MIT
"""Hostile programs: every system call with arguments drawn at random, and damaged ELF files.

VELLUM_FUZZ_CALLS=10000000 ./test fuzz is the form for the night; VELLUM_FUZZ_SEED=N draws others.
"""

import os

import fuzz.bombs  # noqa: F401
from harness import ROOT, call, check, image, make, test, vellum

CALLS = int(os.environ.get("VELLUM_FUZZ_CALLS", "100000"))
SEED = os.environ.get("VELLUM_FUZZ_SEED", "1")


def fuzz_image(arch):
    make(arch, "kernel")  # whose table says which calls there are
    call(["make", "-s", "-C", "tests/fuzz", f"ARCH={arch}"]).expect(0)
    return image(arch, "fuzz", lambda archive: archive.tree("fuzz", f"{ROOT}/build/{arch}/fuzz"))


def run(arch, kernel, *command, timeout=240.0):
    words = [*kernel, "--smp", "4", "--initrd", fuzz_image(arch)]
    r = vellum(arch, *words, "--", *command, timeout=timeout)
    name = os.path.basename(command[0]).encode()
    log = r.err[r.err.find(b"] Vellum,") + 1 :]  # the firmware's banner is of no interest
    text = (r.out[-1500:] + log[-2000:]).decode(errors="replace")
    check(r.status == 0 and name + b": passed" in r.out, f"status {r.status}, {' '.join(command)}\n{text}")


@test("fuzz", weight=60)
def calls(arch):
    run(arch, [], "/fuzz/fuzz", "-n", str(CALLS), "-s", SEED, timeout=240 + CALLS / 500)


@test("fuzz", weight=50)
def calls_debug(arch):
    """Fewer, in a kernel that checks itself, with other numbers."""
    n = CALLS // 5
    run(arch, ["--debug"], "/fuzz/fuzz", "-n", str(n), "-s", str(int(SEED) + 1000), timeout=240 + n / 100)


@test("fuzz", weight=30)
def damaged_programs(arch):
    victims = [f"/fuzz/victim-{kind}" for kind in ("static", "pie", "dynamic")]
    run(arch, [], "/fuzz/elf", "-n", str(max(10000, CALLS // 10)), "-s", SEED, *victims, timeout=240 + CALLS / 500)

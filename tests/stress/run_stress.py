# SPDX-License-Identifier: MIT
"""A minute of random load on four processors; the free memory must come back."""

import os

from harness import check, guest_program, image, test, vellum

SECONDS = os.environ.get("VELLUM_STRESS_SECONDS", "60")


@test("stress", weight=200)
def random_load(arch):
    program = guest_program(arch, "tests/stress/stress.c")

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("stress", 0o755, f.read())

    initrd = image(arch, "stress", fill)
    command = ["/stress", "-t", SECONDS]
    r = vellum(arch, "--smp", "4", "--initrd", initrd, "--", *command, timeout=400 + float(SECONDS))
    check(r.status == 0 and b"stress: passed" in r.out, (r.out + r.err[-3000:]).decode(errors="replace"))

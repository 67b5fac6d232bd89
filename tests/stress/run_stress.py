# SPDX-License-Identifier: MIT
"""A minute of random load on four processors; the free memory must come back. No data is lost,
nor in swap."""

import os

from harness import check, guest_program, image, swap_disk, test, vellum

SECONDS = os.environ.get("VELLUM_STRESS_SECONDS", "60")
SEED = os.environ.get("VELLUM_SEED")


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


def run_integrity(arch, *words, timeout):
    program = guest_program(arch, "tests/stress/integrity.c")

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("integrity", 0o755, f.read())

    command = ["/integrity", *words, *(["-s", SEED] if SEED else [])]
    initrd = image(arch, "integrity", fill)
    r = vellum(arch, "--smp", "4", "--initrd", initrd, "--", *command, timeout=timeout)
    check(r.status == 0 and b"integrity: passed" in r.out, (r.out + r.err[-3000:]).decode(errors="replace"))


@test("stress", weight=20)
def integrity(arch):
    """Processes map, write, fork, move and share pages; each word says what it must be."""
    run_integrity(arch, "-n", "1500", timeout=400)


@test("stress", weight=20)
def integrity_compacted(arch):
    """The same while memory is compacted all the time: pages move under everybody."""
    run_integrity(arch, "-n", "500", "-c", timeout=400)


@test("stress", weight=600, default=False)
def integrity_compacted_long(arch):
    run_integrity(arch, "-n", "10000", "-k", "2000", "-c", timeout=2000)


@test("stress", weight=600, default=False)
def integrity_long(arch):
    run_integrity(arch, "-n", "40000", "-k", "2000", timeout=2000)


@test("stress", weight=20)
def meetings(arch):
    """Everything that moves pages, at once in one address space; swap comes and goes."""
    program = guest_program(arch, "tests/stress/meetings.c")

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("meetings", 0o755, f.read())

    command = ["/meetings", "-t", "15", "-d", "/dev/ram0", *(["-s", SEED] if SEED else [])]
    options = ["--smp", "4", "--mem", "96M", "--append", "loglevel=4 ramdisk_size=65536"]
    r = vellum(arch, *options, "--initrd", image(arch, "meetings", fill), "--", *command, timeout=200)
    check(r.status == 0 and b"meetings: passed" in r.out, (r.out + r.err[-3000:]).decode(errors="replace"))


SWAP_TESTS = {
    "random": ["160", "20000"],
    "share": ["32"],
    "files": ["24"],
    "off": ["36"],
}


@test("stress", weight=200, default=False)
def swap(arch):
    """More memory than there is: 64 MiB, and 256 MiB of swap."""
    program = guest_program(arch, "tests/stress/swap.c")

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("swap", 0o755, f.read())

    initrd = image(arch, "swap", fill)
    for name, arguments in SWAP_TESTS.items():
        disk = swap_disk(arch, f"stress-{name}", 256)
        options = ["--smp", "2", "--mem", "64M", "--disk", disk, "--initrd", initrd]
        r = vellum(arch, *options, "--", "/swap", "/dev/vda", name, *arguments, timeout=900)
        check(
            r.status == 0 and b"swap: passed" in r.out,
            name + ": " + (r.out + r.err[-3000:]).decode(errors="replace"),
        )
        os.remove(disk)

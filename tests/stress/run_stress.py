# SPDX-License-Identifier: MIT
"""A minute of random load on four processors; the free memory must come back. No data is lost,
nor in swap."""

import os

from harness import check, guest_program, image, swap_disk, test, vellum

SECONDS = os.environ.get("VELLUM_STRESS_SECONDS", "60")
SEED = os.environ.get("VELLUM_SEED")


SEEDED = ["-s", SEED] if SEED else []


def run_stress(arch, name, *words, machine=("--smp", "4"), timeout):
    """Run tests/stress/NAME.c with these words: it says at the end that it has passed."""
    program = guest_program(arch, f"tests/stress/{name}.c")

    def fill(archive):
        with open(program, "rb") as f:
            archive.file(name, 0o755, f.read())

    r = vellum(arch, *machine, "--initrd", image(arch, name, fill), "--", f"/{name}", *words, timeout=timeout)
    check(r.status == 0 and f"{name}: passed".encode() in r.out, (r.out + r.err[-3000:]).decode(errors="replace"))


@test("stress", weight=200)
def random_load(arch):
    run_stress(arch, "stress", "-t", SECONDS, timeout=400 + float(SECONDS))


@test("stress", weight=20)
def integrity(arch):
    """Processes map, write, fork, move and share pages; each word says what it must be."""
    run_stress(arch, "integrity", "-n", "1500", *SEEDED, timeout=400)


@test("stress", weight=20)
def integrity_compacted(arch):
    """The same while memory is compacted all the time: pages move under everybody."""
    run_stress(arch, "integrity", "-n", "500", "-c", *SEEDED, timeout=400)


@test("stress", weight=600, default=False)
def integrity_compacted_long(arch):
    run_stress(arch, "integrity", "-n", "10000", "-k", "2000", "-c", *SEEDED, timeout=2000)


@test("stress", weight=600, default=False)
def integrity_long(arch):
    run_stress(arch, "integrity", "-n", "40000", "-k", "2000", *SEEDED, timeout=2000)


@test("stress", weight=20)
def meetings(arch):
    """Everything that moves pages, at once in one address space; swap comes and goes."""
    machine = ["--smp", "4", "--mem", "96M", "--append", "loglevel=4 ramdisk_size=65536"]
    run_stress(arch, "meetings", "-t", "15", "-d", "/dev/ram0", *SEEDED, machine=machine, timeout=200)


SWAP_TESTS = {
    "random": ["160", "20000"],
    "share": ["32"],
    "files": ["24"],
    "off": ["36"],
}


@test("stress", weight=200, default=False)
def swap(arch):
    """More memory than there is: 64 MiB, and 256 MiB of swap."""
    for name, arguments in SWAP_TESTS.items():
        disk = swap_disk(arch, f"stress-{name}", 256)
        machine = ["--smp", "2", "--mem", "64M", "--disk", disk]
        run_stress(arch, "swap", "/dev/vda", name, *arguments, machine=machine, timeout=900)
        os.remove(disk)

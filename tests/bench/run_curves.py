# SPDX-License-Identifier: MIT
"""Curves of what memory management costs as things grow: docs/curves/.

The points are from curves.c, in instructions (--icount). Beside each picture
are its points, one file for each machine, so that it can be drawn without
measuring anew.
"""

import os
import threading

from harness import ARCHES, ROOT, call, check, guest_program, image, test, vellum

PLACE = f"{ROOT}/docs/curves"
drawing = threading.Lock()

# name: title, x, y, logarithmic axes, what of the output
PICTURES = {
    "fork": ("fork, exit and wait", "memory touched, MiB", "instructions", "xy", ["fork"]),
    "fork_touch": ("writing to all memory after a child has gone", "memory touched, MiB",
                   "instructions for a page", "x", ["fork_touch"]),
    "vmas": ("the first touch of a page, and mmap with munmap", "VMAs", "instructions", "x", ["fault", "map"]),
    "swap": ("swap, and the disk itself", "MiB", "MiB a second", "x",
             ["device_write", "device_read", "swap_out", "swap_in"]),
    "pressure": ("the first touch of a page", "memory in use, %", "instructions", "", ["pressure"]),
}
WHAT = {"fault": "fault", "map": "mmap + munmap", "device_write": "disk written", "device_read": "disk read",
        "swap_out": "swapped out", "swap_in": "swapped in"}


def measure(arch):
    """Run curves.c in the guest; keep its points in docs/curves."""
    program = guest_program(arch, "tests/bench/curves.c")

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("curves", 0o755, f.read())

    words = ["--initrd", image(arch, "curves", fill), "--append", "loglevel=4"]
    out = vellum(arch, "--icount", "--mem", "1500M", *words, "--", "/curves", timeout=1500).expect(0).out
    # Time is the clock's here: a disk counts no instructions.
    disk = f"{ROOT}/build/{arch}/tests/swap.disk"
    words += ["--mem", "128M", "--disk", f"{disk},size=512M"]
    out += vellum(arch, *words, "--", "/curves", "swap", timeout=1500).expect(0).out
    os.remove(disk)
    points = {}
    for line in out.decode().splitlines():
        curve, x, cost = line.split()
        points.setdefault(curve, []).append((x, cost))
    os.makedirs(PLACE, exist_ok=True)
    for curve, values in points.items():
        with open(f"{PLACE}/{curve}-{arch}.tsv", "w") as f:
            f.writelines(f"{x}\t{cost}\n" for x, cost in values)
    check(points.keys() >= {c for picture in PICTURES.values() for c in picture[4]}, "some curves are missing")


def draw():
    """The pictures, of all points that there are."""
    for name, (title, x, y, log, curves) in PICTURES.items():
        lines = []
        for curve in curves:
            for arch in ARCHES:
                if os.path.exists(f"{PLACE}/{curve}-{arch}.tsv"):
                    label = f"{WHAT[curve]}, {arch}" if curve in WHAT else arch
                    lines.append(f'"{PLACE}/{curve}-{arch}.tsv" with linespoints title "{label}" noenhanced')
        script = f"""
            set terminal svg size 720,420 font "sans,13" background "white"
            set output "{PLACE}/{name}.svg"
            set title "{title}"
            set xlabel "{x}"
            set ylabel "{y}"
            set grid
            set key left top
            set yrange [0:*]
            set format y "%.0f"
        """
        if "x" in log:
            script += "set logscale x\n"
        if "y" in log:
            script += "set yrange [10000:*]\nset logscale y\n"
        call(["gnuplot"], (script + "plot " + ", ".join(lines) + "\n").encode()).expect(0)


@test("bench", weight=1000, default=False)
def curves(arch):
    measure(arch)
    with drawing:
        draw()

# SPDX-License-Identifier: MIT
"""The benchmark, counted in instructions, beside Linux's figures: docs/bench.md.

Everything runs under --icount: one processor, an instruction is a nanosecond
of the guest's time. Rows that the kernel cannot do yet are left open.
"""

import json
import os
import re
import threading

from harness import ARCHES, ROOT, check, guest_program, image, shell, test, vellum

REFERENCES = f"{ROOT}/tests/bench/linux.tsv"
TO_BEAT = {"x86_64": "x86_64_trimmed", "riscv64": "riscv64_trimmed"}
writing = threading.Lock()


def references():
    """{row: {column: instructions}}, in the file's order."""
    rows, columns = {}, []
    with open(REFERENCES) as f:
        for line in f:
            words = line.rstrip("\n").lstrip("# ").split("\t")
            if words[0] == "name":
                columns = words[1:]
            elif columns and len(words) > 1:
                rows[words[0]] = {c: float(w) for c, w in zip(columns, words[1:]) if w != "-"}
    return rows


def run_rows(arch):
    """{row: instructions, or why not}."""
    program = guest_program(arch, "tests/bench/kbench.c")

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("kbench", 0o755, f.read())

    initrd = image(arch, "bench", fill)
    command = ["/kbench", "-x", "/bin/true", *os.environ.get("VELLUM_BENCH_ROWS", "").split()]
    words = ["--icount", "--mem", "1024M", "--initrd", initrd, "--append", "loglevel=4"]
    r = vellum(arch, *words, "--", *command, timeout=float(os.environ.get("VELLUM_BENCH_SECONDS", 3000)))
    rows = {}
    for line in r.out.decode(errors="replace").splitlines():
        words = line.split(None, 1)
        if len(words) == 2:
            rows[words[0]] = words[1] if words[1][0].isalpha() else float(words[1].split()[0])
    check(rows, f"kbench said nothing; status {r.status}\n" + r.err[-2000:].decode(errors="replace"))
    return rows


def entry_to_init(arch):
    """Instructions from the kernel's entry to init's first, as the kernel says it."""
    err = vellum(arch, "--icount", "--mem", "64M", "--", "true").expect(0).err
    found = re.search(rb"([\d.]+) ms from entry to init", err)
    return round(float(found.group(1)) * 1e6) if found else None


def memory_at_prompt(arch):
    """kB in use at the prompt with 64 MiB, the kernel's image included."""
    with shell(arch, "--mem", "64M") as t:
        t.line("grep MemFree /proc/meminfo")
        free = int(t.expect(rb"MemFree: +(\d+) kB").group(1))
    return 65536 - free


def column(value):
    return "" if value is None else value if isinstance(value, str) else f"{value:,.0f}"


def table(arch, ours):
    linux = references()
    names = [c for c in next(iter(linux.values())) if c.startswith(arch)]
    best = TO_BEAT[arch]
    out = ["| row | Vellum | of trimmed | " + " | ".join(names) + " |", "|---|--:|--:|" + "--:|" * len(names)]
    better = counted = 0
    for row, figures in linux.items():
        value = ours.get(row)
        ratio = ""
        if isinstance(value, float) and best in figures:
            counted += 1
            better += value < figures[best]
            mark = "" if value < figures[best] else " (!)"
            ratio = f"{value / figures[best]:.2f}{mark}"
        cells = [column(figures.get(n)) or "-" for n in names]
        out.append(f"| {row} | {column(value) or '-'} | {ratio or '-'} | " + " | ".join(cells) + " |")
    out.append("")
    out.append(f"{better} of {counted} rows take fewer instructions than the trimmed Linux; `(!)` marks the others.")
    return out


def write_page():
    text = [
        "# Figures",
        "",
        "Written by `./test bench`. All figures are instructions, counted by the emulator (`./run --icount`: one",
        "processor, an instruction is a nanosecond of the guest's time), of `tests/bench/kbench.c`, with 1024 MiB of",
        "memory and its files on tmpfs. The Linux columns are from `tests/bench/linux.tsv`: Linux 6.1 trimmed to what",
        "the benchmark needs, Debian's kernel with everything costly switched off (lean), and as it comes (default).",
        "",
    ]
    for arch in ARCHES:
        name = f"{ROOT}/build/{arch}/tests/bench.json"
        if not os.path.exists(name):
            continue
        with open(name) as f:
            figures = json.load(f)
        text += [f"## {arch}", ""]
        if figures["entry_to_init"]:
            text += [f"Kernel entry to the first instruction of init, 64 MiB: {figures['entry_to_init']:,}", ""]
        text += [f"Memory in use at the shell prompt, 64 MiB: {figures['memory']:,} kB, kernel included", ""]
        text += [*table(arch, figures["rows"]), ""]
    os.makedirs(f"{ROOT}/docs", exist_ok=True)
    with open(f"{ROOT}/docs/bench.md", "w") as f:
        f.write("\n".join(text))


@test("bench", weight=1000, default=False)
def figures(arch):
    found = {
        "rows": run_rows(arch),
        "entry_to_init": entry_to_init(arch),
        "memory": memory_at_prompt(arch),
    }
    with writing:
        with open(f"{ROOT}/build/{arch}/tests/bench.json", "w") as f:
            json.dump(found, f)
        write_page()

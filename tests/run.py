#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the tests that were asked for, two at a time, and report each in a line."""

import argparse
import importlib
import os
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "tools")]

import harness  # noqa: E402

PARTS = {
    "lint": ["lint.run_lint"],
    "unit": ["unit.run_unit"],
    "abi": ["abi.run_abi"],
    "boot": [
        *["boot.commands", "boot.machines", "boot.terminal", "boot.programs"],
        *["boot.procps", "boot.bugs", "boot.debuggers", "boot.memview", "boot.disks", "boot.musl", "boot.run_time"],
    ],
    "debian": ["debian.run_debian", "debian.python_modules", "debian.stress_ng"],
    "fuzz": ["fuzz.run_fuzz"],
    "pressure": ["pressure.run_pressure"],
    "stress": ["stress.run_stress"],
    "bench": ["bench.run_bench", "bench.run_curves", "bench.run_programs"],
}


class Report:
    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {"ok": 0, "FAIL": 0, "skip": 0}

    def add(self, verdict, name, seconds, text):
        with self.lock:
            self.counts[verdict] += 1
            why = f": {text}" if text and verdict != "FAIL" else ""
            print(f"{verdict:<4} {name} ({seconds:.1f} s){why}", flush=True)
            if verdict == "FAIL":
                lines = text.splitlines()
                lines = lines if len(lines) <= 40 else [*lines[:10], "...", *lines[-30:]]
                print("\n".join("     | " + line for line in lines), flush=True)


def run_one(test, report):
    start = time.monotonic()
    verdict, text = "ok", ""
    try:
        parts = test.function(test.arch)
        if parts:
            for part in parts:
                report.add(part.verdict, part.name, part.seconds, part.text)
            return
    except harness.Skip as e:
        verdict, text = "skip", str(e)
    except harness.Failure as e:
        verdict, text = "FAIL", str(e)
    except Exception:  # a mistake in the test is a failure too
        verdict, text = "FAIL", traceback.format_exc()
    report.add(verdict, test.name, time.monotonic() - start, text)


def run_all(tests, jobs, report):
    queue = sorted(tests, key=lambda t: -t.weight)
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not queue:
                    return
                test = queue.pop(0)
            run_one(test, report)

    workers = [threading.Thread(target=work) for _ in range(jobs)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()


def is_program(name):
    """One of the many that a test of abi or unit runs."""
    return name.startswith(("abi/", "unit/test_")) and os.path.exists(os.path.join(HERE, f"{name}.c"))


def matches(name, wanted):
    """A part, the beginning of a name, or a program, which all tests of its part run."""
    if "/" not in wanted or is_program(wanted):
        return name.startswith(wanted.split("/")[0] + "/")
    return name.startswith(wanted)


def build(arch):
    """What nearly every test needs; if it fails, the tests say so."""
    try:
        harness.make(arch, "kernel", "image", jobs=2)
    except harness.Failure:
        pass


def build_all(tests):
    """Both machines' kernels side by side, before tests share the processors."""
    arches = {t.arch for t in tests} - {None}
    builders = [threading.Thread(target=build, args=(a,)) for a in arches]
    for b in builders:
        b.start()
    for b in builders:
        b.join()


def choose(options):
    full = "full" in options.names
    named = [n for n in options.names if n != "full"]
    wanted = named or [p for p in PARTS if p != "bench"]
    for name in wanted:
        part = name.split("/")[0]
        if part not in PARTS:
            sys.exit(f"test: no such part: {part} (./test --help lists them)")
    harness.programs = {n for n in wanted if is_program(n)}
    for part, modules in PARTS.items():
        if any(name.split("/")[0] == part for name in wanted):
            for module in modules:
                importlib.import_module(module)
    return [
        t
        for t in harness.tests
        if any(matches(t.name, n) for n in wanted)
        and t.arch in (None, options.arch or t.arch)
        and (t.default or t.name.startswith("bench/") or full or t.name.split()[0] in named)
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", choices=harness.ARCHES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_intermixed_args()
    tests = choose(options)
    if options.list:
        print("\n".join(t.name for t in tests))
        return 0
    report = Report()
    build_all(tests)
    run_all(tests, options.jobs, report)
    counts = report.counts
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] or not counts["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())

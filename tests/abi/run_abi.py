# SPDX-License-Identifier: MIT
"""The ABI tests: each program on this host's Linux first, then in Vellum.

Vellum is started once for all programs. If it does not survive one, that one
has failed, and the rest runs in a machine started anew.
"""

import glob
import os
import re
import select
import subprocess
import time

import harness
from harness import ROOT, TIED, Part, call, image, run_argv, test

LIMIT = 150  # seconds for one program in the machine
DRIVER = b"""#!/bin/sh
# Run the programs named; a line before and after each.
for name; do
    echo "=== begin $name"
    timeout -s KILL %d /abi/$name </dev/null
    echo "=== end $name $?"
done
""" % (LIMIT - 30)


def build(arch):
    call(["make", "-s", "-C", "tests/abi", f"ARCH={arch}"], timeout=600).expect(0)
    return f"{ROOT}/build/{arch}/abi"


def names():
    """Programs that are tests; the others in the folder are there to be executed."""
    sources = sorted(glob.glob(f"{ROOT}/tests/abi/*.c"))
    tests = [s for s in sources if re.search("CHECK_MAIN|check_run", open(s).read())]
    found = [os.path.basename(s)[:-2] for s in tests]
    wanted = harness.programs_of("abi")
    return [n for n in found if n in wanted] if wanted else found


@test("abi", weight=80)
def host(arch):
    """The oracle: what does not pass on Linux is a wrong test."""
    folder = build(arch)
    call(["tests/abi/host.sh", arch, folder, *sorted(harness.programs_of("abi"))], timeout=600).expect(0)


def judge(output, status):
    """The verdict on one program's output, in the Test Anything Protocol."""
    good = len(re.findall(r"(?m)^ok \d+", output))
    bad = re.findall(r"(?m)^not ok .*", output)
    skipped = len(re.findall(r"(?m)^ok \d+.*# skip", output))
    plan = re.search(r"(?m)^1\.\.(\d+)", output)
    if status != 0 or bad or not plan or int(plan.group(1)) != good:
        why = [f"status {status}, {good} checks passed, plan {plan.group(0) if plan else 'missing'}"]
        others = [line for line in output.splitlines() if not line.startswith(("ok ", "not ok "))]
        return "FAIL", "\n".join(why + bad + others[-12:])
    return "ok", f"{good - skipped} checks" + (f", {skipped} skipped" if skipped else "")


class Machine:
    """One start of Vellum that runs programs until it is through or broken."""

    def __init__(self, arch, smp, initrd, programs, debug):
        self.argv = run_argv(arch, "--smp", str(smp), "--mem", "512M", "--initrd", initrd)
        self.argv += ["--debug"] if debug else []
        self.argv += ["--append", "loglevel=4 ramdisk_size=8192", "--", "/abi/driver", *programs]

    def run(self, done):
        """Calls done(name, output, status, seconds) for each program that ended; returns
        (None, ...) if all went well, else (the program that was running, why)."""
        process = subprocess.Popen(
            [*TIED, *self.argv],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        current, text, rest, start = "(start)", [], b"", time.monotonic()
        silent = False
        while True:
            if not select.select([process.stdout], [], [], LIMIT)[0]:
                silent = True
                process.terminate()
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in (raw.decode(errors="replace") for raw in lines):
                begin = re.search(r"=== begin (\S+)", line)
                end = re.search(r"=== end (\S+) (\d+)$", line)
                if begin:
                    current, text, start = begin.group(1), [], time.monotonic()
                elif end:
                    done(end.group(1), "\n".join(text), int(end.group(2)), time.monotonic() - start)
                    current, text = None, []
                else:
                    text.append(line)
        status = process.wait()
        if current is None and status == 0:
            return None, ""
        why = "the machine fell silent" if silent else f"./run ended with status {status}"
        return current or "(between)", why + "\n" + "\n".join(text[-30:])


def in_vellum(arch, smp, debug=False):
    folder = build(arch)
    kind = f"{arch} smp {smp}" + (" debug" if debug else "")

    def fill(archive):
        archive.tree("abi", folder)
        archive.file("abi/driver", 0o755, DRIVER)

    initrd = image(arch, "abi", fill)
    left, parts, starts = names(), [], 0

    def done(name, output, status, seconds):
        verdict, text = judge(output, status)
        parts.append(Part(f"abi/{name} {kind}", verdict, seconds, text))
        left.remove(name)

    while left and starts < 8:
        starts += 1
        current, why = Machine(arch, smp, initrd, left, debug).run(done)
        if current is None:
            break
        if current not in left:  # before the first program, between two or after the last
            parts.append(Part(f"abi/{current} {kind}", "FAIL", 0.0, why))
            continue
        parts.append(Part(f"abi/{current} {kind}", "FAIL", 0.0, why))
        left.remove(current)
    parts += [Part(f"abi/{n} {kind}", "FAIL", 0.0, "not run: too many broken machines") for n in left]
    return parts


@test("abi", weight=110)
def debug_smp_4(arch):
    """Once more where the kernel checks itself: order of locks, memory after free, and so on."""
    return in_vellum(arch, 4, debug=True)


for count in (1, 2, 4):
    test("abi", name=f"smp-{count}", weight=100 + count)(lambda arch, smp=count: in_vellum(arch, smp))

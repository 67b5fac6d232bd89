# SPDX-License-Identifier: MIT
"""More memory is wanted than there is: 64 MiB, and 256 MiB of swap on /dev/vda.

Nothing may fail that needs not, and nothing be lost; what must fail does so with a
report, and the shell answers. `./test full pressure` runs the long forms.
"""

import os
import re
import threading

from harness import ROOT, check, guest_program, image, swap_disk, test, vellum

SWAP_MIB = 256
TROUBLE = rb"(?m)^.*(?:BUG|panic:|Bad page|assertion).*$"
lock = threading.Lock()


def sparse_disk(arch, name, mib):
    path = f"{ROOT}/build/{arch}/tests/{name}.disk"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    return path


def under_pressure(arch, name, script, programs, disks=(), swap=SWAP_MIB, timeout=400):
    """Run a shell script in a machine with little memory. Programs are C files, and lie in /."""
    built = [guest_program(arch, p) for p in programs]

    def fill(archive):
        for program in built:
            with open(program, "rb") as f:
                archive.file(os.path.basename(program), 0o755, f.read())

    with lock:
        initrd = image(arch, f"pressure-{name}", fill)
    words = ["--mem", "64M", "--smp", "2", "--initrd", initrd]
    for disk in [*([swap_disk(arch, name, swap)] if swap else []), *disks]:
        words += ["--disk", disk]
    if swap:
        script = "/pressure swapon /dev/vda || exit 99\n" + script
    r = vellum(arch, *words, "--", "sh", "-c", script, timeout=timeout)
    text = (r.out + r.err[-6000:]).decode(errors="replace")
    trouble = re.search(TROUBLE, r.err)
    check(not trouble, f"{trouble and trouble.group(0)}\n{text}")
    return r, text


PRESSURE = "tests/pressure/pressure.c"


def run_mix(arch, name, tasks, mib):
    r, text = under_pressure(arch, name, f"/pressure mix 4 {tasks} {mib}", [PRESSURE], timeout=900)
    check(r.status == 0 and b" 0 failed" in r.out, text)


@test("pressure", weight=40)
def mix(arch):
    run_mix(arch, "mix", 8, 20)


@test("pressure", weight=300, default=False)
def mix_long(arch):
    run_mix(arch, "mix-long", 100, 28)


def major_faults(r, text):
    found = re.findall(rb"hot: (\d+) major faults in (\d+) rounds", r.out)
    check(r.status == 0 and len(found) == 2, text)
    (quiet, _), (read, _) = found
    return int(quiet), int(read)


def run_hot(arch, name, mib):
    disk = sparse_disk(arch, name, 1024)
    script = f"/pressure hot 20 50 /dev/vdb\n/pressure hot 20 50 /dev/vdb {mib << 20}"
    r, text = under_pressure(arch, name, script, [PRESSURE], [disk], timeout=900)
    quiet, read = major_faults(r, text)
    # 256: pages that were on their way when the reading began
    check(read <= quiet * 1.05 + 256, f"{quiet} major faults without, {read} with the reading\n{text}")


@test("pressure", weight=40)
def hot(arch):
    """One big sequential read does not push out a working set that is in use."""
    run_hot(arch, "hot", 96)


@test("pressure", weight=200, default=False)
def hot_long(arch):
    run_hot(arch, "hot-long", 960)


HOG = """
echo -500 > /proc/self/oom_score_adj
sh -c 'echo 0 > /proc/self/oom_score_adj; exec /pressure hog'
echo "hog $?"
ls / > /dev/null && echo "answers $(expr 6 '*' 7)"
"""


def run_hog(arch, name, swap, script=HOG):
    r, text = under_pressure(arch, name, script, [PRESSURE], swap=swap)
    check(r.status == 0 and re.search(rb"(?m)^hog 137\nanswers 42$", r.out), text)
    check(b"Out of memory: Killed process" in r.err, f"no report\n{text}")


@test("pressure", weight=20)
def out_of_memory(arch):
    """The hog dies, the shell answers."""
    run_hog(arch, "oom", 0)


HIDDEN = """
/pressure hidden
echo "hog $?"
ls / > /dev/null && echo "answers $(expr 6 '*' 7)"
"""


@test("pressure", weight=20)
def hidden_hog(arch):
    """Memory that counts for no process: who goes on asking is ended, not the largest of the small."""
    run_hog(arch, "hidden-hog", 0, HIDDEN)


@test("pressure", weight=40)
def out_of_swap(arch):
    run_hog(arch, "oom-swap", SWAP_MIB)


SWAPOFF = """
mount -t tmpfs -o size=150M none /mnt
dd if=/dev/urandom of=/mnt/file bs=1M count=100 2> /dev/null
sum=$(md5sum < /mnt/file)
swapoff /dev/vda
echo "swapoff $(($? != 0))"
[ "$sum" = "$(md5sum < /mnt/file)" ] && echo "the same"
grep -c /dev/vda /proc/swaps
"""


@test("pressure", weight=40)
def swapoff_without_room(arch):
    """100 MiB do not fit into 64: swapoff gives up, or is ended, and nobody else notices."""
    r, text = under_pressure(arch, "swapoff", SWAPOFF, [PRESSURE])
    check(r.status == 0 and r.out.endswith(b"swapoff 1\nthe same\n1\n"), text)


INTEGRITY = "tests/stress/integrity.c"


def run_integrity(arch, name, steps, seed):
    script = f"/integrity -s {seed} -n {steps} -p 4 -k 2500 -f /dev/vdb"
    disk = sparse_disk(arch, name, 16)
    r, text = under_pressure(arch, name, script, [PRESSURE, INTEGRITY], [disk], timeout=1500)
    check(r.status == 0 and b"integrity: passed" in r.out, text)


@test("pressure", weight=60)
def integrity(arch):
    """Every word is what it must be, while memory is swapped and written back."""
    run_integrity(arch, "integrity", 150, os.environ.get("VELLUM_SEED", "1"))


@test("pressure", weight=900, default=False)
def integrity_long(arch):
    run_integrity(arch, "integrity-long", 6000, os.environ.get("VELLUM_SEED", "2"))

# SPDX-License-Identifier: MIT
"""Write-back and read-ahead on a disk: what is written when, and in how many requests what is read."""

import os
import random
import re

from harness import ROOT, Terminal, check, equal, run_argv, test, vellum

MIB = 1 << 20

COMMON = r"""
vm() { sed -n "s/^$1 //p" /proc/vmstat; }
set_vm() { echo "$2" > /proc/sys/vm/$1; }
# Requests and sectors of vda: $1 is r or w
disk() { awk -v op=$1 '$3 == "vda" { print op == "r" ? $4 " " $6 : $8 " " $10 }' /proc/diskstats; }
drop() { echo 1 > /proc/sys/vm/drop_caches; }
exec 9<>/dev/vda # the last close would write everything out
"""


def disk_file(arch, name, size):
    path = f"{ROOT}/build/{arch}/tests/disk-{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def numbers(out, name):
    m = re.search(rb"(?m)^%s((?: -?\d+)+)$" % name.encode(), out)
    check(m is not None, f"no line {name!r} in the output:\n{out.decode(errors='replace')}")
    return [int(word) for word in m.group(1).split()]


READING = COMMON + r"""
a=$(disk r)
dd if=/dev/vda of=/dev/null bs=4k count=4096 2>/dev/null
echo sequential $a $(disk r)
drop
a=$(disk r)
for i in 7 3000 901 44 2222 1500 350 3600 2800 123; do
    dd if=/dev/vda of=/dev/null bs=4k skip=$i count=1 2>/dev/null
done
echo random $a $(disk r)
drop
cat /sys/block/vda/queue/read_ahead_kb
echo 512 > /sys/block/vda/queue/read_ahead_kb
a=$(disk r)
dd if=/dev/vda of=/dev/null bs=4k count=4096 2>/dev/null
echo larger $a $(disk r)
drop
echo 0 > /sys/block/vda/queue/read_ahead_kb
a=$(disk r)
dd if=/dev/vda of=/dev/null bs=4k count=64 2>/dev/null
echo off $a $(disk r)
"""


@test("boot", weight=10)
def read_ahead(arch):
    """Few large requests for who reads on, small ones for who jumps about."""
    disk = disk_file(arch, "ahead", 32 * MIB)
    out = vellum(arch, "--disk", disk, "--", "sh", "-c", READING, timeout=200).expect(0).out

    def used(name):
        requests, sectors, requests_after, sectors_after = numbers(out, name)
        return requests_after - requests, (sectors_after - sectors) * 512

    requests, size = used("sequential")
    check(16 * MIB <= size <= 16 * MIB + MIB, f"sequential reading of 16 MiB has read {size} bytes")
    check(requests <= 16 * 8 + 10, f"sequential reading of 16 MiB took {requests} requests")
    requests, size = used("random")
    equal((requests, size), (10, 10 * 4096), "requests and bytes for 10 pages here and there")
    requests, size = used("larger")
    check(requests <= 16 * 4 + 10, f"with windows of 512 KiB, 16 MiB took {requests} requests")  # 256 KiB at most
    equal(used("off"), (64, 64 * 4096), "without read-ahead")


WRITING = COMMON + r"""
# By age.
set_vm dirty_expire_centisecs 100
set_vm dirty_writeback_centisecs 20
a=$(vm nr_written)
dd if=/tmp/r of=/dev/vda bs=64k count=16 conv=notrunc 2>/dev/null
echo dirty $(vm nr_dirty) $(($(vm nr_written) - a))
until [ $(vm nr_dirty) = 0 ] && [ $(vm nr_writeback) = 0 ]; do sleep 0.1; done
echo aged $(($(vm nr_written) - a))
# By share: the background limit is crossed, nothing is old.
set_vm dirty_expire_centisecs 360000
set_vm dirty_background_bytes 1048576
a=$(vm nr_written)
dd if=/tmp/r of=/dev/vda bs=64k count=8 seek=16 conv=notrunc 2>/dev/null
sleep 0.5
echo below $(vm nr_dirty) $(($(vm nr_written) - a))
dd if=/tmp/r of=/dev/vda bs=64k count=32 seek=24 skip=8 conv=notrunc 2>/dev/null
until [ $(vm nr_dirty) -le 256 ]; do sleep 0.1; done
echo background $(($(vm nr_written) - a > 0))
# Writers are stopped.
set_vm dirty_bytes 2097152
a=$(vm dirty_throttled) most=0
dd if=/dev/zero of=/dev/vda bs=64k seek=128 count=256 conv=notrunc 2>/dev/null &
while kill -0 $! 2>/dev/null; do
    n=$(awk '/^nr_dirty |^nr_writeback / { n += $2 } END { print n }' /proc/vmstat)
    [ $n -gt $most ] && most=$n
done
wait
echo throttled $(($(vm dirty_throttled) - a)) $most
# One may be killed while it is stopped.
dd if=/dev/zero of=/dev/vda bs=64k seek=128 count=128 conv=notrunc 2>/dev/null &
kill -9 $!
wait $!
echo killed $?
sync
echo after $(vm nr_dirty) $(vm nr_writeback)
"""


@test("boot", weight=15)
def write_back(arch):
    """By age, by share of memory; who writes too fast is stopped; after sync(1) all is on the disk."""
    disk = disk_file(arch, "back", 32 * MIB)
    script = "dd if=/dev/urandom of=/tmp/r bs=64k count=40 2>/dev/null; sha256sum < /tmp/r\n" + WRITING
    script += "dd if=/tmp/r of=/dev/vda bs=64k seek=300 conv=notrunc 2>/dev/null; sync; echo '=='; cat /tmp/r"
    out = vellum(arch, "--disk", disk, "--", "sh", "-c", script, timeout=300).expect(0).out
    text, _, data = out.partition(b"==\n")
    equal(numbers(text, "dirty")[0], 256, "dirty pages after writing 1 MiB")
    equal(numbers(text, "aged"), [256], "pages written as they became old")
    equal(numbers(text, "below"), [128, 0], "dirty and written pages below the background limit")
    equal(numbers(text, "background"), [1], "written pages above it")
    stops, most = numbers(text, "throttled")
    check(stops > 5, f"the writer was stopped {stops} times")
    check(most <= 512 + 128, f"{most} pages were dirty, the limit is 512")
    equal(numbers(text, "killed"), [137], "status of a writer that was killed")
    equal(numbers(text, "after"), [0, 0], "dirty and being written after sync(1)")
    equal(len(data), 40 << 16, "what was written at last")
    with open(disk, "rb") as f:
        f.seek(300 << 16)
        check(f.read(40 << 16) == data, "after sync(1) the disk has something else than was written")


@test("boot", weight=15)
def write_back_under_pressure(arch):
    """Much more is written and read than there is memory."""
    disk = disk_file(arch, "much", 160 * MIB)
    seed = random.randbytes(MIB)
    with open(disk, "r+b") as f:
        f.write(seed)
    script = (
        "exec 9<>/dev/vda; i=1; while [ $i -lt 160 ]; do dd if=/dev/vda bs=1M count=1 2>/dev/null |"
        " dd of=/dev/vda bs=1M seek=$i conv=notrunc iflag=fullblock 2>/dev/null || echo failed; i=$((i + 1)); done;"
        " sync; for i in 1 80 159; do cmp -n 1048576 /dev/vda /dev/vda 0 $((i << 20)) && echo same; done"
    )
    r = vellum(arch, "--mem", "64M", "--disk", disk, "--", "sh", "-c", script, timeout=400).expect(0)
    equal(r.out, b"same\n" * 3, "comparisons")
    with open(disk, "rb") as f:
        check(all(f.read(MIB) == seed for _ in range(160)), "the disk does not have what was written")

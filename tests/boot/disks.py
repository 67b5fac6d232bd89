# SPDX-License-Identifier: MIT
"""Disks: what the host has put on them the machine sees, and the other way round."""

import hashlib
import json
import os
import random
import re

from harness import (
    ROOT,
    Terminal,
    call,
    check,
    equal,
    guest_program,
    image,
    kernel_file,
    run_argv,
    swap_disk,
    test,
    vellum,
)

MIB = 1 << 20


def disk_file(arch, name, size=0):
    """A new image among the test's files."""
    path = f"{ROOT}/build/{arch}/tests/disk-{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def sha256(path, start=0, size=None):
    with open(path, "rb") as f:
        f.seek(start)
        return hashlib.sha256(f.read(size)).hexdigest().encode()


def partitions_by_host(path):
    table = json.loads(call(["/sbin/sfdisk", "-J", path]).expect(0).out)["partitiontable"]
    found = {}
    for p in table["partitions"]:
        number = int(re.search(r"\d+$", p["node"][len(path) :]).group())
        # Of an extended partition only what a boot loader may use can be had.
        found[number] = (p["start"], 2 if p.get("type") in ("5", "f") else p["size"])
    return found


SHOW_PARTITIONS = r"""
for d in /sys/block/vd*; do
    for p in $d/*/partition; do
        p=${p%/partition}
        echo ${d##*/} $(cat $p/partition $p/start $p/size) ${p##*/} $(cat $p/dev)
    done
done 2>/dev/null
ls -l /dev/vd* | awk '{ print $NF, $5 $6 }'
cat /proc/partitions
"""


@test("boot", weight=20)
def partition_tables(arch):
    """GPT, also if one of its copies is damaged; MBR with logical partitions; none."""
    gpt, bad, mbr, none = (disk_file(arch, name, 64 * MIB) for name in ("gpt", "bad", "mbr", "none"))
    entries = b"".join(b"start=%d, size=%d\n" % (2048 + 2048 * i, 1000 + i) for i in range(20))
    call(["/sbin/sfdisk", "-q", gpt], b"label: gpt\n" + entries).expect(0)
    call(["/sbin/sfdisk", "-q", bad], b"label: gpt\n,16M\n,8M\n,\n").expect(0)
    call(["/sbin/sfdisk", "-q", mbr], b"label: dos\n,4M\n,4M\n,20M,E\n,\n,2M\n,3M\n,\n").expect(0)
    expected = {"vda": partitions_by_host(gpt), "vdb": partitions_by_host(bad), "vdc": partitions_by_host(mbr)}
    with open(bad, "r+b") as f:
        f.seek(512 + 40)  # in the first header
        f.write(b"\xff" * 8)
    disks = [word for path in (gpt, bad, mbr, none) for word in ("--disk", path)]
    r = vellum(arch, *disks, "--", "sh", "-c", SHOW_PARTITIONS).expect(0, err=rb"vdb: the GPT is damaged")
    got, nodes, names = {}, {}, {}
    for line in r.out.decode().splitlines():
        words = line.split()
        if len(words) == 6:
            got.setdefault(words[0], {})[int(words[1])] = (int(words[2]), int(words[3]))
            names[words[4]] = words[5]
        elif line.startswith("/dev/"):
            nodes[words[0]] = words[1].replace(",", ":")
        elif len(words) == 4 and words[0].isdigit() and words[3] in names:
            equal(f"{words[0]}:{words[1]}", names[words[3]], f"/proc/partitions about {words[3]}")
    equal(got, expected, "partitions")
    for name, number in names.items():
        equal(nodes.get(f"/dev/{name}"), number, f"/dev/{name}")
    equal(names["vda15"], "254:15", "the last that has a minor of the disk's")
    equal(names["vdb1"], "254:17", "the first of the second disk")
    check(names["vda16"].startswith("259:"), f"vda16 is {names['vda16']}")


CONTENTS = r"""
set -e
sha256sum /dev/vda </dev/null
# Several write at once, through the cache and past it, in pieces of odd sizes.
dd if=/dev/urandom of=/tmp/r bs=64k count=64 2>/dev/null
dd if=/tmp/r of=/dev/vda bs=1000 seek=1001 conv=notrunc 2>/dev/null &
dd if=/tmp/r of=/dev/vda bs=3333 seek=2500 conv=notrunc 2>/dev/null &
dd if=/tmp/r of=/dev/vda bs=64k seek=300 conv=notrunc,fsync 2>/dev/null &
wait
cat /dev/vda >/dev/null & cat /dev/vda >/dev/null & wait
cmp -n 4194304 /tmp/r /dev/vda 0 1001000
cmp -n 4194304 /tmp/r /dev/vda 0 8332500
cmp -n 4194304 /tmp/r /dev/vda 0 19660800
sync
echo 3 > /proc/sys/vm/drop_caches
sha256sum /dev/vda
blkdiscard -o 25165824 -l 4194304 /dev/vda
dd if=/dev/vda bs=1M skip=24 count=4 2>/dev/null | tr -d '\0' | wc -c
blockdev --getro /dev/vdb
dd if=/dev/zero of=/dev/vdb count=1 2>/dev/null && echo written
sha256sum /dev/vdb
blockdev --getsize64 /dev/vdc
"""


@test("boot", weight=30)
def disk_contents(arch):
    """Read, write, discard, a disk that cannot be written, one that ./run makes."""
    disk, fixed, new = disk_file(arch, "rw", 32 * MIB), disk_file(arch, "ro"), f"{ROOT}/build/{arch}/tests/disk-new"
    with open(disk, "r+b") as f:
        f.write(random.randbytes(32 * MIB))
    with open(fixed, "wb") as f:
        f.write(random.randbytes(3 * MIB + 512))
    if os.path.exists(new):
        os.unlink(new)
    before, blocks = sha256(disk), os.stat(disk).st_blocks
    words = ["--disk", disk, "--disk", f"{fixed},ro", "--disk", f"{new},size=5M"]
    r = vellum(arch, *words, "--", "sh", "-c", CONTENTS, timeout=400)
    lines = r.out.split(b"\n")
    equal(lines[0].split()[0], before, "what the machine reads")
    check(b"written" not in r.out, "a read-only disk was written")
    equal(lines[2:4], [b"0", b"1"], "what was discarded, and whether vdb is read-only")
    equal(lines[4].split()[0], sha256(fixed), "the read-only disk")
    equal(lines[5], b"%d" % (5 * MIB), "the size of the new disk")
    r.expect(0)
    with open(disk, "rb") as f:
        data = f.read()
    check(not any(data[24 * MIB : 28 * MIB]), "what was discarded is not zeros")
    freed = (blocks - os.stat(disk).st_blocks) * 512
    check(freed >= 3 * MIB, f"discarding 4 MiB gave back {freed} bytes")


@test("boot", weight=15)
def disk_after_power_loss(arch):
    """What fsync(2) has confirmed is on the disk though the machine ends that very moment."""
    disk = disk_file(arch, "loss", 16 * MIB)
    script = (
        "dd if=/dev/urandom of=/tmp/r bs=64k count=40 2>/dev/null;"
        " dd if=/tmp/r of=/dev/vda bs=10000 seek=3 conv=notrunc,fsync 2>/dev/null;"
        ' echo "safe: $(sha256sum < /tmp/r)"; sleep 1000'
    )
    with Terminal(run_argv(arch, "--disk", disk, "--", "sh", "-c", script)) as t:
        wanted = t.expect(rb"safe: ([0-9a-f]{64})").group(1)
    equal(sha256(disk, 30000, 40 << 16), wanted, "what is on the disk")


def plain(arch, append, *words):
    """The emulator with devices that ./run has no option for, up to the shell's prompt."""
    machine = "q35" if arch == "x86_64" else "virt"
    kernel = kernel_file(arch)
    argv = ["timeout", "200", f"qemu-system-{arch}", "-M", machine, "-m", "128M", "-smp", "2", "-nographic"]
    argv += ["-no-reboot", "-kernel", kernel, "-initrd", f"{ROOT}/build/{arch}/root.cpio"]
    return Terminal([*argv, "-append", f"console=ttyS0 init=/bin/sh {append}", *words])


RINGS = """
dd if=/dev/urandom of=/r bs=1M count=8 2>/dev/null
dd if=/r of=/dev/vda bs=3000 conv=fsync 2>/dev/null; blockdev --flushbufs /dev/vda; cmp /r /dev/vda && echo first same
dd if=/r of=/dev/vdb bs=3000 conv=fsync 2>/dev/null; blockdev --flushbufs /dev/vdb; cmp /r /dev/vdb && echo second same
blockdev --getss /dev/vdb
"""


@test("boot", weight=15)
def disk_rings(arch):
    """A device with few descriptors, no tables of them and no messages; one with large blocks."""
    names = [disk_file(arch, name, 8 * MIB) for name in ("small-ring", "large-blocks")]
    drives = [f"if=none,id=d{i},format=raw,file={name}" for i, name in enumerate(names)]
    plainest = "virtio-blk-pci,drive=d0,indirect_desc=off,event_idx=off,vectors=0,queue-size=16"
    large = "virtio-blk-pci,drive=d1,logical_block_size=4096,physical_block_size=4096"
    with plain(arch, "", "-drive", drives[0], "-device", plainest, "-drive", drives[1], "-device", large) as t:
        t.expect(rb"[/~] # ")
        for line in RINGS.strip().splitlines():
            t.line(line)
        t.expect(rb"\nfirst same\r")
        t.expect(rb"\nsecond same\r")
        t.expect(rb"\n4096\r")
    equal(sha256(names[0]), sha256(names[1]), "the two disks")


ERRORS = r"""
cmp -n 1048576 /dev/vda /dev/zero && echo first 1 MiB is fine
dd if=/dev/vda of=/dev/null bs=512 skip=2048 count=1 2>&1 | grep -o 'Input.*'
dd if=/dev/vda of=/dev/null bs=512 skip=2056 count=1 2>&1 | grep -o '1+0 records out'
dd if=/dev/zero of=/dev/vda bs=4096 seek=512 count=1 conv=fsync,notrunc 2>&1 | grep -o 'Input.*'
dd if=/dev/zero of=/dev/vda bs=4096 seek=514 count=1 conv=fsync,notrunc 2>&1 | grep -o '1+0 records out'
dd if=/dev/vdb of=/dev/null bs=1M 2>&1 | grep -o 'Input.*'
dd if=/dev/vdb of=/dev/null bs=512 count=1 2>&1 | grep -o 'Input.*'
echo still 'here'
"""


@test("boot", weight=20)
def disk_errors(arch):
    """A disk that fails here and there; one that does not answer. Errors, but no hang."""
    disk, slow = disk_file(arch, "bad-sectors", 8 * MIB), disk_file(arch, "slow", 8 * MIB)
    config = f"{disk}.conf"
    with open(config, "w") as f:
        for event, sector in (("read_aio", 2048), ("write_aio", 4096)):
            f.write(f'[inject-error]\nevent = "{event}"\nerrno = "5"\nsector = "{sector}"\n\n')
    words = ["-drive", f"if=none,id=a,format=raw,file=blkdebug:{config}:{disk}", "-device", "virtio-blk-pci,drive=a"]
    words += ["-drive", f"if=none,id=b,format=raw,file={slow},throttling.bps-total=4096"]
    words += ["-device", "virtio-blk-pci,drive=b"]
    with plain(arch, "block.timeout=3", *words) as t:
        t.expect(rb"[/~] # ")
        for line in ERRORS.strip().splitlines():
            t.line(line)
        t.expect(rb"\nfirst 1 MiB is fine\r")
        t.expect(rb"\nInput/output error\r")
        t.expect(rb"\n1\+0 records out\r")
        t.expect(rb"\nInput/output error\r")
        t.expect(rb"\n1\+0 records out\r")
        t.expect(rb"vdb: there is no answer: the disk is given up")
        t.expect(rb"\nInput/output error\r")
        t.expect(rb"\nInput/output error\r")
        t.expect(rb"\nstill here\r")


@test("boot", weight=15)
def slow_disk(arch):
    """mmap and munmap while another thread's fault waits for a file's page, and for one from swap."""
    program = guest_program(arch, "tests/boot/slow_disk.c")

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("slow_disk", 0o755, f.read())

    words = ["--smp", "2", "--mem", "64M", "--initrd", image(arch, "slow_disk", fill)]
    for what, disk in ("file", disk_file(arch, "slow", 1 << 20)), ("swap", swap_disk(arch, "slow", 64)):
        r = vellum(arch, *words, "--disk", f"{disk},iops=2", "--", "/slow_disk", what, "/dev/vda", timeout=120)
        check(r.status == 0 and b"changed" in r.out, f"{what}: {r.out + r.err[-2000:]!r}")

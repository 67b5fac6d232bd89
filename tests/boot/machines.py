# SPDX-License-Identifier: MIT
"""Machines of many sizes, and the emulator without any script of ours."""

import re

from harness import ROOT, Terminal, check, equal, image, kernel_file, test, vellum


def processors(count, default=True):
    def body(arch):
        script = "nproc; grep -c '^cpu[0-9]' /proc/stat"
        r = vellum(arch, "--smp", str(count), "--", "sh", "-c", script, timeout=240)
        words = r.expect(0).out.split()
        equal(words[0], b"%d" % count, "nproc")
        equal(words[1], b"%d" % count, "processors in /proc/stat")

    test("boot", name=f"processors-{count}", weight=5 + 2 * count, default=default)(body)


for n in (1, 2, 4, 16):
    processors(n)
processors(64, default=False)


def memory_total(arch, size):
    out = vellum(arch, "--mem", size, "--", "cat", "/proc/meminfo").expect(0).out
    return int(re.search(rb"MemTotal:\s*(\d+) kB", out).group(1)) >> 10


@test("boot")
def memory_16_megabytes(arch):
    total = memory_total(arch, "16M")
    check(8 <= total <= 16, f"{total} MiB")


@test("boot", weight=15)
def memory_4_gigabytes(arch):
    """All of it, below and above the hole that x86 has under 4 GiB; and it works."""
    total = memory_total(arch, "4G")
    check(3900 <= total <= 4096, f"{total} MiB")


@test("boot", weight=60, default=False)
def memory_64_gigabytes(arch):
    """Only when asked for: the kernel's own tables take a gigabyte of this host."""
    total = memory_total(arch, "64G")
    check(60 << 10 <= total <= 64 << 10, f"{total} MiB")


@test("boot")
def too_little_memory(arch):
    """A clear message, not silence."""
    r = vellum(arch, "--mem", "8M", "--timeout", "60", "--", "true")
    if r.status == 122 and re.search(rb"(?i)qemu-system.*(memory|load|overlap)", r.err):
        return  # the emulator itself says so
    check(re.search(rb"(?i)(out of|little|not enough|no) memory", r.err), r.err.decode(errors="replace"))
    check(r.status in (122, 123, 125), f"status {r.status}")


def plain(arch, *words, timeout=120):
    """The emulator as the README starts it, on a terminal; the status is the emulator's."""
    return Terminal(["timeout", str(timeout), f"qemu-system-{arch}", *words, "-nographic", "-no-reboot"])


def plain_shell(arch, machine, initrd, append="console=ttyS0 init=/bin/sh"):
    kernel = kernel_file(arch)
    words = [*machine, "-m", "64M", "-smp", "2", "-kernel", kernel, "-initrd", initrd, "-append", append]
    with plain(arch, *words) as t:
        t.expect(rb"[/~] # ")
        t.line("echo $((6 * 7)) from $$")
        t.expect(rb"\n42 from \d+\r+\n")  # nobody has set our own terminal to raw
        t.line("poweroff -f")
        equal(t.status(), 0, "the emulator's status")


@test("boot")
def plain_emulator(arch):
    machine = "q35" if arch == "x86_64" else "virt"
    kernel_file(arch)
    plain_shell(arch, ["-M", machine], f"{ROOT}/build/{arch}/root.cpio")


@test("boot", arches=("x86_64",))
def plain_emulator_default_machine(arch):
    kernel_file(arch)
    plain_shell(arch, [], f"{ROOT}/build/{arch}/root.cpio")


@test("boot", arches=("x86_64",))
def plain_emulator_microvm(arch):
    kernel_file(arch)
    plain_shell(arch, ["-M", "microvm,rtc=on"], f"{ROOT}/build/{arch}/root.cpio")


@test("boot")
def shell_as_first_process(arch):
    """An image without an init of its own: init=/bin/sh is process 1."""

    def fill(archive):
        archive.file("init", 0o644, b"")  # not executable

    kernel_file(arch)
    initrd = image(arch, "no-init", fill)
    plain_shell(arch, ["-M", "q35" if arch == "x86_64" else "virt"], initrd)


@test("boot")
def nothing_to_run(arch):
    """No image at all: a panic that says what was looked for."""
    machine = "q35" if arch == "x86_64" else "virt"
    with plain(arch, "-M", machine, "-m", "64M", "-kernel", kernel_file(arch), "-append", "console=ttyS0 panic=-1") as t:
        t.expect(rb"Kernel panic[^\r\n]*(init|root)")


@test("boot")
def boot_stages(arch):
    """A short line for each stage that matters; nothing odd among them."""
    err = vellum(arch, "--", "true").expect(0).err
    check(not re.search(rb"(?i)oops|bug|warning", err), err.decode(errors="replace"))


@test("boot", weight=12)
def disk_is_found(arch):
    name = f"{ROOT}/build/{arch}/tests/disk"
    image(arch, "disk-folder", lambda archive: None)
    with open(name, "wb") as f:
        f.write(b"first sector of the disk\n".ljust(512, b".") + b"\0" * (1 << 20))
    r = vellum(arch, "--disk", name, "--", "sh", "-c", "test -b /dev/vda && head -n 1 /dev/vda")
    r.expect(0, out=b"first sector of the disk\n")

# SPDX-License-Identifier: MIT
"""Long scripts of busybox print here and on the host's Linux the same."""

import difflib
import os
import platform
import re
import tempfile

from harness import ROOT, Failure, call, check, guest_package, image, test, vellum

SCRIPT = f"{ROOT}/tests/boot/applets.sh"


def on_host(arch):
    """The output of the guest's busybox here; programs of another machine run under qemu-user."""
    busybox = f"{guest_package(arch, 'busybox-static')}/usr/bin/busybox"
    runner = [] if platform.machine() == arch else [f"qemu-{arch}"]
    folder = f"{ROOT}/build/{arch}/tests/applets"
    os.makedirs(folder, exist_ok=True)
    names = call([*runner, busybox, "--list"]).expect(0).out.decode().split()
    for name in names:
        with open(f"{folder}/{name}", "w") as f:
            f.write(f'#!/bin/sh\nexec {" ".join(runner)} {busybox} {name} "$@"\n')
        os.chmod(f"{folder}/{name}", 0o755)
    used = set(re.findall(r"[\w\[-]+", open(SCRIPT).read())) & set(names)
    check(len(used) >= 80, f"only {len(used)} applets in the script")
    with tempfile.TemporaryDirectory() as work:
        path = f"{folder}:{os.environ['PATH']}" if runner else folder
        enter = f"cd {work} && exec {' '.join([*runner, busybox])} sh {SCRIPT}"
        return call(["sh", "-c", enter], env={"PATH": path, "HOME": "/"}).expect(0).out


@test("boot", weight=40)
def applets(arch):
    want = on_host(arch)

    def fill(archive):
        with open(SCRIPT, "rb") as f:
            archive.file("tests/applets.sh", 0o755, f.read())
        archive.dir("tests/work")

    initrd = image(arch, "applets", fill)
    r = vellum(arch, "--initrd", initrd, "--", "sh", "-c", "cd /tests/work; exec sh ../applets.sh", timeout=200)
    r.expect(0)
    same_text(want, r.out)


@test("boot", weight=40)
def workday(arch):
    """Another script, run from a pipe; it installs the applets for itself."""
    busybox = f"{guest_package(arch, 'busybox-static')}/usr/bin/busybox"
    want = call([f"{ROOT}/tests/boot/workday-host.sh", arch, busybox]).expect(0).out
    with open(f"{ROOT}/tests/boot/workday.sh", "rb") as f:
        text = f.read()
    command = "cat > /tmp/workday.sh; exec /bin/busybox ash /tmp/workday.sh < /dev/null"
    same_text(want, vellum(arch, "--", "sh", "-c", command, stdin=text, timeout=300).expect(0).out)


def same_text(want, got):
    if got != want:
        lines = [t.decode(errors="replace").splitlines() for t in (want, got)]
        raise Failure("\n".join(difflib.unified_diff(*lines, "host", "guest", lineterm="", n=2)))

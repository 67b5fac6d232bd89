# SPDX-License-Identifier: MIT
"""What whole programs cost, in instructions, beside Debian's own kernel: a table of docs/debian.md.

Both kernels get the same machine (--icount), and the same root file system as initramfs, whose
init is the script below. What it says on the console is in microseconds: a microsecond of the
guest is a thousand instructions.
Rows of a machine that was not asked for stay as they are in the table.
"""

import os
import re
import subprocess
import sys
import threading

from debian.run_debian import PACKAGES, debian_root
from harness import ROOT, Failure, call, check, kernel_file, test

sys.path.append(f"{ROOT}/tools")
import debian_root as roots  # noqa: E402
import pack_root  # noqa: E402
import vm  # noqa: E402

KERNELS = {"x86_64": "linux-image-cloud-amd64", "riscv64": "linux-image-riscv64"}
COMMANDS = ["gcc hello.c", "python3 -c 'print(1)'", "git commit -qam 2", "/bin/true"]
INIT = r"""#!/bin/bash
export HOME=/tmp/home LC_ALL=C.UTF-8 TZ=UTC TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
mkdir -p /tmp/home && cd /tmp/home || exit
git config --global user.name Vellum; git config --global user.email vellum@example.org
git init -q .; echo 'int main(void) { return 0; }' >hello.c; git add .; git commit -qm 1
while read -r command; do
    for round in 1 2; do # the second one counts
        echo "// $round" >>hello.c
        start=${EPOCHREALTIME/./}
        eval "$command" >/dev/null
        echo "COST $((${EPOCHREALTIME/./} - start)) $? $round $command"
    done
done <<'END'
%s
END
""" % "\n".join(COMMANDS)
TITLE = "## What programs cost"
TEXT = """
Instructions from before a program's start to after its end, in millions, counted by the emulator
(`./test bench/programs`): the same root file system, in memory, the same QEMU, beside Debian 13's
own kernels (%s). Second runs.

| command | x86-64: Vellum | Linux | RISC-V: Vellum | Linux |
|---|--:|--:|--:|--:|
"""
DOCUMENT = f"{ROOT}/docs/debian.md"
writing = threading.Lock()


def linux_package(arch):
    """The versioned package that Debian's meta-package stands for."""
    said = roots.Apt(arch).output("apt-cache", "depends", KERNELS[arch])
    return re.search(r"Depends: (linux-image-\S+)", said).group(1)


def linux_file(arch):
    package = linux_package(arch)
    call(["tools/guest-packages", arch, package], timeout=1200).expect(0)
    boot = f"{ROOT}/build/packages/{arch}/{package}/boot"
    names = [n for n in os.listdir(boot) if n.startswith("vmlinu")]
    check(len(names) == 1, f"{boot}: {names}")
    return f"{boot}/{names[0]}"


def make_initrd(arch):
    """The root of the tests, and the script as its init."""
    root = debian_root(arch, PACKAGES, *([] if arch == "x86_64" else ["--unpacked"]))
    script, initrd = (f"{ROOT}/build/{arch}/tests/programs.{end}" for end in ("sh", "cpio"))
    os.makedirs(os.path.dirname(script), exist_ok=True)
    with open(script, "w") as f:
        f.write(INIT)
    os.chmod(script, 0o755)
    pack_root.pack(root, initrd, script)
    return initrd


def costs(arch, kernel, initrd):
    """{command: instructions}."""
    mem = vm.memory_for(arch, os.path.getsize(initrd) >> 20, 1024)
    argv = [f"qemu-system-{arch}", "-accel", "tcg", "-m", f"{mem}M", "-nographic", "-no-reboot", "-nodefaults"]
    argv += ["-serial", "stdio", "-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
    argv += ["-seed", "42", "-machine", *(["q35", "-cpu", "max,-erms"] if arch == "x86_64" else ["virt"])]
    argv += ["-kernel", kernel, "-initrd", initrd]
    argv += ["-append", f"console=ttyS0 rdinit=/{pack_root.INIT} loglevel=3 panic=-1"]
    try:
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=1800)
    except subprocess.TimeoutExpired as e:
        raise Failure(f"no end: {(e.stdout or b'')[-2000:].decode(errors='replace')}") from None
    text = r.stdout.decode(errors="replace")
    found = re.findall(r"COST (\d+) 0 2 (.*?)\r?\n", text)
    check([c for _, c in found] == COMMANDS, f"{kernel} said\n{text[-2000:]}")
    return {command: int(us) * 1000 for us, command in found}


def write_table(arch, ours, linux):
    """Put one machine's columns into the table; the other's stay as they are."""
    with writing:
        with open(DOCUMENT) as f:
            before, _, old = f.read().partition(TITLE)
        cells = [line.split("|") for line in old.splitlines()]
        rows = {c[1].strip(" `"): [x.strip() for x in c[2:6]] for c in cells if len(c) == 7}
        packages = re.findall(r"linux-image-[^\s,)]+", old)
        packages = [p for p in packages if p.endswith("riscv64") != (arch == "riscv64")] + [linux_package(arch)]
        at = 0 if arch == "x86_64" else 2
        text = TEXT % ", ".join(sorted(set(packages)))
        for command in COMMANDS:
            row = rows.get(command, ["-"] * 4)
            row[at : at + 2] = f"{ours[command] / 1e6:.1f}", f"{linux[command] / 1e6:.1f}"
            text += f"| `{command}` | {' | '.join(row)} |\n"
        with open(DOCUMENT, "w") as f:
            f.write(before + TITLE + "\n" + text)


@test("bench", weight=600, default=False)
def programs(arch):
    initrd = make_initrd(arch)
    ours = costs(arch, kernel_file(arch), initrd)
    linux = costs(arch, linux_file(arch), initrd)
    write_table(arch, ours, linux)
    worse = [c for c in COMMANDS if ours[c] >= linux[c]]
    check(not worse, f"more instructions than Linux: {worse}")

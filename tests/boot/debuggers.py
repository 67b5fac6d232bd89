# SPDX-License-Identifier: MIT
"""Debian's strace and gdb, unmodified, and a core file that the host's debugger opens."""

import gzip
import os
import re
import shutil

from debian_root import Apt
from harness import CROSS, ROOT, call, check, guest_package, image, test, vellum

UNNEEDED = re.compile(r"(perl|debconf|ucf|sensible|init-system|procps|tzdata|netbase|media-types|libtext)")
FOLDERS = ("etc", "usr/bin", "usr/lib", "usr/lib64", "usr/share/gdb", "usr/share/terminfo")

# One line of the output for each thing that is looked for.
SESSION = r"""
cd /tmp
export PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
strace -f -o trace sh -c 'echo hi; ls / | head -1; exit 3'
echo "strace ends with $?"
cat trace
echo "== gdb"
gdb -nx -batch -ex 'break crash if depth == 1' -ex run -ex bt -ex 'info threads' -ex 'watch counter' \
    -ex continue -ex 'print counter' -ex stepi -ex delete -ex continue -ex bt -ex kill /crash
echo "== attach"
/crash wait > said &
until grep -q ready said; do sleep 0.1; done
gdb -nx -batch -p $! -ex 'thread apply all bt' -ex 'print counter' -ex detach
kill $!
echo "== core"
ulimit -c unlimited
/crash
echo "crash ends with $?"
gdb -nx -batch -ex 'thread apply all bt' -ex 'print counter' /crash core
echo "== end"
"""

IN_ORDER = [
    r"strace ends with 3",
    r'execve\("[^"]*sh", \["sh", "-c", .*\) += 0',
    r'write\(1, "hi\\n", 3\) += 3',
    r"(clone|fork)\w*\(.*\) = \d+",
    r"SIGCHLD \{si_signo=SIGCHLD, si_code=CLD_EXITED",
    r"exit_group\(3\) += \?",
    r"\+\+\+ exited with 3 \+\+\+",
    r"== gdb",
    r"hit Breakpoint 1, crash \(depth=1\)",
    r"#1 .* crash \(depth=2\)",
    r"#3 .* main ",
    r"\* 1 +.*crash \(depth=1\)",
    r"  3 +",
    r"atchpoint 2: counter",
    r"Old value = 2",
    r"New value = 1",
    r"\$1 = 1",
    r"SIGSEGV",
    r"#0 .* crash \(depth=0\)",
    r"#4 .* main ",
    r"== attach",
    r"waiter",
    r"main ",
    r"\$1 = 0",
    r"detached",
    r"== core",
    r"crash ends with 139",
    r"terminated with signal SIGSEGV",
    r"waiter",
    r"crash \(depth=0\)",
    r"main ",
    r"\$1 = 0",
    r"== end",
]


def crash_program(arch):
    path = f"{ROOT}/build/{arch}/tests/crash"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    call([CROSS[arch], "-static", "-g", "-O0", "-o", path, "tests/boot/crash.c"]).expect(0)
    return path


def packages(arch):
    """gdb, strace and all that they need."""
    said = Apt(arch).output("apt-get", "-s", "-y", "install", "gdb", "strace")
    return [p for p in re.findall(r"(?m)^Inst (\S+)", said) if not UNNEEDED.match(p)]


def debugger_image(arch):
    names = packages(arch)
    call(["tools/guest-packages", arch, *names], timeout=900).expect(0)

    def fill(archive):
        for name in names:
            base = guest_package(arch, name)
            for folder in FOLDERS:
                if os.path.isdir(f"{base}/{folder}"):
                    archive.tree(folder, f"{base}/{folder}")
        archive.link("lib", "usr/lib")
        archive.link("lib64", "usr/lib64")
        with open(crash_program(arch), "rb") as f:
            archive.file("crash", 0o755, f.read())

    return image(arch, "debuggers", fill)


@test("boot", weight=60)
def debuggers(arch):
    initrd = debugger_image(arch)
    r = vellum(arch, "--mem", "1024M", "--initrd", initrd, "--", "sh", "-c", f"({SESSION}) 2>&1", timeout=300)
    r.expect(0)
    text, at = r.out.decode(errors="replace"), 0
    for pattern in IN_ORDER:
        found = re.compile(pattern).search(text, at)
        check(found, f"no {pattern!r} after\n{text[max(0, at - 400) : at]}\nbut\n{text[at : at + 2500]}")
        at = found.end()


@test("boot", weight=20)
def core_on_host(arch):
    """The host's debugger finds the threads and where each was."""
    debugger = shutil.which("gdb-multiarch")
    check(debugger, "there is no gdb-multiarch here")
    program = crash_program(arch)

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("crash", 0o755, f.read())

    command = "cd /tmp; ulimit -c unlimited; /crash > /dev/null 2>&1; gzip -c core"
    r = vellum(arch, "--initrd", image(arch, "crash", fill), "--", "sh", "-c", command).expect(0)
    core = f"{ROOT}/build/{arch}/tests/core"
    with open(core, "wb") as f:
        f.write(gzip.decompress(r.out))
    argv = [debugger, "-nx", "-batch", "-ex", "thread apply all bt", "-ex", "print counter", program, core]
    said = call(argv).expect(0).out.decode(errors="replace")
    for pattern in (r"signal SIGSEGV", r"#0 .* crash \(depth=0\)", r"#4 .* main ", r"(?s)waiter.*waiter", r"\$1 = 0"):
        check(re.search(pattern, said), f"no {pattern!r} in\n{said}")

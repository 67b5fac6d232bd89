# SPDX-License-Identifier: MIT
"""What Debian's procps, util-linux, psmisc and lsof make of /proc and /sys: figures that must agree."""

import re

from harness import ROOT, check, equal, image, test, vellum
from boot.dynamic import add_programs

PACKAGES = (
    "procps libproc2-0 libc6 libncursesw6 libtinfo6 libsystemd0 libcap2 psmisc libselinux1 libpcre2-8-0 lsof "
    "libtirpc3t64 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1 util-linux "
    "libblkid1 libmount1 libsmartcols1 libudev1 libuuid1 libcap-ng0 mount coreutils libacl1 libattr1 libgmp10 "
    "libgcc-s1 ncurses-base"
).split()
PROGRAMS = (
    "ps top free vmstat pmap uptime pgrep pkill w slabtop sysctl watch pwdx nproc lscpu lsmem findmnt lsblk "
    "dmesg prlimit lsns lslocks flock fuser pstree killall lsof cat sleep"
).split()
PROCESSORS = 2


def run(arch):
    def fill(archive):
        add_programs(archive, arch, PACKAGES, PROGRAMS)
        terminals = f"{ROOT}/build/packages/{arch}/ncurses-base/usr/share/terminfo"
        archive.tree("usr/share/terminfo", terminals)
        with open(f"{ROOT}/tests/boot/procps.sh", "rb") as f:
            archive.file("tests/procps.sh", 0o755, f.read())

    initrd = image(arch, "procps", fill)
    r = vellum(arch, "--smp", str(PROCESSORS), "--initrd", initrd, "--", "sh", "/tests/procps.sh", timeout=250)
    out = r.expect(0).out.decode(errors="replace")
    return {
        m.group(1): (m.group(2), int(m.group(3)))
        for m in re.finditer(r"(?ms)^=== (\S+)\n(.*?)^--- (\d+)$", out)
    }


class Said:
    """What each program has said; a failure shows it."""

    def __init__(self, parts):
        self.parts = parts

    def __call__(self, name, status=0):
        check(name in self.parts, f"{name} did not run; there are {sorted(self.parts)}")
        text, got = self.parts[name]
        equal(got, status, f"{name}: status (it says {text!r})")
        return text

    def find(self, name, pattern):
        text = self(name)
        found = re.search(pattern, text, re.M)
        check(found, f"{name}: no {pattern!r} in\n{text}")
        return found

    def number(self, name, pattern):
        return int(self.find(name, pattern).group(1))


def processes(said, child, shell):
    line = said.find("ps-aux", rf"^root +{child} +\S+ +\S+ +(\d+) +(\d+) \? +S +\d\d:\d\d +0:00 /tmp/napper 1000$")
    size, resident = int(line.group(1)), int(line.group(2))
    check(4 < resident <= size, f"ps: RSS {resident}, VSZ {size}")
    equal(size * 1024, said.number("facts", r"^size (\d+)"), "VSZ against stat")
    said.find("ps-ef", rf"^root +{child} +{shell} +\d+ \d\d:\d\d \? +00:00:00 /tmp/napper 1000")
    said.find("ps-eLf", rf"^root +{child} +{shell} +{child} +\d+ +1 ")
    said.find("ps-axjf", rf"^ +{shell} +{child} .*\\_ /tmp/napper 1000")
    f = said("ps-fields").split()
    equal(f[:6], [str(child), str(shell), "S", f[3], "1", "0"], "fields of ps")
    check(f[3].startswith("sleep_") and int(f[6]) == resident and int(f[7]) == size, f"ps: {f}")
    check(int(f[8]) < 200 and f[9] == "napper", f"ps: {f}")
    said.find("top", rf"^ +{child} root +20 +0 +{size} +{resident} +\d+ S +0\.0 ")
    said.find("top", r"^Tasks: +\d+ total, +1 running, +\d+ sleeping, +0 stopped, +0 zombie")
    total = said.find("pmap", r"^total kB +(\d+) +(\d+)")
    equal((int(total.group(1)), int(total.group(2))), (size, resident), "pmap's totals")
    equal(said("pgrep"), f"{child}\n", "pgrep")
    said.find("pstree", rf"sh\({shell}\).*napper\({child}\)")
    said.find("lsof", rf"^napper +{child} root +txt +REG .* /tmp/napper$")
    said.find("fuser", rf"^/tmp/napper: +{child}e")
    equal(said("pwdx"), f"{child}: /\n", "pwdx")
    equal(said("gone", 1), "", "pgrep after killall")
    said("killall")
    said("pkill", 1)


def memory(said):
    total = said.number("meminfo", r"^MemTotal: +(\d+) kB")
    free = said.find("free", r"^Mem: +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$")
    numbers = [int(free.group(i)) for i in range(1, 7)]
    equal(numbers[0], total, "free: total")
    equal(said.number("vmstat-s", r"^ +(\d+) K total memory"), total, "vmstat -s: total")
    check(numbers[1] + numbers[2] <= total and all(n < total for n in numbers[1:]), f"free: {numbers}")
    near = abs(numbers[2] - said.number("meminfo", r"^MemFree: +(\d+) kB"))
    check(near < 4096, f"free and MemFree differ by {near} kB")
    rows = re.findall(r"(?m)^ *\d+(?: +\d+){17}$", said("vmstat"))
    equal(len(rows), 2, "rows of vmstat")
    row = [int(n) for n in rows[1].split()]
    check(abs(row[3] - numbers[2]) < 8192 and 95 <= sum(row[12:18]) <= 105, f"vmstat: {row}")
    said.find("slabtop", r"^ +\d+ +\d+ +\d+% .* dentry")
    online = said.number("lsmem", r"^Total online memory: +(\d+)$")
    check(total * 1024 <= online <= total * 1024 + (128 << 20), f"lsmem: {online}, MemTotal {total} kB")


def machine(said, arch):
    equal(said("nproc"), f"{PROCESSORS}\n", "nproc")
    said.find("lscpu", rf"^Architecture: +{arch}$")
    equal(said.number("lscpu", r"^CPU\(s\): +(\d+)$"), PROCESSORS, "lscpu")
    if arch == "x86_64":
        cores = said.number("lscpu", r"^Core\(s\) per socket: +(\d+)$")
        sockets = said.number("lscpu", r"^Socket\(s\): +(\d+)$")
        threads = said.number("lscpu", r"^Thread\(s\) per core: +(\d+)$")
        equal(cores * sockets * threads, PROCESSORS, "cores, sockets, threads")
        said.find("lscpu", r"^Model name: +\S")
        said.find("lscpu", r"^L1d cache: +\d+ KiB")
    said.find("uptime", r"^ \d\d:\d\d:\d\d up +\d+ min, .* load average: \d+\.\d\d, ")
    said.find("w", r"^USER +TTY")
    said.find("dmesg", r"^\[ +0\.\d{6}\] Vellum")
    for type_, where in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")):
        said.find("findmnt", rf"{where} +{type_}$")
    equal(said("lsblk"), "", "lsblk without disks")
    said.find("lsns", r"^ *pid +[3-9]$")
    said.find("prlimit", r"^ *1024 +4096$")


def settings(said, shell):
    for name in ("kernel.osrelease", "kernel.pid_max", "vm.overcommit_memory", "fs.file-nr"):
        said.find("sysctl", rf"^{re.escape(name)} = \S")
    check("error" not in said("sysctl") and "permission" not in said("sysctl"), said("sysctl"))
    said.find("sysctl-write", r"^kernel.hostname = renamed$")
    equal(said("hostname"), "renamed\n", "hostname")
    said.find("lslocks", r"^ *\d+ +FLOCK +WRITE +/tmp/lock$")
    said("watch")


@test("boot", weight=60)
def procps(arch):
    said = Said(run(arch))
    child, shell = said.number("facts", r"^child (\d+)"), said.number("facts", r"^shell (\d+)")
    processes(said, child, shell)
    memory(said)
    machine(said, arch)
    settings(said, shell)

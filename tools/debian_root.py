#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make a root file system of Debian 13 (trixie), for ./run debian.

usage: tools/debian_root.py [--unpacked] x86_64|riscv64 [PACKAGE,...]

debootstrap's minbase and the packages, with what they depend on. The result is
build/debian/ARCH/NAME/root, a directory, whose name is printed; it is made
once for each set of packages.

1. apt, configured by tools/guest-packages for the guest's machine, chooses the
   packages and fetches and verifies them.
2. They are laid out as a little archive of their own, from which debootstrap
   works; so whatever this machine needs to reach Debian, apt alone must know.
3. debootstrap makes the root: all at once, if this machine can run the guest's
   programs and we are root. Otherwise in two stages, the second one inside
   Vellum, which sends the finished root back as a stream of tar.

With --unpacked, the packages are only unpacked and not configured: no scripts
run, and what they would make is missing, but for the few files that most
programs need. That takes seconds, for every machine.

Who is not root does stages 1 and 3 under fakeroot; NAME/fakeroot then holds
the owners and the devices.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys

import vm
from pack_root import Progress

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUITE = "trixie"
DEBIAN = {"x86_64": "amd64", "riscv64": "riscv64"}
LOG_TAIL = 15
SECOND_STAGE = r"""
set -e
exec 3>&1 >&2
/debootstrap/debootstrap --second-stage || { status=$?; tail -n 40 /debootstrap/debootstrap.log; exit $status; }
rm -rf /var/cache/apt/archives/*.deb /var/cache/apt/*.bin
tar -C / --one-file-system --numeric-owner -cf - . >&3
"""


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def fail(text, log=None):
    if log:
        with open(log, errors="replace") as f:
            text += ":\n" + "".join(f.readlines()[-LOG_TAIL:])
    sys.exit(f"debian_root: {text}")


class Apt:
    """apt's programs on the guest's packages."""

    def __init__(self, arch):
        told = subprocess.run(["tools/guest-packages", arch, "--apt"], cwd=TOP, stdout=subprocess.PIPE, text=True)
        if told.returncode:
            sys.exit(1)
        self.config, self.archive = told.stdout.splitlines()
        self.store = os.path.join(os.path.dirname(self.config), "cache/archives")

    def output(self, tool, *words):
        run = subprocess.run([tool, "-q", "-c", self.config, *words], capture_output=True, text=True)
        if run.returncode:
            fail(f"{tool} {words[0]}: {run.stderr.strip()}")
        return run.stdout

    def stanzas(self, *names):
        """What the lists say of some packages ('name=version'), or of all."""
        text = self.output("apt-cache", "show", *names) if names else self.output("apt-cache", "dumpavail")
        return [s for s in text.split("\n\n") if s.strip()]

    def minbase(self):
        """The packages that debootstrap's minbase begins with."""
        wanted = re.compile(r"^(Essential: yes|Priority: required|Package: apt)$", re.M)
        return [field(s, "Package") for s in self.stanzas() if wanted.search(s)]

    def fetch(self, names):
        """Download the packages and all that they depend on; returns their file names."""
        install = ["-y", "install", *names]
        with open(os.path.join(os.path.dirname(self.config), "fetch.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several that make roots at a time, one fetches
            lines = self.output("apt-get", "--print-uris", *install).splitlines()
            left = len([line for line in lines if line.startswith("'")])
            if left:
                self.download(install, left)
        chosen = re.findall(r"(?m)^Inst (\S+) \((\S+)", self.output("apt-get", "-s", *install))
        return dict(chosen)

    def download(self, install, count):
        progress = Progress(f"FETCH    {count} packages", count)
        log = os.path.join(os.path.dirname(self.config), "fetch.log")
        with open(log, "w") as out:
            argv = ["apt-get", "-q", "-c", self.config, "--download-only", *install]
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for line in process.stdout:
                out.write(line)
                found = re.match(r"Get:(\d+) ", line)
                if found:
                    progress.show(int(found.group(1)))
        progress.end()
        if process.wait():
            fail("packages could not be fetched", log)


UNPACKED_FILES = """
    cd "$1"
    cp usr/share/base-passwd/passwd.master etc/passwd
    cp usr/share/base-passwd/group.master etc/group
    : >var/lib/dpkg/status
    : >var/lib/dpkg/available
    for awk in mawk gawk; do [ ! -e "usr/bin/$awk" ] || ln -sf "$awk" usr/bin/awk; done
"""


def field(stanza, name):
    found = re.search(rf"(?m)^{name}: (.*)$", stanza)
    return found.group(1) if found else ""


def make_archive(apt, chosen, debian_arch, folder):
    """A Debian archive of the chosen packages alone, as debootstrap wants to find it. Returns how many
    MiB they will take."""
    shutil.rmtree(folder, ignore_errors=True)
    lists = f"{folder}/dists/{SUITE}/main/binary-{debian_arch}"
    os.makedirs(lists)
    stanzas = apt.stanzas(*(f"{name}={version}" for name, version in chosen.items()))
    for stanza in stanzas:
        name, version, arch = (field(stanza, f) for f in ("Package", "Version", "Architecture"))
        stored = f"{apt.store}/{name}_{version.replace(':', '%3a')}_{arch}.deb"
        place = f"{folder}/{field(stanza, 'Filename')}"
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if not os.path.exists(place):
            os.link(stored, place)
    text = ("\n\n".join(s.strip("\n") for s in stanzas) + "\n\n").encode()
    with open(f"{lists}/Packages", "wb") as f:
        f.write(text)
    with open(f"{folder}/dists/{SUITE}/Release", "w") as f:
        f.write(f"Suite: stable\nCodename: {SUITE}\nComponents: main\nArchitectures: {debian_arch}\nSHA256:\n")
        f.write(f" {hashlib.sha256(text).hexdigest()} {len(text)} main/binary-{debian_arch}/Packages\n")
    return sum(int(field(s, "Installed-Size") or 0) for s in stanzas) >> 10


class Root:
    """One root in the making."""

    def __init__(self, arch, packages, unpacked):
        self.arch = arch
        self.packages = packages
        self.unpacked = unpacked
        name = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12] if packages else "minbase"
        name += "-unpacked" if unpacked else ""
        self.folder = f"{TOP}/build/debian/{arch}/{name}"
        self.root = f"{self.folder}/root"
        self.log = f"{self.folder}/log"
        self.whole = os.getuid() == 0 and platform.machine() == arch

    def run(self, argv, what, watch=None, total=1, **how):
        """Run a step; what it says goes to the log. `watch` turns a line into a count for the progress."""
        if os.getuid():
            state = f"{self.folder}/fakeroot"
            argv = ["fakeroot", "-s", state, *(["-i", state] if os.path.exists(state) else []), "--", *argv]
        progress = Progress(what, total)
        done = 0
        with open(self.log, "a") as log:
            process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, errors="replace", cwd=TOP, **how)
            for line in process.stderr:
                log.write(line)
                log.flush()
                done += bool(watch and re.search(watch, line))
                progress.show(min(done, total))
        progress.end()
        if process.wait():
            fail(f"{what} failed", self.log)

    def debootstrap(self, archive, chosen, foreign):
        names = ",".join(sorted(chosen))
        argv = ["debootstrap", "--variant=minbase", f"--arch={DEBIAN[self.arch]}", "--no-check-gpg"]
        argv += [f"--include={names}", *(["--foreign"] if foreign else [])]
        argv += [SUITE, self.root, f"file://{archive}"]
        steps = r"^I: (Retrieving|Validating|Extracting|Unpacking|Configuring) "
        what = "STAGE 1  debootstrap" if foreign else "ROOT     debootstrap"
        # debootstrap writes its progress to standard output.
        self.run(["sh", "-c", 'exec "$@" >&2', "sh", *argv], what, steps, len(chosen) * (3 if foreign else 4))

    def second_stage(self, count, installed):
        """In Vellum: what the first stage has made goes in, the finished root comes back."""
        say(f"STAGE 2  {count} packages, inside Vellum: this takes minutes")
        # Inside a container, debootstrap's first stage leaves a link here.
        mend = 'cd "$1"; [ ! -L proc ] || { rm proc; mkdir proc; }'
        self.run(["sh", "-c", mend, "sh", self.root], "folders")
        size = sum(os.lstat(f"{folder}/{f}").st_size for folder, _, files in os.walk(self.root) for f in files)
        mem = f"{vm.memory_for(self.arch, size >> 20, installed + 512)}M"
        argv = ["./run", "--arch", self.arch, "--mem", mem, "--root", self.root, "--", "/bin/sh", "-c", SECOND_STAGE]
        with open(f"{self.folder}/root.tar", "wb") as tar:
            steps = r"^I: (Unpacking|Configuring) "
            self.run(argv, "STAGE 2  in Vellum", steps, 2 * count, stdout=tar, stdin=subprocess.DEVNULL)
        self.run(["rm", "-rf", self.root], "old root")
        self.run(["mkdir", self.root], "new root")
        self.run(["tar", "-C", self.root, "--numeric-owner", "-xpf", f"{self.folder}/root.tar"], "unpacking the root")
        os.remove(f"{self.folder}/root.tar")

    def finish(self, archive):
        """What debootstrap took from this machine, or from the little archive, is put right."""
        script = f"""
            cd "$1"
            echo debian >etc/hostname
            echo '127.0.0.1 localhost debian' >etc/hosts
            : >etc/resolv.conf
            rm -rf var/cache/apt/archives/*.deb var/lib/apt/lists/* debootstrap
            printf 'Types: deb\\nURIs: %s\\nSuites: {SUITE}\\nComponents: main\\n' "$2" \\
                >etc/apt/sources.list.d/debian.sources
            printf 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\\n' \\
                >>etc/apt/sources.list.d/debian.sources
            rm -f etc/apt/sources.list
            for node in 'null 3' 'zero 5' 'full 7' 'random 8' 'urandom 9'; do
                set -- $node
                [ -c "dev/$1" ] || mknod -m 666 "dev/$1" c 1 "$2"
            done
        """
        self.run(["sh", "-ec", script, "sh", self.root, archive], "last touches")

    def unpack(self, archive, count):
        """Every package into the root; base-files, with the links in /, comes first."""
        script = """
            mkdir "$2"
            for package in "$1"/pool/main/b/base-files/*.deb $(find "$1" -name '*.deb'); do
                echo "$package" >&2
                dpkg-deb -x "$package" "$2"
            done
        """
        self.run(["sh", "-ec", script, "sh", archive, self.root], f"UNPACK   {count} packages", r"deb$", count + 1)
        self.run(["sh", "-ec", UNPACKED_FILES, "sh", self.root], "files that programs need")

    def make(self):
        apt = Apt(self.arch)
        chosen = apt.fetch(apt.minbase() + self.packages)
        subprocess.run(["rm", "-rf", self.folder], check=True)
        os.makedirs(self.folder)
        archive = f"{self.folder}/archive"
        installed = make_archive(apt, chosen, DEBIAN[self.arch], archive)
        if self.unpacked:
            self.unpack(archive, len(chosen))
        else:
            self.debootstrap(archive, chosen, foreign=not self.whole)
            if not self.whole:
                self.second_stage(len(chosen), installed)
        self.finish(apt.archive)
        shutil.rmtree(archive)


def main():
    words = sys.argv[1:]
    unpacked = words[:1] == ["--unpacked"]
    words = words[unpacked:]
    if not 1 <= len(words) <= 2 or words[0] not in DEBIAN:
        sys.exit(__doc__)
    packages = words[1] if len(words) == 2 else ""
    root = Root(words[0], sorted(set(filter(None, re.split(r"[,\s]+", packages)))), unpacked)
    made = f"{root.folder}/made"
    if not os.path.exists(made):
        os.makedirs(os.path.dirname(root.folder), exist_ok=True)
        with open(f"{root.folder}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(made):
                root.make()
                with open(made, "w") as f:
                    f.write(" ".join(root.packages) + "\n")
    print(root.root)


if __name__ == "__main__":
    main()

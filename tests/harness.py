# SPDX-License-Identifier: MIT
"""What the tests share: how to state one, run things, and drive a terminal.

A test is a function with the decorator @test(part): it gets the machine's name
(None if it runs once for both) and fails by raising; one that stands for many
returns a list of Part. Nothing here waits by the
clock: a test waits for what must happen, with a generous limit for the case
that it never does.
"""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time

import newc
import pyte

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ARCHES = ("x86_64", "riscv64")
# Seconds for anything that takes a second on an idle machine.
PATIENCE = float(os.environ.get("VELLUM_TEST_PATIENCE", 120))

tests = []
programs = set()  # names (abi/mmap, unit/test_vma), if only some were asked for


def programs_of(part):
    """Those of `programs`, without the part."""
    return {n.split("/")[1] for n in programs if n.startswith(part + "/")}


class Failure(Exception):
    """The test fails; the text says why, and may end with output."""


class Part:
    """A line of the report that a test gives besides or instead of its own."""

    def __init__(self, name, verdict, seconds, text=""):
        self.name = name
        self.verdict = verdict  # "ok", "FAIL" or "skip"
        self.seconds = seconds
        self.text = text


class Skip(Exception):
    """The test cannot run here; the text says why."""


class Test:
    """One line of the report."""

    def __init__(self, name, function, arch, weight):
        self.name = name
        self.function = function
        self.arch = arch
        self.weight = weight  # roughly its seconds; long ones start first


def test(part, arches=ARCHES, name=None, weight=10, default=True):
    """Register a test for each machine in `arches` ((None,): once for both)."""

    def register(function):
        short = name or function.__name__.replace("_", "-")
        for arch in arches:
            full = f"{part}/{short}" + (f" {arch}" if arch else "")
            entry = Test(full, function, arch, weight)
            entry.default = default
            tests.append(entry)
        return function

    return register


def check(condition, text):
    if not condition:
        raise Failure(text)


def equal(got, want, what="output"):
    if got != want:
        raise Failure(f"{what}: got {shorten(got)}, want {shorten(want)}")


def shorten(value):
    text = repr(value)
    return text if len(text) < 2000 else text[:900] + " ... " + text[-900:]


class Result:
    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    def expect(self, status=0, out=None, err=None):
        """Check status, exact output, and a pattern in the errors."""
        tail = self.err[-1500:].decode(errors="replace")
        if self.status != status:
            raise Failure(f"status {self.status}, want {status}; output {shorten(self.out)}; errors:\n{tail}")
        if out is not None and self.out != out:
            raise Failure(f"output {shorten(self.out)}, want {shorten(out)}; errors:\n{tail}")
        if err is not None and not re.search(err, self.err):
            raise Failure(f"no {err!r} in the errors:\n{tail}")
        return self


# Whoever ends this process ends what it has started.
# (Found here: a test may give its programs another PATH.)
TIED = [shutil.which("setpriv") or "setpriv", "--pdeathsig", "TERM"]


def call(argv, stdin=b"", timeout=300, env=None):
    """Run a program of the host to its end."""
    process = subprocess.Popen(
        [*TIED, *argv],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise Failure(
            f"no end within {timeout} s: {' '.join(argv)}\n{shorten(out)}\n{err[-3000:].decode(errors='replace')}"
        ) from None
    return Result(process.returncode, out, err)


def make(arch, *words, jobs=1):
    """Build for a machine; one at a time, and not while ./run does."""
    os.makedirs(f"{ROOT}/build", exist_ok=True)
    argv = ["flock", f"build/.lock-{arch}", "make", "-s", f"-j{jobs}", f"ARCH={arch}", *words]
    return call(argv, timeout=1800).expect(0)


CROSS = {"x86_64": "gcc", "riscv64": "riscv64-linux-gnu-gcc"}


def guest_program(arch, source):
    """Compile a C file into a static program of the guest; returns its name."""
    name = os.path.splitext(os.path.basename(source))[0]
    program = f"{ROOT}/build/{arch}/tests/{name}"
    os.makedirs(os.path.dirname(program), exist_ok=True)
    call([CROSS[arch], "-static", "-O2", "-Wall", "-Wno-unused-result", "-o", program, source]).expect(0)
    return program


def run_argv(arch, *words):
    """The words of ./run; VELLUM_KERNEL_x86_64=FILE (or riscv64) tests another kernel."""
    kernel = os.environ.get(f"VELLUM_KERNEL_{arch}")
    return ["./run", "--arch", arch, *(["--kernel", kernel] if kernel else []), *words]


def vellum(arch, *words, stdin=b"", timeout=PATIENCE):
    """./run with these words; its own --timeout reports what the console said."""
    argv = run_argv(arch)
    if "--timeout" not in words:
        argv += ["--timeout", str(int(timeout))]
    return call([*argv, *words], stdin, timeout + 60)


class Terminal:
    """A program on a terminal of its own, and somebody who types and reads."""

    def __init__(self, argv, rows=24, columns=80, env=None):
        self.argv = argv
        self.rows, self.columns = rows, columns
        self.text = b""  # all that was printed
        self.at = 0  # how far it has been looked at
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.environ.update({"TERM": "vt100", **(env or {})})
            self.resize(rows, columns, 0)
            os.execvp(TIED[0], [*TIED, *argv])
        self.resize(rows, columns, self.fd)

    @staticmethod
    def resize(rows, columns, fd):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fail(self, why):
        seen = self.text[-3000:].decode(errors="replace")
        raise Failure(f"{why}; the terminal shows:\n{seen}")

    def _read(self, end):
        left = end - time.monotonic()
        if left <= 0 or not select.select([self.fd], [], [], left)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.text += data
        return bool(data)

    def expect(self, pattern, timeout=PATIENCE):
        """Wait for a pattern in what was not looked at yet; returns the match."""
        end = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.text[self.at :])
            if found:
                self.at += found.end()
                return found
            if not self._read(end):
                self.fail(f"no {pattern!r}")

    def expect_screen(self, pattern, timeout=PATIENCE):
        """Wait for a pattern in the picture that all output up to now makes: for programs that
        move the cursor about, and print what has changed in pieces of any size."""
        end = time.monotonic() + timeout
        while True:
            screen = pyte.Screen(self.columns, self.rows)
            pyte.ByteStream(screen).feed(self.text)
            if re.search(pattern, "\n".join(line.rstrip() for line in screen.display)):
                self.at = len(self.text)
                return
            if not self._read(end):
                self.fail(f"no {pattern!r} on the screen")

    def send(self, data):
        view = memoryview(data if isinstance(data, bytes) else data.encode())
        while view:
            view = view[os.write(self.fd, view) :]

    def line(self, text):
        self.send(text + "\r")

    def status(self, timeout=PATIENCE):
        """Wait for the program's end and return its status."""
        end = time.monotonic() + timeout
        while self._read(end):
            pass
        if time.monotonic() >= end:
            self.fail("no end")
        pid, self.pid = self.pid, None
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def close(self):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
            self.pid = None
        os.close(self.fd)


PROMPT = rb"root@vellum:[^ \r\n]*# "


def shell(arch, *words, **how):
    """./run with a terminal, as far as the first prompt."""
    t = Terminal(run_argv(arch, *words), **how)
    try:
        t.expect(PROMPT)
    except Failure:
        t.close()
        raise
    return t


image_lock = threading.Lock()


def image(arch, name, fill):
    """A root image: the default one and what `fill` adds to an archive."""
    with image_lock:
        make(arch, "image")
        archive = newc.Archive()
        fill(archive)
        path = f"{ROOT}/build/{arch}/tests/{name}.cpio"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Another machine may just be reading the one that stands there.
        with open(f"{ROOT}/build/{arch}/root.cpio", "rb") as base, open(f"{path}.new", "wb") as f:
            f.write(base.read() + archive.bytes())
        os.replace(f"{path}.new", path)
        return path


def guest_package(arch, package):
    """The folder into which a package of the guest's Debian is unpacked."""
    call(["tools/guest-packages", arch, package]).expect(0)
    return f"{ROOT}/build/packages/{arch}/{package}"


def swap_disk(arch, name, mib):
    """A fresh, sparse file with the header that mkswap writes."""
    path = f"{ROOT}/build/{arch}/tests/{name}.swap"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    os.chmod(path, 0o600)
    call(["/sbin/mkswap", path]).expect(0)
    return path


def kernel_file(arch, name="vellum"):
    """The kernel under test, built."""
    other = os.environ.get(f"VELLUM_KERNEL_{arch}")
    if other:
        return other
    make(arch, "kernel", "image")
    return f"{ROOT}/build/{arch}/{name}"

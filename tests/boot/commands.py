# SPDX-License-Identifier: MIT
"""./run with a command: its status, its streams, and the failures around it."""

import os
import re
import signal
import subprocess
import tempfile

from harness import ROOT, Terminal, call, check, equal, make, run_argv, test, vellum

import newc


@test("boot")
def command_status(arch):
    vellum(arch, "--", "sh", "-c", "exit 7").expect(7, out=b"")


@test("boot")
def command_streams(arch):
    r = vellum(arch, "--", "sh", "-c", "echo to out; echo to err >&2; exit 0")
    r.expect(0, out=b"to out\n", err=rb"(?m)^to err$")


@test("boot", weight=20)
def command_binary_megabytes(arch):
    data = bytes(range(256)) * 12288 + os.urandom(1 << 20)
    vellum(arch, "--", "cat", stdin=data).expect(0, out=data)


@test("boot")
def command_large_output(arch):
    """All of it arrives before the status counts."""
    script = "dd if=/dev/zero bs=65536 count=48 2>/dev/null; echo end; exit 3"
    vellum(arch, "--", "sh", "-c", script).expect(3, out=b"\0" * (48 * 65536) + b"end\n")


@test("boot")
def command_stdin_end(arch):
    script = "cat; echo over; wc -c"
    vellum(arch, "--", "sh", "-c", script, stdin=b"a line\n").expect(0, out=b"a line\nover\n0\n")


@test("boot")
def command_ignores_stdin(arch):
    """What nobody reads must not keep the machine from ending."""
    vellum(arch, "--", "true", stdin=b"x" * (1 << 20)).expect(0, out=b"")


@test("boot")
def command_streams_reopen(arch):
    script = "cat /dev/stdin > /dev/stdout; echo oops > /dev/stderr"
    vellum(arch, "--", "sh", "-c", script, stdin=b"through\n").expect(0, out=b"through\n", err=b"oops")


@test("boot")
def command_arguments(arch):
    words = ["a", "b c", "", "d\ne", "*", "$HOME", "\\", "'\"", "\xe9\xff", "--help", "x" * 3000]
    r = vellum(arch, "--", "printf", "%s|", *words)
    r.expect(0, out=b"".join(os.fsencode(w) + b"|" for w in words))


@test("boot")
def command_environment(arch):
    script = 'echo "$HOME $COLOUR"; echo ${PATH##*:}; pwd; hostname; id -u'
    r = vellum(arch, "--append", "COLOUR=blue", "--", "sh", "-c", script)
    r.expect(0, out=b"/root blue\n/bin\n/\nvellum\n0\n")


@test("boot")
def command_not_found(arch):
    vellum(arch, "--", "no-such-program").expect(127, out=b"", err=b"no-such-program: No such file")


@test("boot")
def command_not_executable(arch):
    vellum(arch, "--", "/etc/passwd").expect(126, out=b"", err=b"/etc/passwd: Permission denied")


@test("boot")
def command_killed(arch):
    vellum(arch, "--", "sh", "-c", "echo before; kill -9 $$").expect(128 + 9, out=b"before\n")


@test("boot")
def command_leaves_children(arch):
    script = "sleep 1000 & (while :; do echo noise; done) >/dev/null & echo done; exit 4"
    vellum(arch, "--", "sh", "-c", script).expect(4, out=b"done\n")


@test("boot")
def command_broken_pipe(arch):
    """Whoever reads our output may stop: as with any program, SIGPIPE."""
    words = run_argv(arch, "--timeout", "100", "--", "yes")
    script = '"$@" </dev/null 2>/dev/null | head -n 3; exit "${PIPESTATUS[0]}"'
    call(["bash", "-c", script, "bash", *words]).expect(128 + signal.SIGPIPE, out=b"y\ny\ny\n")


@test("boot")
def machine_switched_off(arch):
    vellum(arch, "--", "poweroff", "-f").expect(123, out=b"", err=b"run: the machine stopped before")


@test("boot")
def machine_restarted(arch):
    vellum(arch, "--", "reboot", "-f").expect(123, out=b"", err=b"run: the machine stopped before")


@test("boot")
def panic(arch):
    r = vellum(arch, "--append", "rdinit=/no-such init=/no-such", "--", "true")
    r.expect(125, out=b"", err=rb"run: Kernel panic.*\w")


@test("boot")
def time_out(arch):
    r = vellum(arch, "--timeout", "15", "--", "sh", "-c", "echo started; while :; do :; done")
    r.expect(124, err=b"run: the time-out of 15 seconds has passed")


@test("boot", weight=3)
def emulator_failure(arch):
    vellum(arch, "--mem", "1X", "--", "true").expect(122, out=b"", err=b"run: the emulator ended with status 1")


@test("boot", arches=(None,), weight=1)
def usage(_):
    for words in (
        ["--frob"],
        ["--arch", "pdp11"],
        ["--smp"],
        ["true"],
        ["--bios", "none"],
        ["--"],
        ["--icount", "--smp", "2"],
        ["--initrd", "/no/such/file"],
        ["--smp", "many"],
    ):
        call(["./run", *words]).expect(120, out=b"", err=b"^run: ")
    help_text = call(["./run", "--help"]).expect(0).out
    for status in (120, 121, 122, 123, 124, 125):
        check(b"%d  " % status in help_text, f"status {status} is not in the help")


@test("boot")
def interrupted(arch):
    """A signal ends ./run, and the emulator with it."""
    with Terminal(run_argv(arch, "--", "sh", "-c", "echo started; cat")) as t:
        t.expect(b"started")
        os.kill(t.pid, signal.SIGTERM)
        equal(t.status(), 128 + signal.SIGTERM, "status")


@test("boot")
def command_on_terminal(arch):
    """With a terminal on both ends the command has the console."""
    script = "stty size; tty; read x; echo got $x; exit 5"
    with Terminal(run_argv(arch, "--", "sh", "-c", script), rows=30, columns=101) as t:
        t.expect(rb"30 101\r\n/dev/\w+\r\n")
        t.line("hello")
        t.expect(rb"got hello\r\n")
        equal(t.status(), 5, "status")
        check(not re.search(rb"(?i)vellum|linux", t.text), f"kernel messages: {t.text!r}")


@test("boot")
def shell_reads_a_pipe(arch):
    """Without a terminal, standard input is what somebody types."""
    r = vellum(arch, stdin=b"echo $((6 * 7))\nexit\n")
    r.expect(0)
    check(b"\r\n42\r\n" in r.out, f"no answer in {r.out!r}")


def small_image(name, arch):
    """An image that is just busybox, under a name that an image of ours has not."""
    archive = newc.Archive()
    busybox = f"{ROOT}/build/packages/{arch}/busybox-static/usr/bin/busybox"
    with open(busybox, "rb") as f:
        archive.file("bin/busybox", 0o755, f.read())
    archive.link("bin/sh", "busybox")
    archive.dir("proc")
    archive.dir("dev")
    archive.file("only-here", 0o644, b"this image\n")
    with open(name, "wb") as f:
        f.write(archive.bytes())


@test("boot")
def other_image(arch):
    with tempfile.TemporaryDirectory() as d:
        small_image(f"{d}/small.cpio", arch)
        r = vellum(arch, "--initrd", f"{d}/small.cpio", "--", "busybox", "cat", "/only-here")
        r.expect(0, out=b"this image\n")


@test("boot")
def icount(arch):
    r = vellum(arch, "--icount", "--", "sh", "-c", "nproc; exit 9")
    r.expect(9, out=b"1\n")


@test("boot")
def debug_kernel(arch):
    make(arch, "DEBUG=1", "kernel", jobs=2)
    vellum(arch, "--debug", "--", "sh", "-c", "exit 6").expect(6, out=b"")


@test("boot", arches=("riscv64",))
def bios_none(arch):
    vellum(arch, "--bios", "none", "--", "sh", "-c", "echo bare; exit 11").expect(11, out=b"bare\n")


@test("boot", weight=15)
def second_run_is_quiet(arch):
    """Nothing is missing, nothing has changed: nothing is said by the build."""
    vellum(arch, "--", "true").expect(0)
    r = vellum(arch, "--append", "quiet", "--", "true").expect(0, out=b"")
    check(not re.search(rb"(?m)^  (CC|LD|PROG|IMAGE|FETCH)|Installing", r.err), r.err.decode())


@test("boot", weight=15)
def debugger(arch):
    """./run --gdb says how to attach, and the script knows the kernel's threads."""
    argv = run_argv(arch, "--gdb")
    with Terminal(argv) as t:
        said = t.expect(rb"(gdb-multiarch [^\r\n]*)").group(1).decode()
        t.expect(rb"\^A x quits")
        script = ["-ex", "break panic", "-ex", "vellum-log", "-ex", "vellum-threads", "-ex", "kill"]
        out = subprocess.run(
            f"{said} -batch " + " ".join(f"'{w}'" for w in script),
            shell=True,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
        )
        check(out.returncode == 0, (out.stdout + out.stderr).decode())



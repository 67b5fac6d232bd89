#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot a kernel in QEMU; ./run calls this with its own options.

The emulator's serial port and, with a command, one virtio port are sockets
that end here. So this process sees all that the machine says: it passes the
console to the terminal (or, with a command, kernel messages to standard
error), speaks init's frames on the port (user/init/main.c explains them), and
knows by events alone, never by waiting a while, what has happened.
"""

import argparse
import hashlib
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import termios
import time
import tty

import pack_root

EXIT_USAGE = 120
EXIT_BUILD = 121
EXIT_EMULATOR = 122
EXIT_STOPPED = 123
EXIT_TIMEOUT = 124
EXIT_PANIC = 125

CHUNK = 16384  # the most that one frame carries (user/init/main.c)
PANIC = re.compile(rb"Kernel panic[^\r\n]*")
PANIC_END = b"end Kernel panic"
PANIC_GRACE = 10.0  # seconds for the rest of a panic's report


class Stop(Exception):
    """The end: a status, and the reason if it is not the command's own."""

    def __init__(self, status, reason=None):
        super().__init__(reason)
        self.status = status
        self.reason = reason


def parse_arguments():
    parser = argparse.ArgumentParser(allow_abbrev=False, prog="run")
    parser.error = lambda message: (_ for _ in ()).throw(Stop(EXIT_USAGE, message))
    parser.add_argument("--arch", default="x86_64")
    parser.add_argument("--smp", type=int)
    parser.add_argument("--mem")
    parser.add_argument("--append", action="append", default=[])
    parser.add_argument("--disk", action="append", default=[])
    parser.add_argument("--initrd")
    parser.add_argument("--root")
    parser.add_argument("--icount", action="store_true")
    parser.add_argument("--gdb", action="store_true")
    parser.add_argument("--bios")
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("--kernel")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    words = sys.argv[1:]
    command = None
    if "--" in words:
        at = words.index("--")
        words, command = words[:at], words[at + 1 :]
        if not command:
            raise Stop(EXIT_USAGE, "there is no command after --")
    options = parser.parse_args(words)
    options.command = command
    options.out = f"build/{options.arch}{'-debug' if options.debug else ''}"
    if options.icount and options.smp not in (None, 1):
        raise Stop(EXIT_USAGE, "--icount wants one processor")
    if options.smp is None:
        options.smp = 1 if options.icount else 2
    options.disks = [Disk(text) for text in options.disk]
    for name in [options.initrd, options.kernel, *(disk.name for disk in options.disks if not disk.size)]:
        if name and not os.path.exists(name):
            raise Stop(EXIT_USAGE, f"no such file: {name}")
    if options.root and options.initrd:
        raise Stop(EXIT_USAGE, "--root and --initrd exclude each other")
    if options.root and not os.path.isdir(options.root):
        raise Stop(EXIT_USAGE, f"no such directory: {options.root}")
    return options


class Disk:
    """FILE[,ro][,size=SIZE][,iops=N] of --disk."""

    def __init__(self, text):
        self.read_only, self.size, self.limit = False, None, ""
        while found := re.search(r",(ro|size=(\d+)([KMGT]?)|iops=([1-9]\d*))$", text):
            text = text[: found.start()]
            if found.group(1) == "ro":
                self.read_only = True
            elif found.group(4):
                self.limit = f",throttling.iops-total={found.group(4)}"
            else:
                self.size = int(found.group(2)) << 10 * " KMGT".index(found.group(3) or " ")
        self.name = text
        self.format = "qcow2" if text.endswith(".qcow2") else "raw"
        if self.size is not None and (self.size == 0 or self.format != "raw"):
            raise Stop(EXIT_USAGE, f"a size goes with a raw image, and is not 0: {text}")

    def make(self):
        """The file is there, as large as asked for; what it has is kept."""
        if self.size is None:
            return
        try:
            with open(self.name, "ab") as f:
                if f.tell() > self.size:
                    raise Stop(EXIT_USAGE, f"{self.name} is larger than {self.size} bytes")
                f.truncate(self.size)
        except OSError as e:
            raise Stop(EXIT_USAGE, f"{self.name}: {e.strerror}") from e

    def arguments(self, number):
        """discard=unmap: what the guest discards is given back to the host's file system."""
        name = self.name.replace(",", ",,")
        read_only = "on" if self.read_only else "off"
        return [
            "-drive",
            f"if=none,id=disk{number},format={self.format},file={name},discard=unmap,readonly={read_only}{self.limit}",
            "-device",
            f"virtio-blk-pci,drive=disk{number},serial=disk{number}",
        ]


def pack_directory(options):
    """The root image for --root; it stays in build/roots for the next time."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(options.root))).hexdigest()[:16]
    options.initrd = f"build/roots/{name}.cpio"
    try:
        pack_root.pack(options.root, options.initrd, f"{options.out}/user/init")
    except OSError as e:
        raise Stop(EXIT_USAGE, f"{os.fsdecode(e.filename)}: {e.strerror}") from e


def more_than_here(size):
    """Is "64G" more memory than this host has?"""
    return size.endswith("G") and size[:-1].isdigit() and int(size[:-1]) << 30 > host_memory()


def host_memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_for(arch, initrd, files):
    """MiB for a machine with a root image of so many MiB, that is to hold as many more of files."""
    in_steps = lambda n: (n + 255) // 256 * 256
    wanted = in_steps(2 * (initrd + files))  # tmpfs takes half of memory
    # This emulator takes the address of a RISC-V machine's initrd, 2178M, for its offset in memory.
    if arch == "riscv64" and wanted > 2176:
        wanted = max(wanted, in_steps(2178 + initrd + 1))
    return wanted


def choose_memory(options):
    mib = os.path.getsize(options.initrd or f"{options.out}/root.cpio") >> 20
    if options.mem is None:
        options.mem = f"{256 if mib < 64 else memory_for(options.arch, mib, 512)}M"


def initrd_with_init(options):
    """An unnamed file: the image and, after it, our init."""
    fd = os.memfd_create("initrd", 0)
    with open(options.initrd, "rb") as f, open(fd, "wb", closefd=False) as out:
        data = f.read()
        out.write(data + b"\0" * (-len(data) % 512))
        out.write(pack_root.init_archive(f"{options.out}/user/init"))
    return fd


def terminal_variables():
    """What init should know of the terminal, as words of a command line."""
    words = []
    term = os.environ.get("TERM", "")
    if re.fullmatch(r"[\w.+-]+", term):
        words.append(f"TERM={term}")
    for fd in (1, 0):
        try:
            size = os.get_terminal_size(fd)
        except OSError:
            continue
        if size.columns and size.lines:
            words += [f"COLUMNS={size.columns}", f"LINES={size.lines}"]
            break
    return words


def debugger_port():
    """1234 as usual, or another if that is taken."""
    for port in (1234, 0):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return s.getsockname()[1]
    raise Stop(EXIT_EMULATOR, "no port is free for the debugger")


class Emulator:
    """A QEMU with its console, and maybe a port for a command, as sockets here."""

    def __init__(self, options, on_terminal):
        self.options = options
        self.passed = []
        self.port = None
        self.own_init = options.command is not None or options.root is not None
        self.wants_port = self.own_init or not (on_terminal or options.initrd)
        self.console, console_fd = self.socket()
        mux = ",mux=on" if on_terminal else ""
        argv = self.machine_arguments()
        argv += ["-nodefaults", "-no-user-config", "-display", "none"]
        argv += ["-chardev", f"socket,id=console,fd={console_fd}{mux}", "-serial", "chardev:console"]
        if on_terminal:
            argv += ["-mon", "chardev=console,mode=readline"]
        argv += self.boot_arguments(on_terminal)
        # It dies with this process, however that ends.
        argv = ["setpriv", "--pdeathsig", "KILL", *argv]
        try:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=2, pass_fds=self.passed, start_new_session=True
            )
        except OSError as e:
            raise Stop(EXIT_EMULATOR, f"the emulator cannot be started: {e}") from e
        for fd in self.passed:
            os.close(fd)

    def socket(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        fd = theirs.detach()
        self.passed.append(fd)
        return ours, fd

    def machine_arguments(self):
        o = self.options
        argv = [f"qemu-system-{o.arch}", "-accel", "tcg", "-m", o.mem, "-smp", str(o.smp)]
        if o.arch == "x86_64":
            argv += ["-machine", "q35", "-cpu", "max,-erms" if o.icount else "max"]
        else:
            argv += ["-machine", "virt"]
        if more_than_here(o.mem):  # the host need not promise what the guest will not touch
            argv[argv.index("-machine") + 1] += ",memory-backend=ram"
            argv += ["-object", f"memory-backend-ram,id=ram,size={o.mem},reserve=off"]
        if o.bios:
            argv += ["-bios", o.bios]
        if o.icount:
            argv += ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
            argv += ["-seed", "42"]
        if o.gdb:
            argv += ["-gdb", f"tcp:127.0.0.1:{o.gdb_port}", "-S"]
        for i, disk in enumerate(o.disks):
            argv += disk.arguments(i)
        return argv

    def boot_arguments(self, on_terminal):
        o = self.options
        kernel = o.kernel or f"{o.out}/{'vellum-bare' if o.bios == 'none' else 'vellum'}"
        words = ["console=ttyS0"]
        if o.icount and o.disks:
            words += ["block.timeout=0"]  # the guest's time passes while the disk works in ours
        if on_terminal:
            words += terminal_variables()
        argv = ["-kernel", kernel]
        if self.wants_port:
            self.port, port_fd = self.socket()
            argv += ["-device", "virtio-serial-pci,id=ports"]
            argv += ["-chardev", f"socket,id=command,fd={port_fd}"]
            argv += ["-device", "virtserialport,bus=ports.0,chardev=command,name=vellum.command"]
        if o.initrd and o.command and not o.root:
            fd = initrd_with_init(o)
            self.passed.append(fd)
            argv += ["-initrd", f"/dev/fd/{fd}"]
        else:
            argv += ["-initrd", o.initrd or f"{o.out}/root.cpio"]
        if o.initrd and self.own_init:
            words += [f"rdinit=/{pack_root.INIT}"]
        if o.command:
            argv += ["-no-reboot"]
            words += ["VELLUM_COMMAND=1", "panic=-1"]
            if on_terminal:
                words += ["VELLUM_TTY=1", "loglevel=1"]
        return [*argv, "-append", " ".join(words + o.append)]

    def ended(self):
        """It has closed its console, so it is about to end. Returns its exit status."""
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            return self.end()

    def end(self):
        """Kill it if it has not ended, and return its exit status."""
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait()


class Sink:
    """Bytes on their way to a file descriptor that may not take them at once."""

    FULL = 1 << 18

    def __init__(self, fd):
        self.fd = fd
        self.data = bytearray()
        # A pipe that is ready takes so much without blocking; a terminal and a
        # socket, ours being non-blocking, take what they can.
        self.piece = select.PIPE_BUF if stat.S_ISFIFO(os.fstat(fd).st_mode) else 65536

    def full(self):
        return len(self.data) >= self.FULL

    def put(self, data):
        self.data += data

    def push(self):
        try:
            n = os.write(self.fd, bytes(self.data[: self.piece]))
        except BlockingIOError:
            return
        del self.data[:n]

    def flush(self):
        while self.data:
            select.select([], [self.fd], [])
            self.push()


class Session:
    """Moves bytes between the machine and this process's files until the end."""

    def __init__(self, options):
        self.options = options
        both = os.isatty(0) and os.isatty(1)
        self.on_terminal = os.isatty(0) if options.command is None else both
        self.emulator = Emulator(options, self.on_terminal)
        self.console = self.emulator.console
        self.port = self.emulator.port
        self.output, self.errors = Sink(1), Sink(2)
        self.to_console = Sink(self.console.fileno())
        self.to_port = Sink(self.port.fileno()) if self.port else None
        self.send_command(options.command)
        # With a command on the terminal, what the machine says before the
        # command starts is kept for the case that it never does.
        self.hushed = bytearray() if options.command and self.on_terminal else None
        self.frames = bytearray()
        self.stdin_open = True
        # What is not typed by a person waits until our init has a shell for it.
        self.stdin_held = options.command is None and self.port is not None
        self.last_typed = b"\n"
        self.log = bytearray()  # the last of what the console said
        self.panicked = False
        self.status = None
        self.deadline = time.monotonic() + options.timeout if options.timeout else None

    # ---- from the machine ----

    def console_said(self, data):
        self.look_for_panic(data)
        if self.hushed is not None:
            self.hushed += data
        elif self.options.command and not self.on_terminal:
            self.errors.put(data.replace(b"\r", b""))
        else:
            self.output.put(data)

    def look_for_panic(self, data):
        self.log += data
        if PANIC.search(self.log, max(0, len(self.log) - len(data) - 64)) and not self.panicked:
            self.panicked = True
            if not self.options.gdb:
                end = time.monotonic() + PANIC_GRACE
                self.deadline = min(self.deadline or end, end)
        if self.panicked and PANIC_END in self.log and not self.options.gdb:
            self.deadline = time.monotonic()
        if not self.panicked:
            del self.log[:-4096]

    def panic(self):
        return Stop(EXIT_PANIC, PANIC.search(self.log).group().decode(errors="replace"))

    def read_console(self):
        """Take what there is; False at the end of the machine."""
        while True:
            try:
                data = self.console.recv(65536)
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            if not data:
                return False
            self.console_said(data)
            if self.output.full():
                return True

    def read_port(self):
        try:
            data = self.port.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self.port.close()
            self.port = None
        self.frames += data
        while len(self.frames) >= 4:
            size = int.from_bytes(self.frames[1:4], "little")
            if len(self.frames) < 4 + size:
                break
            self.frame(self.frames[:1], bytes(self.frames[4 : 4 + size]))
            del self.frames[: 4 + size]

    def frame(self, kind, data):
        if kind == b"o":
            self.output.put(data)
        elif kind == b"e":
            self.errors.put(data)
        elif kind == b"b":
            self.read_console()
            self.hushed = None
            self.stdin_held = False
            self.send(b"g")
        elif kind == b"s":
            self.read_console()
            if self.on_terminal:
                self.hushed = bytearray()
            self.status = int(data)
            self.send(b"q")
        else:
            raise Stop(EXIT_EMULATOR, f"init sent a frame of an unknown kind: {kind!r}")

    def send_command(self, command):
        if command:
            text = b"".join(os.fsencode(word) + b"\0" for word in command)
            for at in range(0, len(text), CHUNK):
                self.send(b"c", text[at : at + CHUNK])
            self.send(b"c")

    def send(self, kind, data=b""):
        self.to_port.put(kind + len(data).to_bytes(3, "little") + data)

    # ---- to the machine ----

    def read_stdin(self):
        data = os.read(0, CHUNK)
        relayed = self.options.command and not self.on_terminal
        if relayed:
            self.send(b"i", data)  # an empty frame is the end
        elif data:
            self.to_console.put(data)
            self.last_typed = data
        elif not self.on_terminal:
            # A file instead of a terminal has ended: ^D, at the start of a line.
            self.to_console.put(b"\x04" if self.last_typed.endswith(b"\n") else b"\x04\x04")
        if not data:
            self.stdin_open = False

    def wants_stdin(self):
        sink = self.to_port if self.options.command and not self.on_terminal else self.to_console
        return self.stdin_open and not self.stdin_held and self.status is None and not sink.full()

    # ---- the loop ----

    def wait(self):
        readers = []
        if not self.output.full() and not self.errors.full():
            readers += [self.console] + ([self.port] if self.port else [])
        if self.wants_stdin():
            readers.append(0)
        sinks = [self.output, self.errors, self.to_console] + ([self.to_port] if self.port else [])
        writers = {sink.fd: sink for sink in sinks if sink.data}
        left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        ready, writable, _ = select.select(readers, list(writers), [], left)
        for fd in writable:
            self.push(writers[fd])
        return ready

    def push(self, sink):
        try:
            sink.push()
        except BrokenPipeError:
            if sink in (self.output, self.errors):
                raise Stop(128 + signal.SIGPIPE) from None
            sink.data.clear()  # the machine is going; its end is noticed on reading

    def time_is_up(self):
        if self.deadline is None or time.monotonic() < self.deadline:
            return
        if self.panicked:
            raise self.panic()
        raise Stop(EXIT_TIMEOUT, f"the time-out of {self.options.timeout:g} seconds has passed")

    def loop(self):
        while True:
            ready = self.wait()
            if self.port in ready:
                self.read_port()
            if self.console in ready and not self.read_console():
                return
            if 0 in ready:
                self.read_stdin()
            self.time_is_up()

    def machine_ended(self):
        """The machine is off: by whom, and was that the end of the command?"""
        while self.port:
            select.select([self.port], [], [], 1.0)
            self.read_port()
        code = self.emulator.ended()
        if self.panicked:
            raise self.panic()
        if self.status is not None:
            ended_by = self.status & 0x7F
            raise Stop(128 + ended_by if ended_by else self.status >> 8 & 0xFF)
        if code:
            how = f"signal {-code}" if code < 0 else f"status {code}"
            raise Stop(EXIT_EMULATOR, f"the emulator ended with {how}")
        if self.options.command:
            raise Stop(EXIT_STOPPED, "the machine stopped before the command had ended")
        raise Stop(0)

    def run(self):
        try:
            self.loop()
            self.machine_ended()
        except Stop as stop:
            if self.hushed and stop.reason and self.status is None:
                self.errors.put(self.hushed)
            if stop.status != 128 + signal.SIGPIPE:
                self.output.flush()
                self.errors.flush()
            raise
        finally:
            self.emulator.end()


def announce(options):
    """What a person should know before the machine starts."""
    say = lambda text: print(f"run: {text}", file=sys.stderr, flush=True)
    if options.gdb:
        options.gdb_port = debugger_port()
        bare = "-bare" if options.bios == "none" else ""
        say("the machine waits for a debugger; attach from another terminal with")
        say(f"  gdb-multiarch {options.out}/vellum{bare} -x tools/gdb/vellum.py -ex 'target remote :{options.gdb_port}'")
    if options.command is None and os.isatty(0):
        say("^A x quits the emulator, ^A h tells more")


def interrupted(number, _):
    raise Stop(128 + number)


def main():
    terminal = None
    try:
        options = parse_arguments()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupted)
        if options.check:
            return
        for disk in options.disks:
            disk.make()
        if options.root:
            pack_directory(options)
        choose_memory(options)
        announce(options)
        session = Session(options)
        if session.on_terminal:
            terminal = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSADRAIN)
        session.run()
    except Stop as stop:
        if terminal:
            termios.tcsetattr(0, termios.TCSADRAIN, terminal)
        if stop.reason:
            print(f"run: {stop.reason}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(stop.status)


if __name__ == "__main__":
    main()

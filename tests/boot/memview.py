# SPDX-License-Identifier: MIT
"""memview: one picture as text, and the live one with its keys."""

import re

from harness import PROMPT, check, equal, shell, test, vellum


@test("boot", weight=15)
def memview_once(arch):
    script = """sleep 1000 & memview --once --pid $! --width 100; echo status $?
        memview --once | head -n 1; memview --once --no-colour --width 44 | wc -L
        memview --help | head -n 1; memview --once --pid 31000; echo status $?
        memview --what; echo status $?; memview --width 7; echo status $?; memview; echo status $?"""
    result = vellum(arch, "--", "sh", "-c", script).expect(0)
    out = result.out.decode()
    check("\x1b" not in out, "escape codes in what goes to a pipe")
    picture, rest = out.split("status 0\n", 1)
    lines = picture.splitlines()
    check(max(map(len, lines)) <= 100, "wider than asked for")
    check(re.match(r"memory \d+M free \d+M cached \d+K anon ", lines[0]), lines[0])
    frames = [line[11:] for line in lines if re.match(r" *[0-9a-f]+000  \S", line[:12])]
    cells = "".join(line for line in frames if line)
    for sign, what in {"#": "kernel", ".": "free", "*": "shared"}.items():
        check(sign in cells, f"no frame is {what}")
    check(re.search(r"(?m)^[A-Z] \d+ sleep  resident \d+K  swapped 0K  faults \d+, major 0$", picture), picture)
    stack = re.search(r"(?m)^[ 0-9a-f]{12} rw-p +\d+K \[stack\] +(\S+)$", picture)
    check(stack and "d" in stack[1] and "." in stack[1], f"the stack: {picture}")
    code = re.search(r"(?m)^[ 0-9a-f]{12} r-xp +\d+K busybox +(\S+)$", picture)
    check(code and "*" in code[1], "busybox's code is shared with the shell")
    check(re.search(r"untouched.*clean.*dirty.*shared", lines[-1]), "the explanation of signs")
    more = rest.splitlines()
    check(more[0].startswith("memory "), "without a process")
    check(40 < int(more[1]) <= 44, f"width: {more[1]}")
    check(more[2].startswith("usage: memview"), "--help")
    equal(more[3:], ["status 1", "status 2", "status 2", "status 2"], "errors")
    check(b"no process 31000" in result.err and b"is no terminal" in result.err, result.err)


@test("boot", weight=20)
def memview_live(arch):
    with shell(arch, rows=30, columns=100) as t:
        t.line("stty rows 24 cols 80; sleep 1000 & mkfifo /tmp/go")
        t.expect(PROMPT)
        t.line("memview --pid $!")
        t.expect_screen(r"(.*\n){23}q quit  p pause")  # in the last of 24 lines
        t.expect_screen(r"\n[A-Z] \d+ sleep  resident")
        t.expect_screen(r"faults \d+/s")
        t.send("p")
        t.expect_screen(r" paused")
        t.send("v")
        t.expect_screen(r"^(.*\n){2} +\d+  (.*\n){17}[^~]*~swap cache")  # frames alone
        t.send("v")
        t.expect_screen(r"^(.*\n){2}[A-Z] \d+ sleep (.*\n)+.*\[stack\]")
        t.expect_screen(r"untouched")
        t.send("\t")
        t.expect_screen(r"\n[A-Z] \d+ (?!sleep)\S+  resident")
        t.send("\x1b[A")
        t.expect_screen(r"\n[A-Z] \d+ sleep  resident")
        t.send("++++++++")
        t.expect_screen(r"busybox +\S+\n +[0-9a-f]+000 {27,}\S")  # an area takes several lines now
        t.send("\x1b[6~")
        t.expect_screen(r"^(.*\n){3}(?! +\S+ +r--p +4K busybox)")
        t.send("?")
        t.expect_screen(r"this help")
        t.send("?--------vs")
        t.expect_screen(r" paused")
        t.send("q")
        t.expect(PROMPT)
        t.line("stty -a | grep -o ' icanon\\| echo '; echo restored")
        t.expect(rb" icanon\r\n echo \r\nrestored\r\n")
        t.expect(PROMPT)
        # Another size while it runs; the terminal is given back at every end.
        t.line("(until grep -q memview /proc/*/comm; do :; done; stty rows 30 cols 100) 2>/dev/null & memview")
        t.expect_screen(r"(.*\n){29}q quit  p pause")
        t.send("\x1a")
        t.expect(rb"Stopped")
        t.expect(PROMPT)
        t.line("echo still here; fg")
        t.expect(rb"still here\r\n")
        t.expect_screen(r"(.*\n){29}q quit  p pause")
        t.send("\x03")
        t.expect(PROMPT)
        t.line("stty -a | grep -o ' icanon\\| echo '; echo restored")
        t.expect(rb" icanon\r\n echo \r\nrestored\r\n")
        t.expect(PROMPT)
        t.line("exit")
        equal(t.status(), 0, "status")

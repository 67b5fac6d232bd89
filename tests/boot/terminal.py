# SPDX-License-Identifier: MIT
"""Somebody sits at a terminal: line editing, job control, full-screen programs.

Who types ahead may meet a terminal that is still in the shell's raw mode, so
every step waits for a sign that the program before it is there.
"""

from harness import PROMPT, equal, guest_package, image, shell, test

ESC = "\x1b"


def finish(t):
    t.line("exit")
    equal(t.status(), 0, "status")


@test("boot", weight=15)
def line_editing(arch):
    """The terminal's own editing: erase a character, a word, a line; end of file."""
    with shell(arch) as t:
        t.line("echo go; cat")
        t.expect(rb"\ngo\r\n")
        t.send("helx\x7flo\r")  # erase
        t.expect(rb"\r\nhello\r\n")
        t.send("one two\x17three\r")  # ^W
        t.expect(rb"\none three\r\n")
        t.send("wrong\x15right\r")  # ^U
        t.expect(rb"\nright\r\n")
        t.send("\x16\x03 quoted\r")  # ^V ^C
        t.expect(rb"\n\x03 quoted\r\n")
        t.send("\x04")  # ^D
        t.expect(PROMPT)
        t.line("stty -echo; read secret; stty echo; echo \"got <$secret>\"")
        t.expect(rb"\r\n")
        t.send("hidden\r")
        t.expect(rb"got <hidden>\r\n")
        t.expect(PROMPT)
        finish(t)
        assert t.text.count(b"hidden") == 1, "echo was off"


@test("boot", weight=15)
def shell_editing(arch):
    """The shell's editing, in raw mode: cursor keys, history, completion."""
    with shell(arch) as t:
        t.send("ecko edited" + (ESC + "[D") * 8 + "\x7fh" + "\r")
        t.expect(rb"\nedited\r\n")
        t.expect(PROMPT)
        t.send(ESC + "[A")  # the line before
        t.expect(rb"echo edited")
        t.send(" again\r")
        t.expect(rb"\nedited again\r\n")
        t.expect(PROMPT)
        t.send("cat /etc/hostn\t")
        t.expect(rb"/etc/hostname ")
        t.send("\r")
        t.expect(rb"\nvellum\r\n")
        t.expect(PROMPT)
        finish(t)


@test("boot", weight=15)
def interrupt_and_quit(arch):
    with shell(arch) as t:
        t.line("echo go; cat")
        t.expect(rb"\ngo\r\n")
        t.line("running")
        t.expect(rb"running\r\nrunning\r\n")
        t.send("\x03")
        t.expect(rb"\^C")
        t.expect(PROMPT)
        t.line("echo status=$?")
        t.expect(rb"\nstatus=130\r\n")
        t.expect(PROMPT)
        t.line("sh -c 'trap \"echo caught; exit 3\" INT; echo ready; while :; do :; done'; echo status=$?")
        t.expect(rb"\nready\r\n")
        t.send("\x03")
        t.expect(rb"caught\r\nstatus=3\r\n")
        t.expect(PROMPT)
        t.line("echo go; cat")
        t.expect(rb"\ngo\r\n")
        t.line("running")
        t.expect(rb"running\r\nrunning\r\n")
        t.send("\x1c")
        t.expect(PROMPT)
        t.line("echo status=$?")
        t.expect(rb"\nstatus=131\r\n")
        t.expect(PROMPT)
        finish(t)


@test("boot", weight=15)
def job_control(arch):
    with shell(arch) as t:
        t.line("echo go; cat")
        t.expect(rb"\ngo\r\n")
        t.line("before")
        t.expect(rb"before\r\nbefore\r\n")
        t.send("\x1a")
        t.expect(rb"\[1\]\+\s+Stopped\s+cat")
        t.expect(PROMPT)
        t.line("jobs")
        t.expect(rb"\[1\]\+\s+Stopped\s+cat")
        t.expect(PROMPT)
        t.line("fg")
        t.expect(rb"fg\r\ncat\r\n")
        t.line("after")
        t.expect(rb"after\r\nafter\r\n")
        t.send("\x1a")
        t.expect(rb"Stopped")
        t.expect(PROMPT)
        t.line("bg")  # it reads the terminal from the background: stopped at once
        t.expect(rb"bg\r\n")
        t.expect(PROMPT)
        t.line("wait; jobs")
        t.expect(rb"Stopped \(tty input\)\s+cat")
        t.expect(PROMPT)
        t.line("kill %1; fg")  # it goes on, and meets the signal
        t.expect(rb"Terminated")
        t.expect(PROMPT)
        t.line("sleep 1000 & sleep 1000 | cat &")
        t.expect(PROMPT)
        t.line("jobs")  # whoever is killed before it executes ignores it, as the shell does
        t.expect(rb"Running +sleep 1000 \| cat")
        t.expect(PROMPT)
        t.line("kill %1 %2; wait; echo all gone")
        t.expect(rb"\nall gone\r\n")
        t.expect(PROMPT)
        finish(t)


@test("boot", weight=15)
def background_writer_stops(arch):
    """stty tostop: output from the background stops the writer."""
    with shell(arch) as t:
        t.line("stty tostop; echo from behind & wait; jobs; stty -tostop; fg")
        t.expect(rb"Stopped \(tty output\)")
        t.expect(rb"\nfrom behind\r\n")
        t.expect(PROMPT)
        finish(t)


@test("boot", weight=15)
def vi_saves_a_file(arch):
    with shell(arch, rows=24, columns=80) as t:
        t.line("vi /tmp/poem")
        t.expect_screen(r"(?m)^- /tmp/poem")
        t.send("ifirst line\rsecond lime")
        t.expect_screen("second lime")
        t.send(ESC)
        t.expect_screen(r"(?m)^- /tmp/poem")
        t.send("hrn")  # on the m: replace it
        t.send("ggOtop line")
        t.expect_screen("top line\nfirst line\nsecond line")
        t.send(ESC)
        t.expect_screen(r"(?m)^- /tmp/poem")
        t.send(":wq\r")
        t.expect(PROMPT)
        t.line("stty -a | grep -o 'rows [0-9]*; columns [0-9]*'; cat -n /tmp/poem")
        t.expect(rb"rows 24; columns 80")
        t.expect(rb"1\ttop line\r\n +2\tfirst line\r\n +3\tsecond line\r\n")
        t.expect(PROMPT)
        t.line("vi /tmp/poem")
        t.expect_screen("second line")
        t.send(":s/top/TOP/\r")
        t.expect_screen(r"\[Modified\]")
        t.send("\x1a")
        t.expect(rb"Stopped")
        t.expect(PROMPT)
        t.line("echo still here; fg")
        t.expect(rb"still here\r\n")
        t.expect_screen("TOP line")
        t.send(":q!\r")
        t.expect(PROMPT)
        t.line("grep -c top /tmp/poem")
        t.expect(rb"\n1\r\n")
        t.expect(PROMPT)
        finish(t)


@test("boot", weight=15)
def less_pages(arch):
    with shell(arch, rows=24, columns=80) as t:
        t.line("seq 1 500 > /tmp/numbers; less /tmp/numbers")
        t.expect(rb"\n?23\r?\n?")
        t.send(" ")
        t.expect(rb"45")
        # Between two keys less sets the terminal to cooked and back, when Return would be a newline.
        for column, key in enumerate("/^300", start=2):
            t.send(key)
            t.expect(rb"\x1b\[24;%dH" % column)
        t.send("\r")
        t.expect(rb"300")
        t.send("G")
        t.expect(rb"500")
        t.send("q")
        t.expect(PROMPT)
        t.line("seq 1 100 | less; echo end")
        t.expect(rb"23")
        t.send("q")
        t.expect(rb"end\r\n")
        t.expect(PROMPT)
        finish(t)


@test("boot", weight=15)
def top_shows_processes(arch):
    with shell(arch, rows=24, columns=80) as t:
        t.line("sleep 1000 & top -d 1")
        t.expect(rb"Mem: \d+K used, \d+K free")
        t.expect(rb"CPU:")
        t.expect(rb"PID +PPID USER")
        t.expect(rb"Mem: \d+K used")  # a second picture
        t.send("q")
        t.expect(PROMPT)
        t.line("kill %1; wait; ps")
        t.expect(rb" 1 root .*init")
        t.expect(PROMPT)
        finish(t)


@test("boot", weight=15)
def window_size(arch):
    """A change of size is a signal to the foreground."""
    with shell(arch, rows=40, columns=132) as t:
        t.line("stty size; sh -c 'trap \"echo resized; exit\" WINCH; stty rows 20 cols 60; while :; do :; done'; stty size")
        t.expect(rb"\n40 132\r\n")
        t.expect(rb"resized\r\n20 60\r\n")
        t.expect(PROMPT)
        finish(t)


@test("boot")
def escape_quits(arch):
    """^A belongs to the emulator: x ends it, ^A ^A is ^A, and ^C goes to the guest."""
    with shell(arch) as t:
        t.send("\x03\x03")
        t.expect(PROMPT)
        t.line("echo go; cat -v")
        t.expect(rb"\ngo\r\n")
        t.send("\x01\x01\r")
        t.expect(rb"\n\^A\r\n")
        t.send("\x01x")
        equal(t.status(), 0, "status")


@test("boot", weight=20)
def bash_interactive(arch):
    def fill(archive):
        with open(f"{guest_package(arch, 'bash-static')}/usr/bin/bash-static", "rb") as f:
            archive.file("bin/bash", 0o755, f.read())

    with shell(arch, "--initrd", image(arch, "bash", fill)) as t:
        t.line("PS1='bash> ' exec bash --norc")
        t.expect(rb"\nbash> ")
        t.line("echo $BASH_VERSION; a=(1 2 3); echo ${#a[@]} ${a[*]^^}")
        t.expect(rb"\n5\.2[^\n]*\r\n3 1 2 3\r\n")
        t.expect(rb"bash> ")
        t.line("cat <(echo substituted) | tee >(cat >/tmp/copy) | rev; read -r x <<< word; echo $x")
        t.expect(rb"\ndetutitsbus\r\nword\r\n")
        t.expect(rb"bash> ")
        t.line("echo go; cat")
        t.expect(rb"\ngo\r\n")
        t.line("typed")
        t.expect(rb"typed\r\ntyped\r\n")
        t.send("\x1a")
        t.expect(rb"\[1\]\+ +Stopped +cat")
        t.expect(rb"bash> ")
        t.line("fg")
        t.expect(rb"fg\r\ncat\r\n")  # said before the terminal is given to the job
        t.line("again")
        t.expect(rb"again\r\nagain\r\n")
        t.send("\x03")
        t.expect(rb"bash> ")
        t.line("for i in {1..5}; do (exit $i) & done; wait; echo ${?}; coproc cat; echo hi >&${COPROC[1]}; read x <&${COPROC[0]}; echo co=$x")
        t.expect(rb"\nco=hi\r\n")
        t.line("exit")
        equal(t.status(), 0, "status")


@test("boot", weight=20)
def zsh_interactive(arch):
    def fill(archive):
        with open(f"{guest_package(arch, 'zsh-static')}/usr/bin/zsh-static", "rb") as f:
            archive.file("bin/zsh", 0o755, f.read())

    with shell(arch, "--initrd", image(arch, "zsh", fill)) as t:
        t.line("PS1='zsh> ' exec zsh -f +Z")
        t.expect(rb"zsh> ")
        t.line("print $ZSH_VERSION; print ${(U)$(echo upper)} $((2 ** 40)) ${(j:-:)${(s:,:)$(echo a,b,c)}}")
        t.expect(rb"5\.9\r\n")
        t.expect(rb"UPPER 1099511627776 a-b-c\r\n")
        t.expect(rb"zsh> ")
        t.line("print -l /etc/**/host*(.) =(echo temporary)(:h)")
        t.expect(rb"/etc/hostname\r\n/tmp\r\n")
        t.expect(rb"zsh> ")
        t.line("echo go; cat")
        t.expect(rb"\ngo\r\n")
        t.line("typed")
        t.expect(rb"typed\r\ntyped\r\n")
        t.send("\x1a")
        t.expect(rb"suspended +cat")
        t.expect(rb"zsh> ")
        t.line("fg")
        t.expect(rb"continued +cat")
        t.line("again")
        t.expect(rb"again\r\nagain\r\n")
        t.send("\x03")
        t.expect(rb"zsh> ")
        t.line("exit")
        t.line("exit")
        equal(t.status(), 0, "status")

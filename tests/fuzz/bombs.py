# SPDX-License-Identifier: MIT
"""Programs that take all they can get, in 64 MiB: they are refused or killed, and the shell answers."""

import re

from harness import check, guest_program, image, test, vellum

BOMBS = ["fork", "thread", "descriptor", "mapping", "pipe", "tmpfs", "dentry", "memory"]
KILLED = 128 + 9
SCRIPT = """
echo -500 > /proc/self/oom_score_adj
for bomb in %s; do
    /bombs $bomb
    echo "$bomb $?"
    ls / > /dev/null && echo "answers $(expr 6 '*' 7)"
done
""" % " ".join(BOMBS)


@test("fuzz", weight=30)
def bombs(arch):
    program = guest_program(arch, "tests/fuzz/bombs.c")

    def fill(archive):
        with open(program, "rb") as f:
            archive.file("bombs", 0o755, f.read())

    words = ["--mem", "64M", "--smp", "2", "--initrd", image(arch, "bombs", fill)]
    r = vellum(arch, *words, "--", "sh", "-c", SCRIPT, timeout=240)
    text = (r.out + r.err[-6000:]).decode(errors="replace")
    check(r.status == 0, f"status {r.status}\n{text}")
    for bomb in BOMBS:
        found = re.search(rb"(?m)^%s (\d+)\nanswers 42$" % bomb.encode(), r.out)
        check(found and int(found.group(1)) in (0, KILLED), f"{bomb}\n{text}")
    check(b"Out of memory: Killed process" in r.err, f"nobody was killed\n{text}")

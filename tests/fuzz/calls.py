#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""List the system calls of a kernel for the fuzzer, as C on standard output.

Which there are is read from the generated table; what an argument means is
guessed from its type and name in the sources. So a call that lands tomorrow is
fuzzed tomorrow.

    usage: calls.py build/ARCH/gen/syscall_table.c
"""

import glob
import re
import sys

# The first pattern that matches "type name" tells the kind.
KINDS = [
    (r"char.*\*.*(path|name|target|source|from|to|old|new|type|dir|file)", "PATH"),
    (r"(timespec|timeval|itimerval|itimerspec).*\*", "TIME"),
    (r"iovec.*\*|msghdr.*\*", "VECTOR"),
    (r"char \*const .*\*|\*\s*__user \*", "STRINGS"),
    (r"\*", "BUFFER"),
    (r" \w*fds?$| \w*dir$| dirfd|newfd|oldfd", "FD"),
    (r"(addr|address|start|stack|old_address|brk)$", "ADDRESS"),
    (r" (pid|tid|tgid|pgid|pgrp|who|upid|id)$", "PID"),
    (r" sig(no|nal)?$| signum$", "SIGNAL"),
    (r" \w*(len|length|size|count|nr|vlen|n|nfds|bytes)$", "LENGTH"),
    (r" \w*(off|offset|pos)\w*$|loff_t", "OFFSET"),
    (r" \w*(cmd|command|op|request|which|option|resource|policy|advice|whence|what|how|domain|family|clock\w*|code)$", "COMMAND"),
    (r" \w*(flags|mask|mode|prot|events|options|dev|type)$", "FLAGS"),
]


def kind(argument):
    for pattern, name in KINDS:
        if re.search(pattern, argument):
            return name
    return "ANY"


def definitions():
    for path in glob.glob("kernel/**/*.c", recursive=True) + glob.glob("arch/**/*.c", recursive=True):
        text = open(path).read()
        for name, rest in re.findall(r"(?m)^SYSCALL_DEFINE[0-6]\((\w+)([^)]*)\)", text):
            words = [" ".join(w.split()) for w in rest.split(",")[1:]]
            yield name, [f"{t} {n}" for t, n in zip(words[::2], words[1::2])]


def main():
    table = open(sys.argv[1]).read()
    there = re.findall(r"extern syscall_fn sys_(\w+);", table)
    known = dict(definitions())
    for name in there:
        kinds = ", ".join("K_" + kind(a) for a in known.get(name, []))
        number = re.search(rf"\[([^]]+)\] = sys_{name},", table).group(1)
        print(f'    {{"{name}", {number}, {len(known.get(name, []))}, {{{kinds or 0}}}}},')


main()

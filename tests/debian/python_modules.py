# SPDX-License-Identifier: MIT
"""Python's own test modules: what passes on the host's Linux passes in Vellum.

This takes long; `./test full` runs it and writes docs/debian.md. The root of
RISC-V is compared with x86-64's on the host, as in run_debian.py.
"""

import os
import re
import threading
import time
import xml.etree.ElementTree as ElementTree

from debian.run_debian import FOLDER, PACKAGES, TESTSUITE, debian_root, host_lock
from harness import ROOT, Part, Skip, call, run_argv, test

MODULES = {
    "test_ioctl": [],
    "test_json": [],
    "test_mmap": [],
    "test_os": [],
    "test_poll": [],
    "test_posix": [],
    "test_pty": [],
    "test_select": [],
    "test_selectors": [],
    "test_signal": [],
    "test_socket": ["*Unix*", "*SocketPair*", "*LinuxAbstract*"],  # local sockets: there is no network
    "test_subprocess": [],
    "test_tempfile": [],
    "test_termios": [],
    "test_threading": [],
    "test_tty": [],
}
# What may fail, and why.
EXCUSED = {
    "test.test_os.TestSendfile.": "a TCP connection",
    "test.test_signal.WakeupFDTests.test_invalid_socket": "a TCP socket",
    "test.test_signal.WakeupFDTests.test_set_wakeup_fd_socket_result": "a TCP socket",
    "test.test_socket.PurePythonSocketPairTest.": "a TCP connection",
    "test.test_os.TimerfdTests.": "two calls within half a millisecond",
}
DRIVER = r"""
export HOME=/tmp/home LC_ALL=C.UTF-8 TZ=UTC TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p $HOME && cd /tmp || exit 1
while read -r module options; do
    echo "=== begin $module"
    timeout -s KILL "$1" python3 -m test --timeout 600 --junit-xml xml $options "$module" </dev/null >log 2>&1
    status=$?
    tail -n 30 log >&2
    cat xml
    printf '\n=== end %s %d\n' "$module" $status
    rm -f xml
done
"""
DOCUMENT = f"{ROOT}/docs/debian.md"
document_lock = threading.Lock()
host_results = {}


def requests():
    """What the driver reads: a module with its options on each line."""
    return "".join(f"{m} {' '.join('-m ' + p for p in patterns)}\n" for m, patterns in MODULES.items()).encode()


def verdicts(xml):
    """{test: "passed" | "failed" | "skipped"} of one module; None if it did not come to its end."""
    found = {}
    try:
        tree = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return None
    for case in tree.iter("testcase"):
        kinds = {child.tag for child in case}
        bad = kinds & {"failure", "error"}
        found[case.get("name")] = "failed" if bad else "skipped" if "skipped" in kinds else "passed"
    return found


def results(output):
    text = output.decode(errors="replace")
    found = re.findall(r"(?ms)^=== begin (\S+)\n(.*?)^=== end \1 \d+$", text)
    return {module: verdicts(xml.strip()) for module, xml in found}


def on_host():
    with host_lock:
        if not host_results:
            root = debian_root("x86_64", [*PACKAGES, TESTSUITE])
            argv = [f"{FOLDER}/chroot.sh", root, "/bin/bash", "-c", f"set -f; {DRIVER}", "sh", "900"]
            r = call(argv, requests(), timeout=3600)
            if r.status:
                raise Skip(f"no chroot here: {r.err[-300:].decode(errors='replace').strip()}")
            host_results.update(results(r.out))
        return host_results


def counts(found):
    if found is None:
        return "did not end"
    values = list(found.values())
    return " / ".join(str(values.count(kind)) for kind in ("passed", "failed", "skipped"))


TITLE = """# Debian's programs in Vellum

Python's own test modules (`python3 -m test`), written by `./test full`: tests passed / failed /
skipped. What fails in Vellum alone is named in the report of the test; of test_os, test_signal and
test_socket, that is what needs a network, and some tests of timerfd that expect two calls within half
a millisecond. The machines were interpreted by QEMU on two processors that had other work too.

| module | host's Linux | x86-64 | RISC-V |
|---|---|---|---|
"""


def write_document(arch, got, host):
    """Put one machine's column into the table; the other one stays as it is, and so does what follows."""
    with document_lock:
        rows, rest = {}, ""
        if os.path.exists(DOCUMENT):
            with open(DOCUMENT) as f:
                table, heading, rest = f.read().partition("\n## ")
            rest = heading + rest
            cells = [line.split("|") for line in table.splitlines()]
            rows = {c[1].strip(): [x.strip() for x in c[2:5]] for c in cells if len(c) == 6}
        with open(DOCUMENT, "w") as f:
            f.write(TITLE)
            for module in MODULES:
                row = rows.get(module, ["", "", ""])
                row[0] = counts(host.get(module))
                row[1 if arch == "x86_64" else 2] = counts(got.get(module))
                f.write(f"| {module} | {' | '.join(row)} |\n")
            f.write(rest)


def judge(module, arch, want, got, seconds):
    name = f"debian/{module} {arch}"
    if got is None:
        return Part(name, "FAIL", seconds, "did not end")
    worse = sorted(t for t, verdict in want.items() if verdict == "passed" and got.get(t) != "passed")
    # A test that is skipped for want of something is no wrong answer.
    bad = [t for t in worse if got.get(t) != "skipped"]
    excuses = {why for t in bad for start, why in EXCUSED.items() if t.startswith(start)}
    bad = [t for t in bad if not t.startswith(tuple(EXCUSED))]
    text = f"{counts(got)}; the host {counts(want)}"
    text += f"; what fails needs {', '.join(sorted(excuses))}" if excuses else ""
    return Part(name, "FAIL" if bad else "ok", seconds, "\n".join([text, *bad]))


@test("debian", weight=900, default=False)
def python_modules(arch):
    want = on_host()
    root = debian_root(arch, [*PACKAGES, TESTSUITE])
    argv = run_argv(arch, "--root", root, "--timeout", "7000", "--append", "loglevel=4")
    start = time.monotonic()
    r = call([*argv, "--", "/bin/bash", "-c", f"set -f; {DRIVER}", "sh", "1800"], requests(), timeout=7200)
    seconds = (time.monotonic() - start) / len(MODULES)
    got = results(r.out)
    write_document(arch, got, want)
    return [judge(m, arch, want.get(m) or {}, got.get(m), seconds) for m in MODULES]

# SPDX-License-Identifier: MIT
"""The unit tests: programs of this host, one for each subject."""

import glob
import os
import re
import time

from harness import ROOT, Part, call, programs_of, test


@test("unit", arches=(None,), weight=60)
def programs(_):
    call(["make", "-s", "-j2", "-C", "tests/unit", "all"], timeout=600).expect(0)
    parts = []
    for source in sorted(glob.glob(f"{ROOT}/tests/unit/test_*.c")):
        name = os.path.basename(source)[:-2]
        if name not in (programs_of("unit") or {name}):
            continue
        start = time.monotonic()
        r = call([f"build/host/unit/{name}"], timeout=600)
        good = len(re.findall(rb"(?m)^ok ", r.out))
        bad = r.status != 0 or not good or re.search(rb"(?m)^not ok ", r.out)
        text = f"{good} tests"
        if bad:
            text = f"status {r.status}\n" + (r.out + r.err)[-4000:].decode(errors="replace")
        parts.append(Part(f"unit/{name}", "FAIL" if bad else "ok", time.monotonic() - start, text))
    return parts

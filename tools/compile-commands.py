#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn what `make -nwB V=1` would run into compile_commands.json, for clangd."""

import json
import os
import re
import shlex
import sys

commands = []
for line in sys.stdin:
    found = re.search(r"(?:^|\s)-c\s+(\S+\.[cS])(?:\s|$)", line) or re.search(r"\s(\S+\.[cS])\s.*\s-c\s", line)
    if found and re.match(r"\S*(gcc|clang|cc)\s", line):
        arguments = shlex.split(line)
        commands.append({"directory": os.getcwd(), "file": found.group(1), "arguments": arguments})
json.dump(commands, sys.stdout, indent=1)
print()

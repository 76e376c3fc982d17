#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""list_sources.py SRC ROOM...: the C files of the rooms, for targets that are compiled with coverage."""
import os
import sys

for room in sys.argv[2:]:
    for top, _, files in sorted(os.walk(os.path.join(sys.argv[1], room))):
        for name in sorted(files):
            # the installed library's face is no business of a fuzzer
            if name.endswith(".c") and name != "api.c":
                print(os.path.join(top, name))

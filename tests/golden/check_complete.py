#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""check_complete.py SPEC_DIR TEST.c...: every constant that the headers of SPEC_DIR define is pinned by a test."""
import os
import re
import sys


def constants(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    names = re.findall(r"^[ \t]*#[ \t]*define[ \t]+([A-Z]\w*)[ \t]+\S", text, re.M)
    for body in re.findall(r"enum\s*\w*\s*\{(.*?)\}", text, re.S):
        names += re.findall(r"\b([A-Z]\w*)\s*=", body)
    return names


def main(argv):
    tests = "".join(open(p, encoding="utf-8").read() for p in argv[2:])
    pinned = set(re.findall(r"\b[GN]\((\w+),", tests))
    missing, total = [], 0
    for name in sorted(os.listdir(argv[1])):
        if name.endswith(".h"):
            with open(os.path.join(argv[1], name), encoding="utf-8") as f:
                for c in constants(f.read()):
                    total += 1
                    if c not in pinned:
                        missing.append("%s/%s: %s is pinned by no golden row" % (argv[1], name, c))
    print("\n".join(missing) if missing else "%d constants, all pinned" % total)
    return 1 if missing or total < 100 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

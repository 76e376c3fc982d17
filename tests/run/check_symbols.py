#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""check_symbols.py LIBRARY MAP: what the preload library shows to a program and wants from it.

It is loaded into strangers. Exports: exactly the names of the map, without versions. Imports: libc's
(and ld.so's) only, none newer than the glibc that we build for, and no other library at all.
"""
import re
import subprocess
import sys

OLDEST = (2, 36)  # Debian 12
WEAK = {"_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__gmon_start__"}


def run(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout


def main():
    library, version_map = sys.argv[1:3]
    bad = []
    text = re.sub(r"/\*.*?\*/", "", open(version_map).read(), flags=re.S)
    mapped = re.findall(r"^\s*(\w+);", text, re.M)
    if mapped != sorted(set(mapped)):
        bad.append("%s: names are not in order, or twice" % version_map)
    shown = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    bad += ["in the map but not defined: " + n for n in sorted(set(mapped) - shown)]
    bad += ["defined but not in the map: " + n for n in sorted(shown - set(mapped))]
    for line in run("nm", "-D", "--undefined-only", library).splitlines():
        name = line.split()[-1]
        m = re.fullmatch(r"(\w+)@(\w+?)_([0-9.]+)", name)
        if m is None:
            if name not in WEAK:
                bad.append("wants %s of no library in particular" % name)
        elif m.group(2) != "GLIBC":
            bad.append("wants %s, which is not libc's" % name)
        elif tuple(int(n) for n in m.group(3).split(".")) > OLDEST:
            bad.append("wants %s: too new" % name)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", library))
    bad += ["needs %s" % n for n in needed if n not in ("libc.so.6", "ld-linux-x86-64.so.2")]
    if "STATIC_TLS" not in run("readelf", "-d", library):
        bad.append("thread-local storage is not static: its first use in a thread would allocate")
    print("\n".join(bad) or "%d names, all of the map" % len(mapped))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""run_case.py LIBRARY MKRUN PROG CASE: one case of prog under the preload library, in a run directory of its own."""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

library, mkrun, prog, case = sys.argv[1:5]
# ld.so takes a path with a slash as it is.
library = os.path.abspath(library)


def real_devices():
    """How many PCI devices the machine itself shows that the tree does not hide."""
    base = "/sys/bus/pci/devices"
    names = os.listdir(base) if os.path.isdir(base) else []
    return len([n for n in names if n not in ("0000:01:00.0", "0000:02:00.0")])


def main():
    with tempfile.TemporaryDirectory(prefix="nestbox-run-") as base:
        # A long name: a socket address holds 108 bytes.
        run = os.path.join(base, "d" * (150 if case != "control" else 1))
        os.mkdir(run, 0o700)
        subprocess.run([mkrun, run], check=True)
        block = os.path.getsize(os.path.join(run, "counters"))
        env = dict(os.environ, NESTBOX_RUN=run, LD_PRELOAD=library, NESTBOX_LOG="run.*",
                   PROG_REAL_DEVICES=str(real_devices()))
        done = subprocess.run([prog, case], env=env, timeout=60, capture_output=True, text=True)
        sys.stderr.write(done.stdout + done.stderr)
        if done.returncode:
            return done.returncode if done.returncode > 0 else 1
        if case == "counters":
            return check_counters(run, done.stderr, block)
        if case == "two-users" and not re.search(r"^nestbox: descriptor \d+ \(/dev/iommu\)", done.stderr, re.M):
            print("no message about the refusal")
            return 1
        if case == "sandbox-before" and "run.no-control" not in done.stderr:
            print("no event about the missing socket")
            return 1
        if case == "sandbox-after" and "run.no-control" in done.stderr:
            print("no socket although the name can be bound")
            return 1
    return 0


def check_counters(run, log, block):
    """The sum over the blocks of all processes; the event's place in a block is found by looking for it."""
    data = open(os.path.join(run, "counters"), "rb").read()
    # A block's slots are one process's: two processes, two blocks, neither of them empty.
    if len(data) != 2 * block or not any(data[:block]) or not any(data[block:]):
        print("counters: not two blocks in use, %d bytes" % len(data))
        return 1
    words = struct.unpack("<%dQ" % (len(data) // 8), data)
    opens = log.count("nestbox: run.open ")
    if opens != 3 or sum(words) != 3 + log.count("nestbox: run.close "):
        print("counters: %d words not zero, sum %d, %d opens logged" %
              (sum(1 for w in words if w), sum(words), opens))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

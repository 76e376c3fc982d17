#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The rules of the house that a compiler does not check.

Reads every file of the tree and prints one line per violation:
  - who may include whom: the graph below is docs/design.md's, a room a row;
  - vendor words stay out of base, mem and host;
  - no file of ours is longer than 800 lines;
  - every source file says its licence in its first lines;
  - no host name of a package registry stands anywhere: where packages come from is the
    machine's business (sources.list, pip.conf), not the tree's.

`check_tree.py ROOT` checks; `check_tree.py --self-test` proves that each rule can fail.
"""
import os
import re
import subprocess
import sys

ALL = {"base", "mem", "spec", "pt", "uapi", "hw", "drv", "dev", "host", "viommu", "machine"}

# room: rooms whose headers it may include, or single headers of them. Its own are always allowed.
GRAPH = {
    "base": set(),
    "mem": {"base"},
    "spec": {"base"},
    "uapi": {"base"},
    "pt": {"base", "mem"},
    "hw": {"base", "mem", "spec"},
    "drv": {"base", "mem", "spec", "pt", "uapi"},
    "dev": {"base", "mem/guard.h"},
    "host": {"base", "mem", "uapi", "drv/drv.h", "dev/dev.h"},
    "viommu": {"base", "mem", "uapi", "spec", "hw"},
    "machine": ALL | {"nestbox"},
    "run": ALL | {"nestbox"},
    # The launcher and the library that it preloads share the layout of the run directory, and only that.
    "cli": ALL | {"nestbox", "run/rundir.h"},
}

VENDOR_FREE = {"base", "mem", "host"}
VENDOR_WORDS = {"ste", "dte", "gcr3", "vtd", "smmu", "smmuv3", "amd", "amdvi", "intel"}
# Linux's own names of its wire format.
UAPI_NAME = re.compile(r"^(IOMMU|iommu|VFIO|vfio)_")

MAX_LINES = 800
SPDX = "SPDX-License-Identifier: BSD-3-Clause"

# In two pieces, so that this file passes its own rule.
REGISTRIES = [a + "." + b for a, b in (
    ("debian", "org"), ("ubuntu", "com"), ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"),
    ("pypi", "org"), ("pythonhosted", "org"), ("crates", "io"), ("rubygems", "org"),
    ("proxy.golang", "org"), ("maven", "org"), ("docker", "io"), ("ghcr", "io"), ("quay", "io"),
    ("fedoraproject", "org"), ("alpinelinux", "org"), ("archlinux", "org"),
)]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
IDENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CODE = (".c", ".h", ".S", ".py", ".sh")


def line_of(text, pos):
    return text.count("\n", 0, pos) + 1


def room_of(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None


def includes(path, text):
    room = room_of(path)
    if room is None or not path.endswith((".c", ".h", ".S")):
        return
    if room not in GRAPH:
        yield 1, "src/%s is no room that the graph knows" % room
        return
    for m in INCLUDE.finditer(text):
        kind, name = m.groups()
        other = name.split("/")[0]
        if kind == "<":
            if other in GRAPH or other == "nestbox":
                yield line_of(text, m.start()), "our own header %s is included with <>" % name
            continue
        if "/" not in name or ".." in name.split("/"):
            yield line_of(text, m.start()), 'include "%s" by its path from src/' % name
        elif other != room and other not in GRAPH[room] and name not in GRAPH[room]:
            yield line_of(text, m.start()), "%s may not include %s" % (room, name)


def vendor_words(path, text):
    if room_of(path) not in VENDOR_FREE:
        return
    for m in IDENT.finditer(text):
        name = m.group()
        if UAPI_NAME.match(name):
            continue
        for word in name.lower().split("_"):
            if word in VENDOR_WORDS:
                yield line_of(text, m.start()), "vendor word '%s' in '%s'" % (word, name)


def length(path, text):
    n = text.count("\n")
    if path.endswith(CODE) and n > MAX_LINES:
        yield n, "%d lines: look for the second subject (at most %d)" % (n, MAX_LINES)


def licence(path, text):
    # What a fuzzer made may begin like anything.
    script = text.startswith("#!") and not path.startswith((".git", "fuzz/corpus/", "fuzz/regress/"))
    if not (path.endswith(CODE) or os.path.basename(path) == "meson.build" or script):
        return
    if SPDX not in "\n".join(text.split("\n", 3)[:3]):
        yield 1, "the first lines lack '%s'" % SPDX


def registries(path, text):
    low = text.lower()
    for host in REGISTRIES:
        pos = low.find(host)
        if pos >= 0:
            yield line_of(text, pos), "host name of a registry: %s" % host


RULES = (includes, vendor_words, length, licence, registries)


def check_text(path, text):
    return ["%s:%d: %s" % (path, line, what) for rule in RULES for line, what in rule(path, text)]


def files_of(root):
    """What git knows or would know; without git, everything that is not a build directory."""
    try:
        out = subprocess.run(["git", "-C", root, "ls-files", "-z", "-co", "--exclude-standard"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        names = [n for n in os.fsdecode(out).split("\0") if n]
        if names:
            return sorted(set(names))
    except (OSError, subprocess.CalledProcessError):
        pass
    names = []
    for top, dirs, files in os.walk(root):
        dirs[:] = [d for d in dirs if not d.startswith(".git") and d != "__pycache__" and
                   not (top == root and d.split("-")[0] == "build")]
        names += [os.path.relpath(os.path.join(top, f), root) for f in files]
    return sorted(names)


def check_tree(root):
    errors, seen = [], 0
    for name in files_of(root):
        full = os.path.join(root, name)
        if os.path.islink(full) or not os.path.isfile(full):
            continue
        with open(full, "rb") as f:
            raw = f.read()
        if b"\0" in raw:
            continue
        seen += room_of(name) is not None
        errors += check_text(name, raw.decode("utf-8", "replace"))
    if seen == 0:
        errors.append("%s: no source file found" % root)
    return errors


HEAD = "/* " + SPDX + " */\n"
# path, text, number of violations
SELF_TEST = (
    ("fuzz/corpus/fuzz_yaml/0a", "#!Two", 0),
    ("scripts/a", "#!/bin/sh\n", 1),
    ("src/hw/vtd/a.c", HEAD + '#include "spec/vtd/regs.h"\n#include "mem/mem.h"\n#include <stdio.h>\n', 0),
    ("src/hw/vtd/a.c", HEAD + '#include "pt/pt.h"\n', 1),
    ("src/hw/vtd/a.c", HEAD + '  #  include "drv/drv.h"\n#include "host/host.h"\n', 2),
    ("src/drv/vtd/a.c", HEAD + '#include "uapi/iommufd.h"\n#include "pt/pt.h"\n', 0),
    ("src/drv/vtd/a.c", HEAD + '#include "hw/hw.h"\n', 1),
    ("src/mem/a.c", HEAD + '#include "pt/pt.h"\n', 1),
    ("src/pt/a.c", HEAD + '#include "spec/vtd/pte.h"\n', 1),
    ("src/dev/a.c", HEAD + '#include "mem/guard.h"\n', 0),
    ("src/dev/a.c", HEAD + '#include "mem/mem.h"\n', 1),
    ("src/host/a.c", HEAD + '#include "drv/drv.h"\n#include "dev/dev.h"\n#include "uapi/vfio.h"\n', 0),
    ("src/host/a.c", HEAD + '#include "dev/nvme.h"\n', 1),
    ("src/machine/a.c", HEAD + '#include "run/run.h"\n', 1),
    ("src/cli/a.c", HEAD + '#include "run/run.h"\n', 1),
    ("src/cli/a.c", HEAD + '#include "run/rundir.h"\n', 0),
    ("src/base/a.c", HEAD + '#include "alloc.h"\n', 1),
    ("src/base/a.c", HEAD + '#include <mem/mem.h>\n', 1),
    ("src/attic/a.c", HEAD, 1),
    ("src/host/b.c", HEAD + "int step, rest, armed; /* IOMMU_HWPT_DATA_VTD_S1 struct iommu_hw_info_vtd */\n", 0),
    ("src/host/b.c", HEAD + "int nb_vtd_x;\n", 1),
    ("src/host/b.c", HEAD + "/* the DTE */ int gcr3;\n", 2),
    ("src/drv/vtd/b.c", HEAD + "int vtd;\n", 0),
    ("src/base/c.c", HEAD + "\n" * 799, 0),
    ("src/base/c.c", HEAD + "\n" * 800, 1),
    ("tests/unit/d.c", "int x;\n", 1),
    ("scripts/e", "#!/bin/sh\necho\n", 1),
    ("scripts/e", "#!/bin/sh\n# " + SPDX + "\n", 0),
    ("README.md", "text\n", 0),
    ("README.md", "from https://" + REGISTRIES[0] + "/x\n", 1),
)


def self_test():
    bad = 0
    for path, text, want in SELF_TEST:
        got = check_text(path, text)
        if len(got) != want:
            print("self-test: %s %r: want %d violations, got %r" % (path, text[-60:], want, got))
            bad += 1
    return bad


def main(argv):
    if argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    if len(argv) != 2:
        print(__doc__)
        return 2
    errors = check_tree(argv[1])
    for e in errors:
        print(e)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

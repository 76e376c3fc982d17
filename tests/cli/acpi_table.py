# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of nestbox host acpi share: making a table, and having iasl read it."""
import os
import re
import shutil
import subprocess

from clitest import CliTest


class AcpiTest(CliTest):
    def make(self, name, text=None):
        path = os.path.join(self.dir, "table.aml")
        if text:
            name = self.file(name, text)
        got = self.nestbox("host", "acpi", name, "-o", path)
        self.assertEqual((got.returncode, got.stdout, got.stderr), (0, "", ""))
        with open(path, "rb") as f:
            return f.read()

    def blocks(self, table, starts, unknown):
        """
        Blocks of (field, value) as iasl prints them, the header first; a field of `starts` begins a block. It must find nothing to
        complain about. `unknown`: its words for what is younger than the iasl of 2020, and stands last in our tables for that.
        """
        if not shutil.which("iasl"):
            self.skipTest("iasl (acpica-tools) is not installed")
        path = self.file("t.aml", table)
        got = subprocess.run(["iasl", "-d", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.dir,
                             env=self.env, check=False)
        self.assertEqual(got.returncode, 0, got.stdout)
        self.assertIn("valid ACPI table", got.stdout)
        with open(os.path.join(self.dir, "t.dsl"), encoding="utf-8") as f:
            text, _, rest = f.read().partition(unknown)
        for word in ("ncorrect", "rror", "arning", "nvalid", "Unknown " + table[:4].decode()):
            self.assertNotIn(word, text + got.stdout + rest.replace(unknown, ""))
        blocks = [[]]
        for m in re.finditer(r"(?m)^\[[0-9A-F]+h [0-9 A-Fh]+\] +([^:]+?)(?: \(decoded below\))? : (.*?)(?: +\[.*\])?$", text):
            field, value = m.groups()
            if field in starts:
                blocks.append([])
            blocks[-1].append((field, value.strip().strip('"')))
        return [dict(b) for b in blocks]

# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the command line share: a nestbox, a directory of its own, and that nothing is left behind."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

NESTBOX = None
BUILD = None
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


class CliTest(unittest.TestCase):
    """Each test has self.dir for its files and a TMPDIR that must be empty at its end."""

    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="nbcli-")
        self.tmp = os.path.join(self.dir, "tmp")
        os.mkdir(self.tmp)
        self.env = dict(os.environ, TMPDIR=self.tmp, LC_ALL="C")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def tearDown(self):
        self.assertEqual(os.listdir(self.tmp), [], "something was left in TMPDIR")

    def nestbox(self, *args, **kw):
        kw.setdefault("timeout", 60)
        kw.setdefault("stdin", subprocess.DEVNULL)
        env = dict(self.env, **kw.pop("env", {}))
        return subprocess.run([NESTBOX, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
                              errors="replace", check=False, **kw)

    def refused(self, got, status, *words):
        """One sentence on stderr that says these words, this exit status, nothing on stdout."""
        self.assertEqual(got.returncode, status, got.stderr)
        self.assertEqual(got.stdout, "")
        self.assertTrue(got.stderr.startswith("nestbox: "), got.stderr)
        self.assertEqual(got.stderr.count("\n"), 1, got.stderr)
        for w in words:
            self.assertIn(w, got.stderr)

    def file(self, name, content, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path


def main():
    """test_x.py NESTBOX BUILD [unittest arguments]"""
    global NESTBOX, BUILD
    NESTBOX, BUILD = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    del sys.argv[1:3]
    # The tests' own names live in the module that was started.
    unittest.main(module="__main__", verbosity=1)

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nestbox translate: its files, its lines, and every way to be wrong."""
import json
import os
import subprocess

import clitest
from translate_image import RW, SS, Image, TranslateTest


class TranslateFiles(TranslateTest):
    # ---- the command ----

    def simple(self):
        im = Image()
        t = im.page()
        im.scalable(0, SS, ss=t)
        im.map(t, 0x1000, 0x5000 | RW)
        return self.config(im)

    LINE = '{ "id": 7, "rid": 0, "pasid": null, "addr": "0x1234", "op": "read", "priv": false }'
    ANSWER = '{ "id": 7, "ok": true, "pa": "0x5234", "lg2": 12, "perm": "rw" }'

    def test_files_and_pipes(self):
        config = self.simple()
        requests = self.file("requests", self.LINE + "\n" + self.LINE)
        results = os.path.join(self.dir, "results")
        want = (self.ANSWER + "\n") * 2
        for args in (["--requests", requests, "--results", results], ["--requests=" + requests, "--results=" + results]):
            self.file("results", "x" * 1000)
            got = self.raw(config, "", *args)
            self.assertEqual((got.returncode, got.stdout, got.stderr), (0, b"", b""))
            with open(results, encoding="ascii") as f:
                self.assertEqual(f.read(), want)
        self.assertEqual(self.raw(config, self.LINE + "\n").stdout.decode(), self.ANSWER + "\n")
        self.assertEqual(self.raw(config, self.LINE, "--requests", "-", "--results", "-").stdout.decode(), self.ANSWER + "\n")
        self.assertEqual(self.raw(config, "").stdout, b"")
        self.assertEqual(self.raw(config, "x", "--requests", requests).stdout.decode(), want)

    def test_asks_and_listens_in_turns(self):
        with subprocess.Popen([clitest.NESTBOX, "translate", "--model", "vtd", "--config", self.simple()], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env=self.env, text=True) as p:
            for _ in range(3):
                p.stdin.write(self.LINE + "\n")
                p.stdin.flush()
                self.assertEqual(p.stdout.readline(), self.ANSWER + "\n")
            p.stdin.close()
            self.assertEqual(p.wait(30), 0)

    def test_order_and_form_of_keys(self):
        config = self.simple()
        for line in ('{"op":"read","addr":"0x1234","rid":0,"id":7}',
                     ' \t{ "\\u0069d" : 7 ,"priv":false, "pasid":null,"op":"re\\u0061d", "rid": 0,"addr":"0X0000000000000000001234"}\r',
                     '{"id":7,"rid":0,"addr":"0x1234","op":"exec"}'):
            got = self.raw(config, line + "\n").stdout.decode()
            self.assertEqual(got, self.ANSWER + "\n", line)
        for ident in ("-1", "18446744073709551616", "1.5e3", '"a\\u00e9\\"b"', '"\u00e9\U0001f600"', "null", "true"):
            got = self.raw(config, self.LINE.replace("7", ident)).stdout.decode()
            self.assertEqual(got, self.ANSWER.replace("7", ident) + "\n")
            self.assertEqual(json.loads(got)["id"], json.loads(ident))
        got = self.raw(config, self.LINE.replace('"id": 7, ', "")).stdout.decode()
        self.assertEqual(got, self.ANSWER.replace("7", "null") + "\n")

    BAD_LINES = [
        # line, id, words
        ("", None, "object"),
        ("   ", None, "object"),
        ("7", None, "object"),
        ("[]", None, "object"),
        ("null", None, "object"),
        ("{}", None, "rid is missing"),
        ('{"id": 5}', 5, "rid is missing"),
        ('{"id": 5, "rid": 0, "op": "read"}', 5, "addr is missing"),
        ('{"id": 5, "rid": 0, "addr": "0x1"}', 5, "op is missing"),
        ('{"id": 5, "rid": 0, "addr": "0x1", "op": "read"', 5, "not a JSON object: at byte 48"),
        ('{"id": 5, "rid": 0, "addr": "0x1", "op": "read"} x', 5, "more behind"),
        ('{"id": 5, "rid": 0, "addr": "0x1", "op": "read"}{}', 5, "more behind"),
        ('{"id": 5, "rid": 0, "addr": "0x1", "op": "read",}', 5, "not a JSON object"),
        ('{"id": 5 "rid": 0}', 5, "not a JSON object"),
        ("{'id': 5}", None, "not a JSON object"),
        ('{"id": 05}', None, "not a JSON object"),
        ('{"id": +5}', None, "not a JSON object"),
        ('{"id": 5.}', None, "not a JSON object"),
        ('{"id": 5e}', None, "not a JSON object"),
        ('{"id": .5}', None, "not a JSON object"),
        ('{"id": NaN}', None, "not a JSON object"),
        ('{"id": tru}', None, "not a JSON object"),
        ('{"id": "a', None, "not a JSON object"),
        ('{"id": "a\\x"}', None, "not a JSON object"),
        ('{"id": "a\\ud800"}', None, "surrogate"),
        ('{"id": "a\\u0000"}', None, "NUL"),
        ('{"id": "a\tb"}', None, "control character"),
        ('{"id": [1], "rid": 0}', None, "id is neither"),
        ('{"id": {"a": [true]}, "rid": 0}', None, "id is neither"),
        ('{"id": %s}' % ("1" * 1025), None, "id is longer"),
        ('{"rid": 65536, "id": 5}', 5, "rid"),
        ('{"rid": -1, "id": 5}', 5, "rid"),
        ('{"rid": 1.0, "id": 5}', 5, "rid"),
        ('{"rid": "0x1", "id": 5}', 5, "rid"),
        ('{"rid": null, "id": 5}', 5, "rid"),
        ('{"rid": 18446744073709551616, "id": 5}', 5, "rid"),
        ('{"rid": [[[[1]]]], "id": 5}', 5, "rid"),
        ('{"pasid": 1048576, "id": 5}', 5, "pasid"),
        ('{"pasid": "1", "id": 5}', 5, "pasid"),
        ('{"pasid": false, "id": 5}', 5, "pasid"),
        ('{"addr": 4096, "id": 5}', 5, "addr"),
        ('{"addr": "1000", "id": 5}', 5, "addr"),
        ('{"addr": "0x", "id": 5}', 5, "addr"),
        ('{"addr": "0x1g", "id": 5}', 5, "addr"),
        ('{"addr": "0x10000000000000000", "id": 5}', 5, "addr"),
        ('{"addr": " 0x1", "id": 5}', 5, "addr"),
        ('{"addr": "", "id": 5}', 5, "addr"),
        ('{"op": "fetch", "id": 5}', 5, "op is none"),
        ('{"op": "READ", "id": 5}', 5, "op is none"),
        ('{"op": 1, "id": 5}', 5, "op is none"),
        ('{"priv": 1, "id": 5}', 5, "priv"),
        ('{"priv": "true", "id": 5}', 5, "priv"),
        ('{"id": 5, "iova": "0x1"}', 5, "no key iova"),
        ('{"id": 5, "a\\"\\\\\\u00e9": 1}', 5, "no key a????"),
        ('{"id": 5, "%s": 1}' % ("k" * 100), 5, "no key kkk"),
        ('{"id": 5, "id": 6}', 5, "id is given twice"),
        ('{"id": 5, "rid": 0, "rid": 0, "addr": "0x1", "op": "read"}', 5, "rid is given twice"),
        ('{"flush": false}', None, "flush is not true"),
        ('{"flush": 1}', None, "flush is not true"),
        ('{"flush": true, "id": 5}', 5, "flush stands alone"),
        ('{"flush": true, "rid": 0, "addr": "0x1", "op": "read", "id": 5}', 5, "flush stands alone"),
        ('{"a": ' + "[" * 1000, None, "nested too deeply"),
        ('{"a": ' + '{"a":' * 20000 + "1" + "}" * 20000 + "}", None, "65536"),
        ('{"a": ' + "[" * 32 + "]" * 32 + ', "id": 5}', 5, "no key a"),
    ]

    def test_malformed_lines(self):
        config = self.simple()
        for line, ident, words in self.BAD_LINES:
            with self.subTest(line=line[:80]):
                got = self.raw(config, self.LINE + "\n" + line + "\n" + self.LINE + "\n")
                self.assertEqual((got.returncode, got.stderr), (0, b""))
                lines = got.stdout.decode().split("\n")
                self.assertEqual((len(lines), lines[0], lines[2]), (4, self.ANSWER, self.ANSWER))
                bad = json.loads(lines[1])
                self.assertEqual(sorted(bad), ["error", "id"])
                self.assertEqual(bad["id"], ident)
                self.assertIn(words, bad["error"])

    def test_bytes_that_are_no_text(self):
        config = self.simple()
        line = self.LINE.encode()
        for raw in (b"\0", line + b"\0", line[:5] + b"\0" + line[5:], line.replace(b"read", b"re\0d"), line.replace(b"7", b'"\xff"'),
                    line.replace(b"7", b'"\xc0\x80"'), line.replace(b"7", b'"\xed\xa0\x80"'), line.replace(b"7", b'"\xf4\x90\x80\x80"'),
                    line.replace(b"7", b'"\xe2\x82"'), b"\xef\xbb\xbf" + line, os.urandom(500).replace(b"\n", b"")):
            got = self.raw(config, raw + b"\n" + line + b"\n")
            self.assertEqual(got.returncode, 0)
            first, second, rest = got.stdout.decode("ascii").split("\n")
            self.assertIn("error", json.loads(first), raw)
            self.assertEqual((second, rest), (self.ANSWER, ""))

    def test_long_lines(self):
        config = self.simple()
        for size in (65535, 65536, 65537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20):
            line = self.LINE.replace("{", "{" + " " * (size - len(self.LINE)), 1)
            self.assertEqual(len(line), size)
            for text in (line, line + "\n", line + "\n" + self.LINE, self.LINE + "\n" + line + "\n" + self.LINE + "\n"):
                got = self.raw(config, text).stdout.decode().splitlines()
                want = [self.ANSWER if len(x) <= 65536 else None for x in text.splitlines()]
                self.assertEqual(len(got), len(want))
                for g, w in zip(got, want):
                    if w:
                        self.assertEqual(g, w)
                    else:
                        self.assertIn("longer than 65536", json.loads(g)["error"])

    def test_many_lines_in_pieces(self):
        """Lines across every border of the buffers."""
        config = self.simple()
        n = 40000
        lines = "".join(self.LINE.replace("7", str(i)) + "\n" for i in range(n))
        got = self.raw(config, lines).stdout.decode().splitlines()
        self.assertEqual(got, [self.ANSWER.replace("7", str(i), 1) for i in range(n)])

    def bad_config(self, text, *words, line=None):
        path = self.file("bad.json", text)
        got = self.nestbox("translate", "--model", "vtd", "--config", path)
        self.refused(got, 1, *words)
        if line is not None:
            self.assertTrue(got.stderr.startswith("nestbox: %s:%d: " % (path, line)), got.stderr)
        return got

    GOOD = """\
{
  "memory": [
    { "base": "0x0", "file": "mem.bin" },
    { "base": "0x100000", "file": "mem.bin" }
  ],
  "registers": {
    "RTADDR": "0x0"
  },
  "caps": { "CAP":
     "0xd2008c40660462" }
}
"""
    BAD_CONFIGS = [
        # what is replaced in GOOD, by what, line, words
        ('"0x0", "file"', '"0", "file"', 3, ["memory[0].base", "hexadecimal", '"0"']),
        ('"0x0", "file"', '0, "file"', 3, ["memory[0].base", "hexadecimal"]),
        ('"0x0", "file"', '"0x0", "name"', 3, ["memory[0]", '"name"', "base, file"]),
        ('"base": "0x0", ', "", 3, ["memory[0]", 'no "base"']),
        (', "file": "mem.bin" }\n  ]', " }\n  ]", 4, ["memory[1]", 'no "file"']),
        ('"file": "mem.bin" }\n  ]', '"file": "" }\n  ]', 4, ["memory[1].file"]),
        ('"file": "mem.bin" }\n  ]', '"file": 1 }\n  ]', 4, ["memory[1].file"]),
        ('"file": "mem.bin" }\n  ]', '"file": "nosuch.bin" }\n  ]', 4, ["memory[1]", "nosuch.bin", "No such file"]),
        ('"file": "mem.bin" }\n  ]', '"file": "empty.bin" }\n  ]', 4, ["memory[1]", "empty"]),
        ('"file": "mem.bin" }\n  ]', '"file": "/dev/zero" }\n  ]', 4, ["memory[1]", "regular file"]),
        ('"file": "mem.bin" }\n  ]', '"file": "." }\n  ]', 4, ["memory[1]", "regular file"]),
        ('"file": "mem.bin" }\n  ]', '"file": "fifo" }\n  ]', 4, ["memory[1]", "regular file"]),
        ('"base": "0x100000", "file": "mem.bin"', '"base": "0x100000", "file": "mem.bin", "base": "0x1"', 4, ["twice"]),
        ('"0x100000"', '"0x1000"', 4, ["memory[1]", "overlaps"]),
        ('"0x100000"', '"0x0"', 4, ["memory[1]", "overlaps"]),
        ('"0x100000"', '"0xfffffffffffff000"', 4, ["memory[1]", "2^64"]),
        ('"0x100000"', '"0xffffffffffffffff"', 4, ["memory[1]", "2^64"]),
        ('"0x100000"', '"0x10000000000000000"', 4, ["memory[1].base", "64 bits"]),
        ("{ \"base\": \"0x0\", \"file\": \"mem.bin\" },", "7,", 3, ["memory[0]", "object"]),
        ('"memory": [', '"memory": {', 2, ["memory", "array"]),
        ('"memory": [', '"memory" [', 2, ['":"']),
        ('"memory"', '"mem"', 2, ['"mem"', "known: memory, registers, caps"]),
        ('"RTADDR"', '"RTADR"', 7, ["RTADR", "known: RTADDR"]),
        ('"RTADDR": "0x0"', "", 6, ["RTADDR is missing"]),
        ('"RTADDR": "0x0"', '"RTADDR": "0x0", "RTADDR": "0x0"', 7, ["RTADDR is given twice"]),
        ('"RTADDR": "0x0"', '"RTADDR": 0', 7, ["registers.RTADDR", "hexadecimal"]),
        ('"RTADDR": "0x0"', '"RTADDR": "0xg"', 7, ["registers.RTADDR", '"0xg"']),
        ('"RTADDR": "0x0"', '"RTADDR": "0x0",', 8, ["string"]),
        ('"CAP"', '"EFR"', 9, ["EFR", "known: CAP, ECAP"]),
        ('"0xd2008c40660462"', '"0x0"', 9, ["caps", "guest address width"]),
        ('"0xd2008c40660462"', "null", 10, ["caps.CAP"]),
        ('"caps": {', '"caps": null, "x": {', 9, ["caps", "object"]),
        ('" }\n}', '" }\n}\n{}', 12, ["more behind"]),
        ('" }\n}', '" }', 11, ["does not end"]),
        ('"registers"', "'registers'", 6, ["string"]),
        ('"registers"', "// a comment\n\"registers\"", 6, ["string"]),
        ('"registers": {', '"registers": [', 6, ["registers", "object"]),
        ('{\n  "memory"', '[\n  "memory"', 1, ["object"]),
        ('  "caps"', '  "memory": [],\n "caps"', 9, ["memory is given twice"]),
        ('"0x0", "file": "mem.bin"', '"0x0", "file": "mem\\u0000.bin"', 3, ["NUL"]),
        ('"0x0", "file": "mem.bin"', '"0x0", "file": "mem\0.bin"', 3, ["NUL"]),
        ('"0x0", "file": "mem.bin"', '"0x0", "file": "%s"' % ("f" * 5000), 3, ["No such file", "memory[0]"]),
    ]

    def test_malformed_configurations(self):
        self.file("mem.bin", b"\0" * 8192)
        self.file("empty.bin", b"")
        os.mkfifo(os.path.join(self.dir, "fifo"))
        got = self.nestbox("translate", "--model", "vtd", "--config", self.file("good.json", self.GOOD))
        self.assertEqual((got.returncode, got.stdout, got.stderr), (0, "", ""))
        for old, new, line, words in self.BAD_CONFIGS:
            with self.subTest(new=new[:80]):
                self.assertIn(old, self.GOOD)
                if len(new) > 4000:
                    words = ["memory[0]"]
                self.bad_config(self.GOOD.replace(old, new, 1), *words, line=line)

    def test_hostile_configurations(self):
        self.bad_config("", line=1)
        self.bad_config("[" * 1000000, line=1)
        self.bad_config('{"memory":' + "[" * 1000000, "memory[0]", line=1)
        self.bad_config('{"a":' * 100000, '"a"', line=1)
        self.bad_config("\0" * 100, line=1)
        self.bad_config(b"\x7fELF\xff\xfe" * 100, line=1)
        self.bad_config(" " * (5 << 20), "4 MiB")
        many = ",".join('{"base":"%s","file":"mem.bin"}' % hex(i << 13) for i in range(4097))
        self.file("mem.bin", b"\0" * 8192)
        self.bad_config('{"registers":{"RTADDR":"0x0"},"memory":[%s]}' % many, "memory[4096]", "4096", line=1)
        regs = ",".join('"R%d":"0x0"' % i for i in range(1000))
        self.bad_config('{"registers":{%s},"memory":[]}' % regs, "registers", line=1)
        name = lambda *a: self.nestbox("translate", "--model", "vtd", "--config", *a)
        self.refused(name(os.path.join(self.dir, "none")), 1, "No such file")
        self.refused(name(self.dir), 1, "directory")
        self.refused(name("/dev/zero"), 1)

    def test_largest_regions(self):
        """4096 of them; and a file of many gigabytes costs nothing."""
        config = self.simple()
        os.truncate(os.path.join(self.dir, "mem.bin"), 1 << 36)
        self.assertEqual(self.raw(config, self.LINE).stdout.decode(), self.ANSWER + "\n")
        self.file("page", b"\0" * 4096)
        memory = [{"base": hex(i << 12), "file": "page"} for i in range(4096)]
        c = {"memory": memory, "registers": {"RTADDR": "0x0"}}
        self.fault(self.ask(self.file("c.json", json.dumps(c)), {"addr": 0x1000})[0], 0x01, None)
        c["memory"] = [{"base": "0xffffffffffff0000", "file": "page"}]
        c["registers"] = {"RTADDR": "0xffffffffffff0000"}
        self.assertFalse(self.ask(self.file("c.json", json.dumps(c)), {"addr": 0x1000})[0]["ok"])

    def test_image_out_refusals(self):
        config = self.simple()
        for name in ("a", "b"):
            os.mkdir(os.path.join(self.dir, name))
            self.file(name + "/mem", b"\0" * 4096)
        c = {"memory": [{"base": "0x0", "file": "a/mem"},
                        {"base": "0x1000", "file": "b/mem"}], "registers": {"RTADDR": "0x0"}}
        two = self.file("two.json", json.dumps(c, indent=1))
        self.assertEqual(self.raw(two, "").returncode, 0)
        out = os.path.join(self.dir, "out")
        got = self.nestbox("translate", "--model", "vtd", "--config", two, "--image-out", out)
        self.refused(got, 1, "memory[1]", "mem", two + ":7: ")
        self.assertFalse(os.path.exists(out))
        for bad in ("/nonexistent/dir", os.path.join(self.dir, "mem.bin"), "/dev/null"):
            got = self.nestbox("translate", "--model", "vtd", "--config", config, "--image-out", bad)
            self.refused(got, 1, bad)
        got = self.raw(config, self.LINE, "--image-out", "/proc")
        self.assertEqual((got.returncode, got.stdout.decode()), (1, self.ANSWER + "\n"))

    def test_results_do_not_overwrite(self):
        config = self.simple()
        requests = self.file("requests", self.LINE)
        for path in (requests, os.path.join(self.dir, "mem.bin")):
            with open(path, "rb") as f:
                before = f.read()
            got = self.nestbox("translate", "--model", "vtd", "--config", config, "--requests", requests, "--results", path)
            self.refused(got, 1, "overwrite", path)
            with open(path, "rb") as f:
                self.assertEqual(f.read(), before)
        got = self.nestbox("translate", "--model", "vtd", "--config", config, "--requests", requests, "--results", "/dev/full")
        self.refused(got, 1, "/dev/full", "No space")
        got = self.nestbox("translate", "--model", "vtd", "--config", config, "--requests", requests, "--results", self.dir)
        self.refused(got, 1, "directory")
        got = self.nestbox("translate", "--model", "vtd", "--config", config, "--requests", self.dir)
        self.refused(got, 1, "directory")
        got = self.nestbox("translate", "--model", "vtd", "--config", config, "--requests", "/nonexistent")
        self.refused(got, 1, "/nonexistent", "No such file")

    def test_usage(self):
        config = self.simple()
        run = lambda *a: self.nestbox("translate", *a)
        self.assertEqual(run("--help").returncode, 0)
        self.assertIn("usage:", run("--help").stdout)
        self.refused(run(), 2, "--model")
        self.refused(run("--model", "vtd"), 2, "--config")
        self.refused(run("--config", config), 2, "--model")
        self.refused(run("--model", "vtd", "--config"), 2, "--config")
        self.refused(run("--model", "vtd", "--config", config, "x"), 2, '"x"')
        self.refused(run("--model", "vtd", "--config", config, "--fast"), 2, '"--fast"')
        self.refused(run("--model", "vtd", "--model", "vtd", "--config", config), 2, "twice")
        self.refused(run("--model", "vtd", "--config", config, "--image-out", ""), 2, "folder")
        self.refused(run("--model", "amdvi", "--config", config), 1, "amdvi", "yet")
        self.refused(run("--model", "riscv", "--config", config), 2, '"riscv"')


if __name__ == "__main__":
    clitest.main()

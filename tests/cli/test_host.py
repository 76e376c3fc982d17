#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nestbox host: built-in descriptions, YAML, and errors that name file and line."""
import os
import re
import subprocess

import clitest
from clitest import CliTest, SOURCE

GOOD = """\
name: mine
title: one unit, two functions
iommus:
  - name: iommu0
    like: spr
functions:
  - address: 0000:01:00.0
    iommu: iommu0
    model: nvme
    options:
      size: 64MiB
  - address: 02:00.0
    iommu: iommu0
    model: dmatest
"""

# what is replaced in GOOD, by what, and then: line, words
BAD = [
    ("name: mine\n", "", 1, "no name"),
    ("name: mine", "name: [mine]", 1, "one plain value"),
    ("name: mine", "name: ../mine", 1, "name is letters"),
    ("name: mine", "name: " + "m" * 40, 1, "longer than"),
    ("title: one", "titel: one", 2, '"titel"'),
    ("title: one", "name: again\ntitle: one", 2, "given twice"),
    ("like: spr", "like: sprr", 5, '"sprr"'),
    ("like: spr", "vendor: intel", 5, '"intel"'),
    ("like: spr", "segment: 65536", 5, "65535"),
    ("like: spr", "segment: -1", 5, "not a number"),
    ("like: spr", "errata: [1]", 5, "erratum 1 is not known"),
    ("like: spr", "errata: 772415", 5, "list"),
    ("like: spr", "capabilities: {haw: 60}", 5, "haw is 60"),
    ("like: spr", "capabilities: {haw: 46}", 5, "haw is 46"),
    ("like: spr", "capabilities: {haw: 300}", 5, "at most 255"),
    ("like: spr", "capabilities: {mgaw: 40}", 5, "mgaw is 40"),
    ("like: spr", "capabilities: {levels: 6}", 5, "4 or 5"),
    ("like: spr", "capabilities: {domain-bits: 5}", 5, "domain-bits is 5"),
    ("like: spr", "capabilities: {pasid-bits: 21}", 5, "pasid-bits is 21"),
    ("like: spr", "capabilities: {fault-records: 0}", 5, "fault-records is 0"),
    ("like: spr", "capabilities: {scalable: maybe}", 5, '"maybe"'),
    ("like: spr", "capabilities: {scalable: false}", 5, "needs scalable mode"),
    ("like: spr", "capabilities: {first-stage: false}", 5, "needs first-stage"),
    ("like: spr", "capabilities: {second-stage: off}", 5, "needs second-stage"),
    ("like: spr", "capabilities: {warp: true}", 5, '"warp"'),
    ("like: spr", "capabilities: fast", 5, "key: value"),
    ("like: spr", "vendor: amdvi", 5, "known: vtd, smmuv3"),
    ("like: spr", "like: spr\n    vendor: smmuv3", 6, "spr, which is of vendor vtd"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {haw: 48}", 6, '"haw"'),
    ("like: spr", "vendor: smmuv3\n    errata: [772415]", 6, "known: none"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {oas: 44}", 6, "oas is 44"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {va-bits: 50}", 6, "must be 48 or 52"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {httu: both}", 6, "known: none, access, dirty"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {stall-model: 1}", 6, "known: optional, none, forced"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {iidr: 0x100000000}", 6, "at most 4294967295"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {cmdq-bits: 6}", 6, "cmdq-bits is 6"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {stage-1: false}", 6, "needs stage-1"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {stage-2: false, vmid16: false, xnx: false}", 6, "cmdqv needs"),
    ("like: spr", "vendor: smmuv3\n    capabilities:\n      ril: on\n      sid-bits: 33\n      msi: on", 8, "sid-bits is 33"),
    ("like: spr", "vendor: smmuv3\n    capabilities:\n      ril: on\n      ssid-bits: 21", 8, "ssid-bits is 21"),
    ("like: spr", "vendor: smmuv3\n    capabilities:\n      ril: on\n      stalls: 65", 8, "stalls is 65"),
    ("like: spr", "vendor: smmuv3\n    capabilities:\n      ril: on\n      evtq-bits: 20", 8, "evtq-bits is 20"),
    ("like: spr", "vendor: smmuv3\n    capabilities:\n      ril: on\n      bbml: 3", 8, "bbml is 3"),
    ("like: spr", "vendor: smmuv3\n    capabilities:\n      ril: on\n      minor: 16", 8, "minor is 16"),
    # The key that stands there, not the one that is meant by default: asid16; and with both, the first of the sentence.
    ("like: spr", "vendor: smmuv3\n    capabilities:\n      ril: on\n      stage-1: off", 8, "asid16 needs stage-1"),
    ("like: spr", "vendor: smmuv3\n    capabilities:\n      stage-1: off\n      asid16: on", 8, "asid16 needs stage-1"),
    ("like: spr", "like: spr\n    errata: [772415]\n    capabilities:\n      nested: off", 6, "erratum 772415 needs nested"),
    # A name that is that of a key is no key.
    ("like: spr\n", "like: spr\n  - name: scalable\n  - name: scalable\n    capabilities: {scalable: on}\n", 7, "two IOMMUs"),
    ("like: spr", "vendor: smmuv3\n    capabilities: {cmdqw: on}", 6, '(did you mean cmdqv?)'),
    ("like: spr", "vendor: smmuv3\n    capabilities: {stage1: on}", 6, '(did you mean stage-1?)'),
    ("like: spr", "vendor: smmuv3\n    capabilities: {stage-3: on}", 6, '(did you mean stage-1, stage-2?)'),
    ("like: spr", "vendor: smmuv3\n    capabilities: {warpdrive: on}", 6, 'are known, `nestbox host show` prints them)'),
    ("like: spr", "vendor: smmuv3\n    capabilities: {%s: on}" % ("ats" * 30), 6, "prints them)"),
    ("like: spr\n", "like: spr\n  - name: iommu1\n    vendor: smmuv3\n", 6, "of one vendor"),
    ("  - name: iommu0\n    like: spr\n", "  - like: spr\n", 4, "no name"),
    ("iommus:\n  - name: iommu0\n    like: spr\n", "iommus: none\n", 3, "list"),
    ("    like: spr\n", "  - name: iommu0\n", 5, "two IOMMUs are called iommu0"),
    ("address: 0000:01:00.0", "address: 0000:01:20.0", 7, "0000:01:20.0"),
    ("address: 0000:01:00.0", "address: 0000:01:00", 7, "0000:01:00"),
    ("address: 0000:01:00.0", "address: 0001:01:00.0", 7, "segment"),
    ("address: 02:00.0", "address: 01:00.0", 12, "two functions are at 0000:01:00.0"),
    ("  - address: 0000:01:00.0\n    iommu", "  - iommu", 7, "no address"),
    ("iommu: iommu0\n    model: nvme", "iommu: iommu1\n    model: nvme", 8, '"iommu1"'),
    ("    iommu: iommu0\n    model: nvme", "    model: nvme", 7, "no iommu"),
    ("    model: dmatest\n", "", 12, "no model"),
    ("model: dmatest", "model: floppy", 12, '"floppy"'),
    ("model: dmatest", "model: dmatest\n    group: x", 15, "not a number"),
    ("size: 64MiB", "size: lots", 7, "lots"),
    ("size: 64MiB", "color: red", 7, "color"),
    ("size: 64MiB", "size: 64MiB\n      size: 64MiB", 7, "twice"),
    ("functions:", "functions:\n  - {}", 7, "no address"),
    ("title: one", "title: [one", None, "not YAML"),
    ("title: one", "title: \"one", None, "not YAML"),
    ("title: one", "\ttitle: one", 2, "not YAML"),
    ("title: one", "title: *nobody #", 2, "not YAML"),
    ("title: one", "---\ntitle: one", 1, "no iommus"),
]


class Host(CliTest):
    def test_list(self):
        got = self.nestbox("host", "list")
        names = [line.split()[0] for line in got.stdout.splitlines()]
        self.assertEqual((got.returncode, names), (0, ["spr", "spr-fixed", "legacy", "incoherent", "grace", "smmu-basic"]))

    def test_full_disk(self):
        for args in (["host", "list"], ["host", "show", "grace"], ["demo"], ["walk", "--demo"]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                got = subprocess.run([clitest.NESTBOX, *args], stdout=full, stderr=subprocess.PIPE, text=True, env=self.env, check=False)
            self.assertEqual(got.returncode, 1, args)
            self.assertRegex(got.stderr, "^nestbox: standard output: .*\n$")

    def test_models(self):
        got = self.nestbox("host", "models")
        for model in ("nvme", "dmatest"):
            self.assertRegex(got.stdout, r"(?m)^%s\s" % model)

    def test_show_is_what_check_takes(self):
        for name in ("spr", "spr-fixed", "legacy", "incoherent", "grace", "smmu-basic"):
            shown = self.nestbox("host", "show", name)
            self.assertEqual(shown.returncode, 0, shown.stderr)
            path = self.file(name + ".yaml", shown.stdout)
            self.assertEqual(self.nestbox("host", "check", path).returncode, 0)
            self.assertEqual(self.nestbox("host", "show", path).stdout, shown.stdout)

    def test_built_ins_say_what_they_are(self):
        self.assertEqual(self.nestbox("host", "show", "spr").stdout.count("errata: [772415]"), 2)
        self.assertEqual(self.nestbox("host", "show", "spr-fixed").stdout.count("errata: []"), 2)
        self.assertEqual(self.nestbox("host", "show", "legacy").stdout.count("scalable: false"), 2)

    def test_good_file(self):
        path = self.file("mine.yaml", GOOD)
        got = self.nestbox("host", "check", path)
        self.assertEqual((got.returncode, got.stdout), (0, path + ": host mine: 1 IOMMU, 2 functions\n"))
        shown = self.nestbox("host", "show", path).stdout
        self.assertIn("address: 0000:02:00.0", shown)
        self.assertIn('size: "64MiB"', shown)
        self.assertRegex(shown, r"(?s)group: 0\n.*group: 1\n")

    def test_groups_are_filled_in(self):
        path = self.file("g.yaml", GOOD.replace("model: nvme", "model: nvme\n    group: 0"))
        self.assertRegex(self.nestbox("host", "show", path).stdout, r"(?s)group: 0\n.*group: 1\n")
        path = self.file("g.yaml", GOOD.replace("model: dmatest", "model: dmatest\n    group: 0"))
        self.assertRegex(self.nestbox("host", "show", path).stdout, r"(?s)group: 1\n.*group: 0\n")
        one = GOOD.replace("model: dmatest", "model: dmatest\n    group: 4").replace("model: nvme", "model: nvme\n    group: 4")
        self.assertEqual(self.nestbox("host", "show", self.file("g.yaml", one)).stdout.count("group: 4"), 2)

    def test_group_across_iommus(self):
        text = GOOD.replace("    like: spr\n", "    like: spr\n  - name: iommu1\n")
        text = text.replace("iommu: iommu0\n    model: dmatest", "iommu: iommu1\n    model: dmatest\n    group: 0")
        text = text.replace("model: nvme", "model: nvme\n    group: 0")
        self.refused(self.nestbox("host", "check", self.file("g.yaml", text)), 1, "g.yaml:14: ", "group 0")

    def test_like_and_capabilities_in_any_order(self):
        a = GOOD.replace("like: spr", "capabilities: {haw: 47}\n    like: spr")
        b = GOOD.replace("like: spr", "like: spr\n    capabilities: {haw: 47}")
        shown = [self.nestbox("host", "show", self.file("o.yaml", t)).stdout for t in (a, b)]
        self.assertEqual(shown[0], shown[1])
        self.assertRegex(shown[0], r"haw: 47 ")
        self.assertIn("errata: [772415]", shown[0])

    def test_smmuv3(self):
        text = GOOD.replace("like: spr", "vendor: smmuv3\n    capabilities:\n      httu: access\n      va-bits: 48\n      "
                            "iidr: 0x43b\n      stalls: 12\n      ril: off\n      cmdq-bits: 8")
        shown = self.nestbox("host", "show", self.file("s.yaml", text)).stdout
        for line in ("vendor: smmuv3", "httu: access", "va-bits: 48", "iidr: 0x43b", "stalls: 12", "ril: false", "cmdq-bits: 8",
                     "stage-2: true", "stall-model: optional", "oas: 52", "errata: []"):
            self.assertRegex(shown, r"(?m)^ +%s( +#.*)?$" % re.escape(line))
        path = self.file("t.yaml", shown)
        self.assertEqual(self.nestbox("host", "show", path).stdout, shown)
        got = self.nestbox("host", "check", path)
        self.assertEqual((got.returncode, got.stdout), (0, path + ": host mine: 1 IOMMU, 2 functions\n"))

    def test_errors_name_the_line(self):
        for old, new, line, words in BAD:
            with self.subTest(new=new):
                self.assertIn(old, GOOD)
                path = self.file("bad.yaml", GOOD.replace(old, new, 1))
                got = self.nestbox("host", "check", path)
                self.refused(got, 1, words)
                where = re.match(r"nestbox: (.*?):(\d+): ", got.stderr)
                self.assertTrue(where, got.stderr)
                self.assertEqual(where.group(1), path)
                if line is not None:
                    self.assertEqual(int(where.group(2)), line, got.stderr)

    def test_run_says_the_same(self):
        path = self.file("bad.yaml", GOOD.replace("model: dmatest", "model: floppy"))
        self.refused(self.nestbox("run", "--host", path, "--", "true"), 125, "bad.yaml:12: ", "floppy")
        self.refused(self.nestbox("run", "--host", "nosuch", "--", "true"), 125, '"nosuch"')

    def test_not_a_description(self):
        check = lambda path: self.nestbox("host", "check", path)
        self.refused(check(os.path.join(self.dir, "none.yaml")), 1, "No such file")
        self.refused(check(self.dir), 1, "directory")
        self.refused(check(self.file("e", "")), 1, "e:1: ")
        self.refused(check(self.file("e", "# nothing\n")), 1, "e:1: ")
        self.refused(check(self.file("e", b"\x7fELF\x00\x01\xff\xfe" * 9)), 1, "e:1: ")
        self.refused(check(self.file("e", GOOD + "---\n" + GOOD)), 1, "second")
        self.refused(check(self.file("e", "x" * (2 << 20))), 1, "1 MiB")
        self.refused(check(self.file("e", "- a\n")), 1, "e:1: ")
        self.refused(check("/dev/zero"), 1)

    def test_hostile_yaml(self):
        check = lambda text: self.nestbox("host", "check", self.file("h", text), timeout=20)
        self.refused(check("name: x\n" + "[" * 100000), 1, "h:2: ", "brackets")
        self.refused(check("a: " * 10000), 1)
        self.refused(check("&a [*a, *a]"), 1)
        self.refused(check("name: x\niommus: &a\n  - name: b\n    capabilities: *a\n"), 1, "key: value")
        bomb = "a: &a0 [x]\n" + "".join("a%d: &a%d [%s]\n" % (i, i, ", ".join(["*a%d" % (i - 1)] * 9)) for i in range(1, 40))
        self.refused(check(bomb), 1)
        many = "name: x\niommus:\n" + "".join("  - name: u%d\n" % i for i in range(9))
        self.refused(check(many), 1, "h:11: ", "at most 8")
        many = "name: x\niommus:\n  - name: u\nfunctions:\n" + "".join(
            "  - {address: '%02x:00.0', iommu: u, model: dmatest}\n" % i for i in range(65))
        self.refused(check(many), 1, "h:69: ", "at most 64")
        self.refused(check("name: \"a\\0b\"\n"), 1, "h:1: ")

    def test_usage(self):
        for args in ((), ("show",), ("list", "x"), ("check",), ("fly",)):
            got = self.nestbox("host", *args)
            self.assertEqual((got.returncode, got.stdout), (2, ""))
            self.assertIn("usage:", got.stderr)
        self.assertEqual(self.nestbox("host", "--help").returncode, 0)

    def test_examples(self):
        examples = os.path.join(SOURCE, "examples")
        files = [f for f in os.listdir(examples) if f.endswith(".yaml")]
        self.assertGreaterEqual(len(files), 3)
        for f in files:
            got = self.nestbox("host", "check", os.path.join(examples, f))
            self.assertEqual(got.returncode, 0, got.stderr)

    def test_manual_knows_every_key(self):
        with open(os.path.join(SOURCE, "docs", "nestbox-host.5"), encoding="utf-8") as f:
            manual = f.read().replace("\\-", "-")
        shown = self.nestbox("host", "show", "spr").stdout
        keys = set(re.findall(r"(?m)^[ -]*([a-z0-9-]+):", shown)) | {"like", "options", "title", "errata"}
        self.assertGreater(len(keys), 30)
        path = self.file("s.yaml", "name: s\niommus:\n  - name: u\n    vendor: smmuv3\n")
        smmu = set(re.findall(r"(?m)^ *([a-z0-9-]+):", self.nestbox("host", "show", path).stdout))
        self.assertGreater(len(smmu), 45)
        for key in keys | smmu:
            self.assertRegex(manual, r"(?m)^\.B.* ?%s\b" % re.escape(key), key)


if __name__ == "__main__":
    clitest.main()

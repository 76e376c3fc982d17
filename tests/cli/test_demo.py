#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nestbox demo and nestbox walk --demo: the whole stack in one process."""
import os
import re
import time

import clitest
from clitest import CliTest


class Demo(CliTest):
    def test_story(self):
        start = time.monotonic()
        got = self.nestbox("demo")
        self.assertEqual(got.returncode, 0, got.stdout + got.stderr)
        self.assertEqual(got.stderr, "")
        self.assertNotIn("WRONG", got.stdout)
        self.assertEqual(len(re.findall(r"(?m)^  ok ", got.stdout)), 16)
        self.assertNotIn("left out", got.stdout)
        # 4 vectors of the engine, 9 of the disk, in a table that was empty
        self.assertIn("16 messages by DMA: 4 name its own entries", got.stdout)
        self.assertIn("9 name entries of the other function", got.stdout)
        self.assertRegex(got.stdout, r"hw\.intr-blocked rid 0200 addr fee000\w0 data 0 reason 26\n")
        for words in ("stale", "hw.fault", "drv.fault", "verdict: reaches memory", "verdict: refused by stage-1"):
            self.assertIn(words, got.stdout)
        self.assertLess(time.monotonic() - start, 20)

    def test_other_hosts(self):
        for host in ("spr-fixed", "incoherent"):
            got = self.nestbox("demo", "--host", host)
            self.assertEqual((got.returncode, got.stderr), (0, ""), got.stdout)
            self.assertNotIn("left out", got.stdout)
        got = self.nestbox("demo", "--host", "legacy")
        self.refused(got, 1, "refused to make a stage-2 table that others can nest on")
        path = self.file("h.yaml", "name: h\niommus:\n  - name: a\n")
        self.refused(self.nestbox("demo", "--host", path), 1, "no dmatest function")
        self.refused(self.nestbox("demo", "--host", "nosuch"), 1, '"nosuch"')
        for stage in ("cmdqv: off, stage-2: off, vmid16: off, xnx: off, hyp: off", "cmdqv: off, stage-1: off, asid16: off, ssid-bits: 0, cd-2level: off, hyp: off"):
            path = self.file("s.yaml", "name: h\niommus:\n  - name: a\n    vendor: smmuv3\n    capabilities: {%s}\nfunctions:\n"
                             "  - {address: '01:00.0', iommu: a, model: dmatest}\n" % stage)
            self.refused(self.nestbox("demo", "--host", path), 1, "refused to make a stage-2 table that others can nest on")

    def test_smmus(self):
        for host in ("grace", "smmu-basic"):
            got = self.nestbox("demo", "--host", host)
            self.assertEqual((got.returncode, got.stderr), (0, ""), got.stdout)
            self.assertNotIn("WRONG", got.stdout)
            self.assertEqual(len(re.findall(r"(?m)^  ok ", got.stdout)), 14)
            self.assertIn("left out: the driver of these IOMMUs refuses page requests", got.stdout)
            self.assertIn("16 messages by DMA: 4 are its own events", got.stdout)
            self.assertIn("12 are none of its events", got.stdout)
            self.assertIn("hw.its-no-event device 00200 event 4: dropped", got.stdout)
            self.assertIn("verdict: refused by stage-1, reason 0x10 (F_TRANSLATION): nothing is mapped there", got.stdout)
            # the context descriptor, four stage 1 descriptors, and the end go through stage 2
            walk = got.stdout[got.stdout.index("wants to write"):got.stdout.index("verdict: reaches memory")]
            rows = re.findall(r"(?m)^ *\d+  (config|stage-1|stage-2) +(\S+) ", walk)
            stages = "".join({"config": "c", "stage-1": "1", "stage-2": "2"}[s] for s, _ in rows)
            self.assertRegex(stages, "^%s2+c2+12+12+12+12+$" % ("cc" if host == "grace" else "c"))
            self.assertEqual([level for s, level in rows if s == "stage-1"], ["0", "1", "2", "3"])

    def test_guest_msi(self):
        path = self.file("h.yaml", "name: h\niommus:\n  - {name: a, vendor: smmuv3, capabilities: {guest-msi: true}}\nfunctions:\n"
                         "  - {address: '02:00.0', iommu: a, model: dmatest}\n  - {address: '01:00.0', iommu: a, model: nvme}\n")
        got = self.nestbox("demo", "--host", path)
        self.assertEqual((got.returncode, got.stderr), (0, ""), got.stdout)
        self.assertEqual(len(re.findall(r"(?m)^  ok ", got.stdout)), 14)
        self.assertIn("a write to 0x660000000040, by the guest's table to its doorbell at 0x30000000", got.stdout)
        self.assertIn("16 messages by DMA: 4 are its own events", got.stdout)

    def test_own_iommu(self):
        got = self.nestbox("demo", "--host", os.path.join(clitest.SOURCE, "examples/own-iommu.yaml"))
        self.assertEqual((got.returncode, got.stderr), (0, ""), got.stdout)
        self.assertEqual(len(re.findall(r"(?m)^  ok ", got.stdout)), 11)
        self.assertIn("left out: what the device writes by DMA goes to the IOMMU on its own board", got.stdout)

    def test_narrow_host(self):
        path = self.file("h.yaml", "name: h\niommus:\n  - {name: a, capabilities: {haw: 47, mgaw: 48, levels: 4, ss-1g: false, "
                         "ss-2m: false}}\nfunctions:\n  - {address: '03:00.1', iommu: a, model: dmatest}\n")
        got = self.nestbox("demo", "--host", path)
        self.assertEqual(got.returncode, 0, got.stdout + got.stderr)
        self.assertIn("0000:03:00.1", got.stdout)

    def test_what_a_host_has_not(self):
        nvme = "  - {address: '04:00.0', iommu: a, model: nvme}\n"
        for unit, engine, others, fault, forged in (
                ("{}", "", nvme, True, True),
                ("{}", "", "", True, False),  # nobody whose interrupts it could forge
                ("{}", ", options: {pri: off}", nvme, False, True),
                ("{}", ", options: {ats: off}", nvme, False, True),
                ("{page-requests: off}", "", nvme, False, True),
                ("{interrupt-remapping: off, x2apic: off}", "", nvme, True, False)):
            path = self.file("h.yaml", "name: h\niommus:\n  - {name: a, capabilities: %s}\nfunctions:\n"
                             "  - {address: '03:00.1', iommu: a, model: dmatest%s}\n%s" % (unit, engine, others))
            got = self.nestbox("demo", "--host", path)
            self.assertEqual((got.returncode, got.stderr), (0, ""), (unit, engine, got.stdout))
            self.assertEqual("left out: nothing on this host requests pages" in got.stdout, not fault, (unit, engine))
            self.assertEqual("left out: no interrupt remapping" in got.stdout, not forged, (unit, engine))
            self.assertEqual(len(re.findall(r"(?m)^  ok ", got.stdout)), 11 + 3 * fault + 2 * forged)

    def test_usage(self):
        for args in (["x"], ["--host"], ["--host", "a", "b"]):
            got = self.nestbox("demo", *args)
            self.assertEqual((got.returncode, got.stdout), (2, ""))


class WalkDemo(CliTest):
    def test_every_reason_has_words(self):
        with open(os.path.join(clitest.SOURCE, "src/machine/reason_text.c"), encoding="utf-8") as f:
            text = f.read()
        for header, name, least in (("vtd/faults.h", r"VTD_FR_\w+", 50), ("smmuv3/events.h", r"SMMU_EVT_[A-Z]\w+", 18)):
            with open(os.path.join(clitest.SOURCE, "src/spec", header), encoding="utf-8") as f:
                reasons = set(re.findall(r"\b(%s) =" % name, f.read()))
            words = set(re.findall(r'\[(%s)\] = "\w' % name, text))
            self.assertGreater(len(words), least)
            self.assertEqual(reasons, words)

    def rows(self, text):
        """number, stage, level of each line of the table"""
        return re.findall(r"(?m)^ *(\d+)  (config|stage-1|stage-2) +(\S+)", text)

    def test_default(self):
        got = self.nestbox("walk", "--demo")
        self.assertEqual(got.returncode, 0, got.stderr)
        rows = self.rows(got.stdout)
        self.assertEqual([int(r[0]) for r in rows], list(range(1, len(rows) + 1)))
        stages = [r[1] for r in rows]
        # root, context, PASID directory and table; then each of the 4 stage-1 reads goes through stage-2, and so does the end
        self.assertEqual(stages[:4], ["config"] * 4)
        self.assertEqual(stages.count("stage-1"), 4)
        self.assertEqual([r[2] for r in rows if r[1] == "stage-1"], ["4", "3", "2", "1"])
        self.assertEqual(stages[-1], "stage-2")
        runs = re.findall(r"(?:2+1)", "".join(s[-1] for s in stages[4:]))
        self.assertEqual(len(runs), 4, stages)
        self.assertRegex(got.stdout, r"verdict: reaches memory at 0x[0-9a-f]+; the translation covers 4 KiB and permits read write")

    def test_smmu(self):
        got = self.nestbox("walk", "--demo", "--host", "grace")
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertIn("(smmuv3)", got.stdout)
        stages = [r[1] for r in self.rows(got.stdout)]
        self.assertEqual((stages.count("config"), stages.count("stage-1"), stages[-1]), (3, 4, "stage-2"))
        self.assertRegex(got.stdout, r"(?m)^ +\d+  config +- +context descriptor +0x[0-9a-f]+ .* V ASID=7 AA64 T0SZ=16 TG0=4K TTB0 .* IPS=48 A R$")
        self.assertRegex(got.stdout, r"(?m)^ +\d+  config +- +stream table entry .* V nested .* S2T0SZ=16 S2SL0=2 S2TG=4K S2PS=48 S2TTB 0x\w+ "
                         r"S2VMID=\d+ EATS=\d$")
        self.assertRegex(got.stdout, r"verdict: reaches memory at 0x[0-9a-f]+; the translation covers 4 KiB and permits read write")
        walk = lambda *a: self.nestbox("walk", "--demo", "--host", "grace", *a).stdout
        self.assertIn("refused by stage-1, reason 0x10 (F_TRANSLATION): nothing is mapped there", walk("0000:02:00.0", "0x7000", "w"))
        self.assertIn("reason 0x8 (C_BAD_SUBSTREAMID): the SubstreamID is beyond", walk("0000:02:00.0.5", "0x550000000000"))
        self.assertIn("reason 0x0: the stream table entry says that everything is aborted", walk("0000:01:00.0", "0x1000"))
        self.assertEqual(self.nestbox("walk", "--demo", "--host").returncode, 2)
        self.refused(self.nestbox("walk", "--demo", "--host", "nosuch"), 1, '"nosuch"')

    def test_hole(self):
        got = self.nestbox("walk", "--demo", "0000:02:00.0", "0x7000", "w")
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertIn("wants to write 0x7000", got.stdout)
        self.assertIn("verdict: refused by stage-1, reason 0x71: a first-stage entry is not present", got.stdout)
        got = self.nestbox("walk", "--demo", "0000:02:00.0.5", "0x550000000000")
        self.assertIn("pasid 5", got.stdout)
        self.assertIn("verdict: refused by the configuration", got.stdout)

    def test_other_functions(self):
        got = self.nestbox("walk", "--demo", "01:00.0", "0x550000000000")
        self.assertIn("verdict: refused by the configuration", got.stdout)
        self.refused(self.nestbox("walk", "--demo", "03:00.0", "0x1000"), 1, "no function 0000:03:00.0")
        self.refused(self.nestbox("walk", "--demo", "x", "0x1000"), 2, '"x"')


if __name__ == "__main__":
    clitest.main()

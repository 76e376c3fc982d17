#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nestbox host acpi: the table as iasl reads it, field by field, and as bytes by the tables of VT-d chapter 8."""
import os
import re
import struct
import subprocess

import clitest
from acpi_table import AcpiTest

HOST = """\
name: machine-with-a-long-name
iommus:
  - name: a
    like: spr
    capabilities: {haw: 48}
  - name: b
    segment: 1
    like: spr
    capabilities: {haw: 50}
  - name: c
    like: spr
functions:
  - {address: 0000:01:02.3, iommu: a, model: dmatest}
  - {address: 0000:05:1f.7, iommu: c, model: dmatest, options: {ats: off}}
  - {address: 0001:80:00.0, iommu: b, model: nvme, rmrr: [{base: 0x7d000000, size: 0x800000}]}
  - address: 0001:81:00.0
    iommu: b
    model: dmatest
    rmrr:
      - {base: 0x7d000000, size: 0x800000}
      - {base: 0x1000, size: 4096}
  - {address: 0000:01:04.0, iommu: a, model: nvme, rmrr: [{base: 0x7d000000, size: 0x800000}]}
"""


def scope(bus, dev, fn):
    return {"Device Scope Type": "01", "Entry Length": "08", "Reserved": "0000", "Enumeration ID": "00",
            "PCI Bus Number": "%02X" % bus, "PCI Path": "%02X,%02X" % (dev, fn)}


class Acpi(AcpiTest):
    def structures(self, table):
        """Type and bytes of each remapping structure, the header checked."""
        self.assertEqual(table[0:4], b"DMAR")
        self.assertEqual(struct.unpack_from("<I", table, 4)[0], len(table))
        self.assertEqual(sum(table) % 256, 0)
        self.assertEqual(table[8], 1)
        self.assertEqual(table[38:48], bytes(10))
        at, out = 48, []
        while at < len(table):
            kind, size = struct.unpack_from("<HH", table, at)
            self.assertGreaterEqual(size, 8)
            self.assertLessEqual(at + size, len(table))
            out.append((kind, table[at:at + size]))
            at += size
        kinds = [k for k, _ in out]
        self.assertEqual(kinds, sorted(kinds), "structures go by type")
        return out

    def disassembled(self, table):
        # SATC is younger than the iasl of 2020, which then stops.
        return self.blocks(table, ("Subtable Type", "Device Scope Type"), "**** Unknown DMAR subtable type 0x5")

    def test_built_in(self):
        table = self.make("spr")
        b = self.disassembled(table)
        self.assertEqual((b[0]["Signature"], b[0]["Table Length"], b[0]["Revision"]), ("DMAR", "%08X" % len(table), "01"))
        self.assertEqual((b[0]["Oem ID"], b[0]["Oem Table ID"]), ("NSTBOX", "spr     "))
        self.assertEqual((b[0]["Host Address Width"], b[0]["Flags"]), ("33", "01"))
        unit = lambda base: {"Subtable Type": "0000", "Length": "0020", "Flags": "00", "Reserved": "00",
                             "PCI Segment Number": "0000", "Register Base Address": "%016X" % base}
        self.assertEqual(b[1:7], [unit(0xfed90000), scope(1, 0, 0), scope(2, 0, 0), unit(0xfed91000), scope(0x81, 0, 0),
                                  scope(0x82, 0, 0)])
        self.assertEqual(b[7], {"Subtable Type": "0002", "Length": "0008", "Flags": "01", "Reserved": "00",
                                "PCI Segment Number": "0000"})
        kind, satc = self.structures(table)[-1]
        # 8.8: the test engines have ATS, the disks have not
        self.assertEqual((kind, satc.hex()), (5, "0500180000000000" + "0108000000020000" + "0108000000820000"))

    def test_no_device_tlbs(self):
        text = HOST.replace("0001:", "0000:").replace("segment: 1", "segment: 0")
        text = re.sub("(?m)^    like: spr$", "    like: legacy", text).replace("capabilities: {", "capabilities: {device-tlb: false, ")
        text = text.replace("name: c\n    like: legacy", "name: c\n    like: legacy\n    capabilities: {device-tlb: false}")
        table = self.make("h.yaml", text)
        self.assertEqual([k for k, _ in self.structures(table)], [0, 0, 0, 1, 1])
        b = self.disassembled(table)
        self.assertEqual((b[0]["Host Address Width"], b[0]["Flags"]), ("31", "01"))

    def test_interrupt_remapping_only_if_all_units_have_it(self):
        for first, second, flags in (("true", "true", "01"), ("true", "false", "00"), ("false", "false", "00")):
            text = "name: x\niommus:\n" + "".join(
                "  - {name: u%d, like: spr, capabilities: {interrupt-remapping: %s, x2apic: false}}\n" % (i, v)
                for i, v in enumerate((first, second)))
            self.assertEqual(self.disassembled(self.make("x.yaml", text))[0]["Flags"], flags)

    def test_everything(self):
        table = self.make("h.yaml", HOST)
        b = self.disassembled(table)
        self.assertEqual(b[0]["Oem Table ID"], "machine-")
        self.assertEqual(b[0]["Host Address Width"], "33")  # 52 bits, minus one
        unit = lambda n, segment, scopes: {
            "Subtable Type": "0000", "Length": "%04X" % (16 + 8 * scopes), "Flags": "00", "Reserved": "00",
            "PCI Segment Number": "%04X" % segment, "Register Base Address": "%016X" % (0xfed90000 + n * 0x1000)}
        memory = lambda segment, base, last, scopes: {
            "Subtable Type": "0001", "Length": "%04X" % (24 + 8 * scopes), "Reserved": "0000",
            "PCI Segment Number": "%04X" % segment, "Base Address": "%016X" % base,
            "End Address (limit)": "%016X" % last}
        ports = lambda segment: {"Subtable Type": "0002", "Length": "0008", "Flags": "01", "Reserved": "00",
                                 "PCI Segment Number": "%04X" % segment}
        want = [unit(0, 0, 2), scope(1, 2, 3), scope(1, 4, 0), unit(1, 1, 2), scope(0x80, 0, 0), scope(0x81, 0, 0),
                unit(2, 0, 1), scope(5, 0x1f, 7),
                memory(1, 0x7d000000, 0x7d7fffff, 2), scope(0x80, 0, 0), scope(0x81, 0, 0),
                memory(1, 0x1000, 0x1fff, 1), scope(0x81, 0, 0),
                memory(0, 0x7d000000, 0x7d7fffff, 1), scope(1, 4, 0), ports(0), ports(1)]
        self.assertEqual(b[1:1 + len(want)], want)
        satc = [s.hex() for k, s in self.structures(table) if k == 5]
        self.assertEqual(satc, ["0500100000000000" + "0108000000010203", "0500100000000100" + "0108000000810000"])

    def test_ports_only_if_all_units_of_the_segment_can(self):
        text = HOST.replace("    segment: 1\n", "").replace("0001:", "0000:").replace(
            "  - name: c\n    like: spr", "  - name: c\n    like: spr\n    capabilities: {device-tlb: false, page-requests: false}")
        s = self.structures(self.make("h.yaml", text))
        self.assertEqual([k for k, _ in s], [0, 0, 0, 1, 1, 5])
        self.assertEqual(s[-1][1].hex(), "0500180000000000" + "0108000000010203" + "0108000000810000")

    def test_a_unit_without_functions(self):
        table = self.make("h.yaml", "name: x\niommus:\n  - name: u\n")
        self.assertEqual(self.structures(table)[0][1].hex(), "00001000000000000000d9fe00000000")
        self.assertEqual(len(self.disassembled(table)), 3)

    def test_the_largest(self):
        text = "name: x\niommus:\n" + "".join("  - {name: u%d, segment: %d}\n" % (i, i) for i in range(8)) + "functions:\n"
        for i in range(64):
            rmrr = ", ".join("{base: 0x%x, size: 0x1000}" % ((i * 4 + k) << 13) for k in range(4))
            text += "  - {address: '%04x:%02x:00.0', iommu: u%d, model: dmatest, rmrr: [%s]}\n" % (i % 8, i, i % 8, rmrr)
        s = self.structures(self.make("h.yaml", text))
        self.assertEqual([k for k, _ in s], [0] * 8 + [1] * 256 + [2] * 8 + [5] * 8)
        self.assertEqual([len(x) for _, x in s], [16 + 64] * 8 + [32] * 256 + [8] * 8 + [8 + 64] * 8)

    def test_reserved_memory_in_yaml(self):
        shown = self.nestbox("host", "show", self.file("h.yaml", HOST)).stdout
        self.assertEqual(shown.count("- {base: 0x7d000000, size: 0x800000}"), 3)
        self.assertEqual(self.nestbox("host", "show", self.file("h2.yaml", shown)).stdout, shown)
        self.assertEqual(self.make("h.yaml", HOST), self.make("h2.yaml", shown))
        for old, new, line, words in (
                ("size: 4096", "size: 4095", 16, "4096"), ("size: 4096", "size: 0", 16, "4096"),
                ("base: 0x1000", "base: 0x1008", 16, "4096"), ("base: 0x1000, size", "size", 21, "no base"), (", size: 4096", "", 21, "no size"),
                ("size: 4096", "size: 0xfffffffffffff000", 16, "50 bits"),
                ("base: 0x1000", "base: 0xfffffffffffff000", 16, "50 bits"),
                ("base: 0x1000", "base: 0x4000000000000", 16, "50 bits"),
                ("base: 0x1000", "base: 0x7d000000", 16, "overlaps"), ("base: 0x1000", "base: 0x7d7ff000", 16, "overlaps"),
                ("size: 4096", "limit: 4096", 21, '"limit"'), ("base: 0x1000", "base: x", 21, "not a number"),
                ("{base: 0x1000, size: 4096}", "7", 21, "key: value"),
                ("- {base: 0x1000, size: 4096}", "- {base: 0x1000, size: 4096}\n" + "      - {base: 0x1000, size: 4096}\n" * 4, 24,
                 "at most 4")):
            with self.subTest(new=new):
                self.assertIn(old, HOST)
                path = self.file("bad.yaml", HOST.replace(old, new, 1))
                got = self.nestbox("host", "check", path)
                self.refused(got, 1, words)
                self.assertTrue(got.stderr.startswith("nestbox: %s:%d: " % (path, line)), got.stderr)

    def test_where_it_goes(self):
        table = self.make("spr")
        got = subprocess.run([clitest.NESTBOX, "host", "acpi", "-o", "-", "spr"], stdout=subprocess.PIPE, check=True, env=self.env)
        self.assertEqual(got.stdout, table)
        run = lambda *a: self.nestbox("host", "acpi", *a)
        self.refused(run("nosuch", "-o", os.path.join(self.dir, "x")), 1, "nosuch")
        self.assertFalse(os.path.exists(os.path.join(self.dir, "x")))
        self.refused(run("spr", "-o", "/nonexistent/x"), 1, "/nonexistent/x")
        self.refused(run("spr", "-o", "/dev/full"), 1, "/dev/full", "No space")
        self.refused(run("spr", "-o", self.dir), 1, "directory")
        for args in ((), ("spr",), ("spr", "-o"), ("-o", "x")):
            self.assertEqual(run(*args).returncode, 2)


if __name__ == "__main__":
    clitest.main()

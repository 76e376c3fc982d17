#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nestbox host acpi for hosts with SMMUs: the IORT as iasl reads it, and byte by byte by the tables of DEN 0049 E.e."""
import struct

import clitest
from acpi_table import AcpiTest

HOST = """\
name: many-smmus
iommus:
  - {name: a, vendor: smmuv3, capabilities: {msi: off, httu: none, coherent: off, ats: off}}
  - {name: b, vendor: smmuv3, segment: 3, capabilities: {ssid-bits: 8, pri: on}}
  - {name: c, vendor: smmuv3, capabilities: {ssid-bits: 0, cd-2level: off, httu: access, pri: on}}
functions:
  - {address: '01:00.0', iommu: a, model: nvme, rmrr: [{base: 0x7d000000, size: 0x800000}]}
  - {address: '01:01.0', iommu: c, model: dmatest, rmrr: [{base: 0x7d000000, size: 0x800000}, {base: 0x10000, size: 0x10000}]}
  - {address: '0003:05:1f.7', iommu: b, model: dmatest, rmrr: [{base: 0x7d000000, size: 0x800000}]}
"""
ITS, ROOT, SMMU, RMR = 0, 2, 4, 6
BASE, STEP = 0x11000000, 0x1000000


def maps(node):
    n, at = struct.unpack_from("<II", node, 8)
    return [struct.unpack_from("<5I", node, at + 20 * i) for i in range(n)]


class Iort(AcpiTest):
    def nodes(self, table):
        """Offset, type, revision and bytes of each node; headers checked: lengths, numbers, identifiers, references."""
        self.assertEqual(table[0:4], b"IORT")
        self.assertEqual(struct.unpack_from("<I", table, 4)[0], len(table))
        self.assertEqual(sum(table) % 256, 0)
        self.assertEqual(table[8], 6)
        count, at, reserved = struct.unpack_from("<3I", table, 36)
        self.assertEqual((at, reserved), (48, 0))
        out = []
        while at < len(table):
            kind, size, rev, ident = struct.unpack_from("<BHBI", table, at)
            self.assertEqual(ident, len(out))
            self.assertGreaterEqual(size, 16)
            self.assertLessEqual(at + size, len(table))
            node = table[at:at + size]
            for m in maps(node):
                self.assertIn(m[3], [o[0] for o in out], "a mapping leads to a node before this one")
            out.append((at, kind, rev, node))
            at += size
        self.assertEqual(len(out), count)
        return out

    def of(self, table, kind):
        return [(at, node) for at, k, _, node in self.nodes(table) if k == kind]

    def iasl(self, table):
        # RMR nodes are younger than the iasl of 2020, which says so of each.
        return self.blocks(table, ("Type", "Input base"), "**** Unknown IORT node type 0x6")

    def test_grace_as_iasl_reads_it(self):
        table = self.make("grace")
        b = self.iasl(table)
        self.assertEqual((b[0]["Signature"], b[0]["Table Length"], b[0]["Revision"]), ("IORT", "%08X" % len(table), "06"))
        self.assertEqual((b[0]["Oem ID"], b[0]["Oem Table ID"], b[0]["Node Count"]), ("NSTBOX", "grace   ", "00000005"))
        self.assertEqual((b[1]["Type"], b[1]["ItsCount"], b[1]["Identifiers"]), ("00", "00000001", "00000000"))
        smmus = [x for x in b if x.get("Type") == "04"]
        self.assertEqual([x["Base Address"] for x in smmus], ["%016X" % (BASE + i * STEP) for i in range(3)])
        for x in smmus:
            self.assertEqual((x["Flags"], x["Model"], x["Event GSIV"], x["Device ID Mapping Index"]),
                             ("00000015", "00000000", "00000000", "00000001"))
        root = [x for x in b if x.get("Type") == "02"]
        self.assertEqual(len(root), 1)
        self.assertEqual((root[0]["ATS Attribute"], root[0]["PCI Segment Number"], root[0]["Cache Coherency"], root[0]["Memory Flags"],
                          root[0]["Mapping Count"]), ("00000005", "00000000", "00000001", "07", "00000006"))
        ids = [(x["Input base"], x["ID Count"], x["Output Base"], x["Output Reference"]) for x in b if "Input base" in x][-6:]
        at = [o for o, _ in self.of(table, SMMU)]
        self.assertEqual(ids, [("%08X" % rid, "00000000", "%08X" % rid, "%08X" % at[i // 2])
                               for i, rid in enumerate((0x100, 0x200, 0x4100, 0x4200, 0x8100, 0x8200))])

    def test_smmu_basic_bytes(self):
        """The whole table but for its header, written out."""
        table = self.make("smmu-basic")
        its = "00 1800 01 00000000 00000000 00000000  01000000 00000000"
        smmu = ("04 6c00 05 01000000 02000000 44000000  0000001100000000 11000000 00000000 0000000000000000 00000000"
                "00000000 00000000 00000000 00000000 00000000 01000000"
                "00000000 ffff0000 00000000 30000000 00000000  00000000 00000000 00ffffff 30000000 01000000")
        root = ("02 5000 04 02000000 02000000 28000000  01000000 00 0000 07 00000000 00000000 40 0000 00 00000000"
                "00010000 00000000 00010000 48000000 00000000  00020000 00000000 00020000 48000000 00000000")
        self.assertEqual(table[48:].hex(), (its + smmu + root).replace(" ", ""))
        self.assertEqual(table[36:48].hex(), "03000000" "30000000" "00000000")

    def test_everything(self):
        table = self.make("h.yaml", HOST)
        self.iasl(table)
        self.assertEqual([(k, r) for _, k, r, _ in self.nodes(table)],
                         [(ITS, 1)] + [(SMMU, 5)] * 3 + [(ROOT, 4)] * 2 + [(RMR, 3)] * 3)
        its = self.of(table, ITS)[0][0]
        smmu = self.of(table, SMMU)
        at = [o for o, _ in smmu]
        flags = [struct.unpack_from("<I", n, 24)[0] for _, n in smmu]
        self.assertEqual(flags, [0, 1 | 2 << 1 | 16, 1 | 1 << 1 | 16])  # COHACC, HTTU, DeviceID
        # no messages: wires, and no mapping of its own
        self.assertEqual([struct.unpack_from("<4I", n, 44) for _, n in smmu], [(96, 97, 98, 99), (0, 0, 0, 0), (0, 0, 0, 0)])
        self.assertEqual([maps(n) for _, n in smmu],
                         [[(0, 0xffff, 0, its, 0)],
                          [(0, 0xffff, 0x30000, its, 0), (0, 0, 0xffffff01, its, 1)],
                          [(0, 0xffff, 0, its, 0), (0, 0, 0xffffff02, its, 1)]])
        self.assertEqual([struct.unpack_from("<I", n, 64)[0] for _, n in smmu], [0, 1, 1])
        roots = [n for _, n in self.of(table, ROOT)]
        # ATS, segment, address size, PASID width: what all SMMUs of the segment can do
        self.assertEqual([struct.unpack_from("<IIBH", n, 24) for n in roots], [(0, 0, 64, 0), (7, 3, 64, 8)])
        self.assertEqual([maps(n) for n in roots], [[(0x100, 0, 0x100, at[0], 0), (0x108, 0, 0x108, at[2], 0)],
                                                    [(0x5ff, 0, 0x5ff, at[1], 0)]])
        rmr = [n for _, n in self.of(table, RMR)]
        self.assertEqual([maps(n) for n in rmr], [[(0, 0, 0x100, at[0], 1), (0, 0, 0x108, at[2], 1)], [(0, 0, 0x108, at[2], 1)],
                                                  [(0, 0, 0x5ff, at[1], 1)]])
        for n, (base, size) in zip(rmr, ((0x7d000000, 0x800000), (0x10000, 0x10000), (0x7d000000, 0x800000))):
            kind, ranges, ref = struct.unpack_from("<3I", n, 16)
            self.assertEqual((kind, ranges), (5 << 2, 1))  # not to be remapped, normal write-back memory
            self.assertEqual(struct.unpack_from("<QQI", n, ref), (base, size, 0))
            self.assertEqual(ref + 20, len(n))

    def test_reserved_memory_is_in_units_of_64k(self):
        for old, new, words in (("base: 0x10000", "base: 0x11000", "multiples of 65536"),
                                ("size: 0x10000}", "size: 0x8000}", "multiples of 65536"),
                                ("base: 0x10000", "base: 0x10000000000000", "52 bits")):
            got = self.nestbox("host", "check", self.file("bad.yaml", HOST.replace(old, new)))
            self.refused(got, 1, "bad.yaml:8: ", words)

    def test_the_largest(self):
        text = "name: x\niommus:\n" + "".join("  - {name: u%d, vendor: smmuv3, segment: %d}\n" % (i, i) for i in range(8))
        text += "functions:\n"
        for i in range(64):
            rmrr = ", ".join("{base: 0x%x, size: 0x10000}" % ((i * 4 + k) << 17) for k in range(4))
            text += "  - {address: '%04x:%02x:00.0', iommu: u%d, model: dmatest, rmrr: [%s]}\n" % (i % 8, i, i % 8, rmrr)
        table = self.make("h.yaml", text)
        self.assertEqual([k for _, k, _, _ in self.nodes(table)], [ITS] + [SMMU] * 8 + [ROOT] * 8 + [RMR] * 256)
        for i, (_, n) in enumerate(self.of(table, ROOT)):
            self.assertEqual(struct.unpack_from("<I", n, 28)[0], i)
            self.assertEqual([m[0] for m in maps(n)], [j << 8 for j in range(64) if j % 8 == i])


if __name__ == "__main__":
    clitest.main()

# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of nestbox translate share: memory images by the numbers of the VT-d manual, and how to ask."""
import json
import struct
import subprocess

import clitest
from clitest import CliTest

BASE = 0x100000
SCALABLE, LEGACY = 0x400, 0x000  # RTADDR.TTM, 11.4.5
RO, WO, RW = 1, 2, 3  # second-stage entries, 9.8
P, RWB, US, A, D, PS, EA, XD = 1, 2, 4, 0x20, 0x40, 0x80, 0x400, 1 << 63  # first-stage entries, 9.7
FS, SS, NESTED, PT = 1, 2, 3, 4  # PGTT, 9.6
PWSNP = 1 << 23


class Image:
    """Memory from BASE on. Entries are written as 64-bit words at physical addresses."""

    def __init__(self, pages=64, ttm=SCALABLE):
        self.bytes = bytearray(pages * 4096)
        self.used = 0
        self.root = self.page()
        self.rtaddr = self.root | ttm

    def page(self):
        self.used += 1
        return BASE + (self.used - 1) * 4096

    def put(self, pa, v):
        struct.pack_into("<Q", self.bytes, pa - BASE, v)

    def get(self, pa):
        return struct.unpack_from("<Q", self.bytes, pa - BASE)[0]

    # ---- legacy mode, 9.1 and 9.3 ----

    def legacy(self, rid, aw=2, tt=0, low=0, high=0):
        """A context entry for rid, in a domain of its own; returns its second-stage root."""
        ctx = self.get(self.root + 16 * (rid >> 8)) & ~0xfff or self.page()
        table = self.page()
        self.put(self.root + 16 * (rid >> 8), ctx | 1)
        self.ctx = ctx + 16 * (rid & 0xff)
        self.put(self.ctx, table | tt << 2 | 1 | low)
        self.put(self.ctx + 8, aw | (rid + 1 & 0xffff) << 8 | high)
        return table

    # ---- scalable mode, 9.2, 9.4 to 9.6 ----

    def scalable(self, rid, pgtt, pasid=0, aw=2, did=1, ss=0, fs=0, q0=0, q1=PWSNP, q2=0):
        slot = self.root + 16 * (rid >> 8) + (8 if rid & 0x80 else 0)
        ctx = self.get(slot) & ~0xfff or self.page()
        self.put(slot, ctx | 1)
        self.ctx = ctx + 32 * (rid & 0x7f)
        self.dir = self.get(self.ctx) & ~0xfff or self.page()
        self.put(self.ctx, self.dir | 1 | 8 | 7 << 9)  # P, PASIDE, PDTS
        slot = self.dir + 8 * (pasid >> 6)
        table = self.get(slot) & ~0xfff or self.page()
        self.put(slot, table | 1)
        self.entry = table + 64 * (pasid & 63)
        self.put(self.entry, ss | pgtt << 6 | aw << 2 | 1 | q0)
        self.put(self.entry + 8, did | q1)
        self.put(self.entry + 16, fs | q2)

    # ---- tables; each returns the address of the last entry ----

    def map(self, root, addr, value, leaf=1, levels=4, node=RW, where=lambda pa: pa, name=lambda pa: pa):
        table = root
        for level in range(levels, leaf, -1):
            at = where(table) + 8 * (addr >> (12 + 9 * (level - 1)) & 511)
            if not self.get(at):
                self.put(at, name(self.page()) | node)
            table = self.get(at) & 0x000ffffffffff000
        at = where(table) + 8 * (addr >> (12 + 9 * (leaf - 1)) & 511)
        self.put(at, value)
        return at


class TranslateTest(CliTest):
    MODEL = "vtd"

    def config(self, image, caps=None, name="config.json"):
        self.file("mem.bin", bytes(image.bytes))
        c = {"memory": [{"base": hex(BASE), "file": "mem.bin"}], "registers": {"RTADDR": hex(image.rtaddr)}}
        if caps:
            c["caps"] = caps
        return self.file(name, json.dumps(c, indent=1))

    def raw(self, config, text, *args, **kw):
        return subprocess.run([clitest.NESTBOX, "translate", "--model", self.MODEL, "--config", config, *args],
                              input=text if isinstance(text, bytes) else text.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, env=self.env, timeout=60, **kw)

    def ask(self, config, *requests, args=()):
        """Requests as dicts; id, pasid, op, priv have defaults. Returns results."""
        lines = []
        for i, r in enumerate(requests):
            if "flush" not in r:
                r = dict({"id": i, "rid": 0, "pasid": None, "op": "read", "priv": False}, **r)
                if isinstance(r["addr"], int):
                    r["addr"] = hex(r["addr"])
            lines.append(json.dumps(r) + "\n")
        got = self.raw(config, "".join(lines), *args)
        self.assertEqual((got.returncode, got.stderr), (0, b""))
        return [json.loads(line) for line in got.stdout.decode().splitlines()]

    def ok(self, got, pa, lg2, perm, **more):
        self.assertEqual(got, dict({"id": got["id"], "ok": True, "pa": hex(pa), "lg2": lg2, "perm": perm}, **more))

    def fault(self, got, code, stage, ipa=None, record=None):
        """record: (address, source-id, bits 28.. of the upper half), made into bytes by 11.4.7.6."""
        want = {"id": got["id"], "ok": False, "fault": hex(code), "stage": stage,
                "ipa": None if ipa is None else hex(ipa), "record": got.get("record")}
        self.assertEqual(got, want)
        if record == "none":
            self.assertIsNone(got["record"])
        else:
            self.assertEqual(len(got["record"]), 32)
            self.assertEqual(int(got["record"][24:26], 16), code)  # FR: bits 103:96
        if isinstance(record, tuple):
            addr, sid, upper = record
            raw = struct.pack("<QQ", addr & ~0xfff, sid | code << 32 | 1 << 63 | upper)
            self.assertEqual(got["record"], raw.hex())

    T1, T2, PRIV, EXE, PP = 1 << 62, 1 << 28, 1 << 29, 1 << 30, 1 << 31

# SPDX-License-Identifier: BSD-3-Clause
"""Memory images by the numbers of IHI 0070 (chapter 5) and DDI 0487 (D8.3), and how to ask about them."""
import json
import struct

from translate_image import BASE, TranslateTest

BYPASS, S1, S2, NESTED = 4, 5, 6, 7  # STE.Config
G4, G64, G16 = 0, 1, 2  # TG0, S2TG
PAGE = {G4: 12, G64: 16, G16: 14}
TG1 = {G4: 2, G64: 3, G16: 1}
# stage 1 descriptors
AF, NG, EL0, RDONLY, DBM, PXN, UXN = 1 << 10, 1 << 11, 1 << 6, 1 << 7, 1 << 51, 1 << 53, 1 << 54
USER = AF | EL0  # everybody reads and writes
# stage 2 descriptors
R, W, NORMAL = 1 << 6, 1 << 7, 15 << 2
RW2 = AF | R | W | NORMAL
# CD word 0
V, EPD0, EPD1, TBI0, TBI1, PAN, AA64, HD, HA, S, RR, A = (1 << n for n in (31, 14, 30, 38, 39, 40, 41, 42, 43, 44, 45, 46))
# STE word 2
S2AA64, S2AFFD, S2PTW, S2HD, S2HA, S2S, S2R = (1 << n for n in (51, 53, 54, 55, 56, 57, 58))


class Image:
    """Memory from BASE on. Entries are written as 64-bit words at physical addresses."""

    def __init__(self, pages=96, log2size=8):
        self.bytes = bytearray(pages * 4096)
        self.used = 0
        self.strtab = self.room(log2size + 6)
        self.cfg = log2size

    def room(self, lg2):
        n = 1 << max(lg2 - 12, 0)
        at = -(-(BASE // 4096 + self.used) // n) * n - BASE // 4096
        self.used = at + n
        assert self.used * 4096 <= len(self.bytes)
        return BASE + at * 4096

    def page(self, tg=G4):
        return self.room(PAGE[tg])

    def put(self, pa, *words):
        for i, v in enumerate(words):
            struct.pack_into("<Q", self.bytes, pa + 8 * i - BASE, v)

    def get(self, pa):
        return struct.unpack_from("<Q", self.bytes, pa - BASE)[0]

    # ---- 5.2 and 5.4 ----

    def ste(self, sid, config, ctx=0, cdmax=0, fmt=0, dss=2, q1=0, vmid=1, s2=0, q3=0, at=None):
        """s2: made by s2()."""
        at = self.strtab + 64 * sid if at is None else at
        self.put(at, 1 | config << 1 | fmt << 4 | ctx | cdmax << 59, dss | q1, vmid | s2, q3)
        return at

    @staticmethod
    def s2(bits=48, sl0=2, tg=G4, ps=6, flags=S2R):
        return (64 - bits) << 32 | sl0 << 38 | tg << 46 | ps << 48 | S2AA64 | flags

    def cd(self, at, ttb0=0, bits0=48, tg0=G4, ttb1=0, bits1=48, tg1=G4, ips=6, asid=1, q0=0, q1=0, q2=0, flags=RR | A):
        """A half without a table is disabled."""
        self.put(at, (64 - bits0) | tg0 << 6 | (64 - bits1) << 16 | TG1[tg1] << 22 | V | ips << 32 | AA64 | asid << 48 | flags | q0 |
                 (0 if ttb0 else EPD0) | (0 if ttb1 else EPD1), ttb0 | q1, ttb1 | q2, 0xff)
        return at

    # ---- tables; returns the address of the last entry ----

    def map(self, root, addr, value, leaf=3, start=0, tg=G4, node=0, where=lambda pa: pa, name=lambda pa: pa):
        page = PAGE[tg]
        mask = 0xffffffffffff & -(1 << page)
        table, index = root, None
        for level in range(start, leaf + 1):
            lsb = page + (3 - level) * (page - 3)
            index = (addr & (1 << 48) - 1 if level == start else addr & (1 << lsb + page - 3) - 1) >> lsb
            at = where(table) + 8 * index
            if level == leaf:
                break
            if not self.get(at):
                self.put(at, name(self.page(tg)) | 3 | node)
            table = self.get(at) & mask
        self.put(at, value | (3 if leaf == 3 else 1))
        return at


class SmmuTest(TranslateTest):
    MODEL = "smmuv3"

    def config(self, image, caps=None, name="config.json", strtab=None, cfg=None):
        self.file("mem.bin", bytes(image.bytes))
        c = {"memory": [{"base": hex(BASE), "file": "mem.bin"}],
             "registers": {"STRTAB_BASE": hex(image.strtab if strtab is None else strtab),
                           "STRTAB_BASE_CFG": hex(image.cfg if cfg is None else cfg)}}
        if caps:
            c["caps"] = {k: hex(v) for k, v in caps.items()}
        return self.file(name, json.dumps(c, indent=1))

    READ, PNU, IND, STALL = 1 << 35, 1 << 33, 1 << 34, 1 << 31  # word 1 of a record
    CD, TT, IN = 0, 1 << 40, 2 << 40

    def event(self, got, code, stage=None, ipa=None, sid=0, ssid=None, w1=0, addr=0, w3=None):
        """7.3: the whole record. ipa is in it too, but for its last bits; w3 where something else is."""
        want = {"id": got["id"], "ok": False, "fault": hex(code), "stage": stage, "ipa": None if ipa is None else hex(ipa)}
        w0 = code | sid << 32 | (0 if ssid is None else ssid << 12 | (0 if code == 8 else 1 << 11))
        w1 |= 1 << 39 if stage == 2 else 0
        if w3 is None:
            w3 = (ipa or 0) & ~0xfff
        want["record"] = struct.pack("<4Q", w0, w1, addr, w3).hex()
        self.assertEqual(got, want)

    def silent(self, got, code, stage=None, ipa=None):
        self.assertEqual(got, {"id": got["id"], "ok": False, "fault": hex(code), "stage": stage,
                               "ipa": None if ipa is None else hex(ipa), "record": None})

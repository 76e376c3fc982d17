#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nestbox translate --model smmuv3: images made by hand from the numbers of the manuals, each field of each answer written out.

tests/conform/translate_smmuv3 compares many random requests with another walker; these are the cases one by one.
"""
import json
import os
import struct

import clitest
from translate_image import BASE
from translate_image_smmuv3 import (A, AF, BYPASS, DBM, EL0, G16, G4, G64, HA, HD, NESTED, NG, NORMAL, PAN, PXN, R, RDONLY, RR, RW2, S,
                                    S1, S2, S2AFFD, S2HA, S2HD, S2PTW, S2R, TBI0, TBI1, USER, UXN, V, W, Image, SmmuTest)

ABSENT = 0x7000000000  # no memory is there


def q(addr, op="read", rid=0, pasid=None, priv=False):
    return {"addr": addr, "op": op, "rid": rid, "pasid": pasid, "priv": priv}


class Smmu(SmmuTest):
    # ---- stage 1 ----

    def one(self, sid=0, ste=None, **cd):
        """An image with one stage 1 table of 4 KiB pages for sid."""
        im = Image()
        im.t0, im.ctx = im.page(), im.page()
        im.ste(sid, S1, ctx=im.ctx, **(ste or {}))
        im.cd(im.ctx, ttb0=im.t0, **cd)
        return im

    def test_stage1(self):
        im = self.one(sid=5)
        t = im.t0
        im.map(t, 0x12345678000, 0x2000000 | USER)
        im.map(t, 0x12345679000, 0x2001000 | USER | RDONLY)
        im.map(t, 0x1234567a000, 0x2002000 | AF)  # the privileged only
        im.map(t, 0x1234567b000, 0x2003000 | AF | RDONLY)
        im.map(t, 0x1234567c000, 0x2004000 | USER | UXN)
        im.map(t, 0x1234567d000, 0x2005000 | AF | RDONLY | PXN)
        im.map(t, 0x12345800000, 0x40000000 | USER, leaf=2)
        im.map(t, 0x12380000000, 0x80000000 | USER | RDONLY, leaf=1)
        im.map(t, 0x1234567e000, 0x2006000 | EL0)  # no access flag
        im.put(im.map(t, 0x1234567f000, 0), 0x2007001 | USER)  # level 3, and not a page
        p = lambda *a, **k: q(*a, **dict({"rid": 5}, **k))
        got = self.ask(self.config(im), p(0x12345678abc), p(0x12345678ff8, "atomic"), p(0x12345678000, "write"),
                       p(0x12345678000, "exec"), p(0x12345678000, "exec", priv=True), p(0x12345679008), p(0x12345679008, "write"),
                       p(0x1234567a010), p(0x1234567a010, priv=True), p(0x1234567a010, "exec"), p(0x1234567b000, priv=True),
                       p(0x1234567c000), p(0x1234567c000, "exec"), p(0x1234567d000, "exec", priv=True), p(0x12345812345),
                       p(0x123876543f8), p(0x1234567e000), p(0x1234567f000, "write"), p(0x12345680123), p(1 << 48),
                       p(0xffff800000000000), p(0x12345678000, pasid=0), p(0x12345678000, rid=6), p(0x12345678000, rid=256))
        self.ok(got[0], 0x2000abc, 12, "rwx")
        self.ok(got[1], 0x2000ff8, 12, "rwx")
        self.ok(got[2], 0x2000000, 12, "rwx")
        self.ok(got[3], 0x2000000, 12, "rwx")
        e = dict(stage=1, sid=5)
        # D8.4.1.2: what the unprivileged may write, the privileged do not execute
        self.event(got[4], 0x13, w1=self.READ | self.IND | self.PNU | self.IN, addr=0x12345678000, **e)
        self.ok(got[5], 0x2001008, 12, "rx")
        self.event(got[6], 0x13, w1=self.IN, addr=0x12345679008, **e)
        self.event(got[7], 0x13, w1=self.READ | self.IN, addr=0x1234567a010, **e)
        self.ok(got[8], 0x2002010, 12, "rwx")
        self.ok(got[9], 0x2002010, 12, "x")
        self.ok(got[10], 0x2003000, 12, "rx")
        self.ok(got[11], 0x2004000, 12, "rw")
        self.event(got[12], 0x13, w1=self.READ | self.IND | self.IN, addr=0x1234567c000, **e)
        self.event(got[13], 0x13, w1=self.READ | self.IND | self.PNU | self.IN, addr=0x1234567d000, **e)
        self.ok(got[14], 0x40012345, 21, "rwx")
        self.ok(got[15], 0x876543f8, 30, "rx")
        self.event(got[16], 0x12, w1=self.READ | self.IN, addr=0x1234567e000, **e)
        self.event(got[17], 0x10, w1=self.IN, addr=0x1234567f000, **e)
        self.event(got[18], 0x10, w1=self.READ | self.IN, addr=0x12345680123, **e)
        self.event(got[19], 0x10, w1=self.READ | self.IN, addr=1 << 48, **e)
        self.event(got[20], 0x10, w1=self.READ | self.IN, addr=0xffff800000000000, **e)  # EPD1
        self.event(got[21], 0x08, sid=5, ssid=0)
        self.event(got[22], 0x04, sid=6)  # V is 0
        self.event(got[23], 0x02, sid=256)
        self.assertEqual([r["id"] for r in got], list(range(24)))

    def test_two_tables(self):
        im = Image()
        low, high, ctx = im.page(), im.page(), im.page()
        im.ste(0, S1, ctx=ctx)
        im.cd(ctx, ttb0=low, bits0=39, ttb1=high, bits1=48, q0=TBI1)
        im.map(low, 0x1000, 0x5000 | USER, start=1)
        im.map(high, 0xffff800000001000, 0x6000 | USER)
        got = self.ask(self.config(im), q(0x1008), q(1 << 39), q(0x0100000000001008), q(0xffff800000001010), q(0x12ff800000001010),
                       q(0xfff0800000001010))
        self.ok(got[0], 0x5008, 12, "rwx")
        self.event(got[1], 0x10, 1, w1=self.READ | self.IN, addr=1 << 39)
        self.event(got[2], 0x10, 1, w1=self.READ | self.IN, addr=0x0100000000001008)  # TBI0 is off
        self.ok(got[3], 0x6010, 12, "rwx")
        self.ok(got[4], 0x6010, 12, "rwx")
        self.event(got[5], 0x10, 1, w1=self.READ | self.IN, addr=0xfff0800000001010)

    def test_granules(self):
        for tg, lg2, start, block, block_lg2 in ((G16, 14, 0, 2, 25), (G64, 16, 1, 2, 29)):
            im = Image(256)
            t, ctx = im.page(tg), im.page()
            im.ste(0, S1, ctx=ctx)
            im.cd(ctx, ttb0=t, tg0=tg)
            im.map(t, 0x123456780000, 0x50000 | USER, start=start, tg=tg)
            im.map(t, 0x120000000000, 1 << 40 | USER, leaf=block, start=start, tg=tg)
            got = self.ask(self.config(im), q(0x123456780000 + (1 << lg2) - 8), q(0x120000000000 + (1 << block_lg2) - 1),
                           q(0x120000000000 + (1 << block_lg2)), q(0x123456780000 + (1 << lg2)))
            self.ok(got[0], 0x50000 + (1 << lg2) - 8, lg2, "rwx")
            self.ok(got[1], (1 << 40) + (1 << block_lg2) - 1, block_lg2, "rwx")
            for r in got[2:]:
                self.assertEqual((r["fault"], r["stage"]), ("0x10", 1))

    def test_52_bits(self):
        """64 KiB: bits 15:12 of a descriptor are address bits 51:48. DS: bits 49:48 are in their place, 9:8 are 51:50."""
        im = Image(160)
        t, ctx = im.page(G64), im.page()
        im.ste(0, S1, ctx=ctx)
        im.cd(ctx, ttb0=t, tg0=G64, bits0=52)
        node = im.page(G64)
        last = im.page(G64)
        im.put(t + 8 * (0xf1230 >> 10), node | 3)
        im.put(node + 8 * ((0xf123000000000 >> 29) & 8191), last | 3)
        im.put(last, 0x456780000 | 0xa << 12 | 3 | USER)
        t4 = im.page()
        im.ste(1, S1, ctx=ctx + 64, vmid=2)
        im.cd(ctx + 64, ttb0=t4, bits0=52, asid=2, q2=1 << 58)
        nodes = [im.page() for _ in range(4)]
        addr = 0xd123456789000
        for level, at in zip((-1, 0, 1, 2), [t4] + nodes[:3]):
            im.put(at + 8 * (addr >> 12 + 9 * (3 - level) & 511), nodes[level + 1] | 3)
        im.put(nodes[3] + 8 * (addr >> 12 & 511), 0x2000056789000 | 2 << 8 | 3 | USER)
        got = self.ask(self.config(im), q(0xf123000001234), q(addr + 0x777, rid=1), q(addr | 1 << 52, rid=1))
        self.ok(got[0], 0xa000456781234, 16, "rwx")
        self.ok(got[1], 0xa000056789777, 12, "rwx")
        self.event(got[2], 0x10, 1, sid=1, w1=self.READ | self.IN, addr=addr | 1 << 52)

    def test_addresses_too_wide(self):
        im = self.one(ips=3)  # 42 bits
        im.map(im.t0, 0x1000, 1 << 42 | USER)
        im.map(im.t0, 0x2000, (1 << 42) - 0x1000 | USER)
        im.put(im.t0 + 8, 1 << 42 | 3)
        im.ste(1, S1, ctx=im.ctx + 64)
        im.cd(im.ctx + 64, ttb0=1 << 42, ips=3, asid=2)
        im.ste(2, BYPASS)
        im.ste(3, S2, s2=im.s2(), q3=im.page())
        got = self.ask(self.config(im), q(0x1000), q(0x2000), q(1 << 39), q(0x1000, rid=1), q(1 << 52, rid=2), q((1 << 52) - 1, rid=2),
                       q(1 << 52, rid=3))
        self.event(got[0], 0x11, 1, w1=self.READ | self.IN, addr=0x1000)
        self.ok(got[1], (1 << 42) - 0x1000, 12, "rwx")
        self.event(got[2], 0x11, 1, w1=self.READ | self.IN, addr=1 << 39)
        self.event(got[3], 0x0a, sid=1)
        # 7.3.14: a bypassed stage 1 is still stage 1
        self.event(got[4], 0x11, 1, sid=2, w1=self.READ | self.IN, addr=1 << 52)
        self.ok(got[5], (1 << 52) - 1, 52, "rwx")
        self.event(got[6], 0x11, 1, sid=3, w1=self.READ | self.IN, addr=1 << 52)

    def test_hierarchy(self):
        """APTable, UXNTable, PXNTable (D8.4.1.3), and HAD0, which switches them off."""
        for q1 in (0, 2):
            im = self.one(q1=q1)
            im.map(im.t0, 0x1000, 0x5000 | USER)
            im.put(im.t0, im.get(im.t0) | 1 << 61)  # not for the unprivileged
            im.map(im.t0, 1 << 39, 0x6000 | AF | UXN)
            im.put(im.t0 + 8, im.get(im.t0 + 8) | 1 << 62 | 1 << 59)  # read-only, PXN
            got = self.ask(self.config(im), q(0x1000), q(0x1000, priv=True), q(1 << 39, priv=True), q(1 << 39, "write", priv=True))
            if q1:
                self.ok(got[0], 0x5000, 12, "rwx")
                self.ok(got[1], 0x5000, 12, "rw")
                self.ok(got[2], 0x6000, 12, "rwx")
                self.ok(got[3], 0x6000, 12, "rwx")
            else:
                self.event(got[0], 0x13, 1, w1=self.READ | self.IN, addr=0x1000)
                self.ok(got[1], 0x5000, 12, "rwx")
                self.ok(got[2], 0x6000, 12, "r")
                self.event(got[3], 0x13, 1, w1=self.PNU | self.IN, addr=1 << 39)

    def test_pan(self):
        im = self.one(q0=PAN)
        im.map(im.t0, 0x1000, 0x5000 | USER)
        im.map(im.t0, 0x2000, 0x6000 | AF)
        got = self.ask(self.config(im), q(0x1000), q(0x1000, priv=True), q(0x2000, "write", priv=True))
        self.ok(got[0], 0x5000, 12, "rwx")
        self.event(got[1], 0x13, 1, w1=self.READ | self.PNU | self.IN, addr=0x1000)
        self.ok(got[2], 0x6000, 12, "rwx")

    def test_overrides(self):
        """STE.PRIVCFG and INSTCFG; the record has what came of it. STRW 2: one privilege level, no TTB1."""
        im = self.one(ste={"q1": 3 << 48})
        im.map(im.t0, 0x1000, 0x5000 | AF | RDONLY)
        im.map(im.t0, 0x2000, 0x6000 | USER | UXN)
        for sid, q1 in ((1, 2 << 48), (2, 3 << 50), (3, 2 << 50), (4, 2 << 30)):
            im.ste(sid, S1, ctx=im.ctx, q1=q1, vmid=sid + 1)
        got = self.ask(self.config(im), q(0x1000), q(0x1000, "write"), q(0x1000, priv=True, rid=1), q(0x2000, rid=2),
                       q(0x2000, "write", rid=2), q(0x2000, "exec", rid=3), q(0x1000, rid=4), q(0x1000, "exec", rid=4),
                       q(0x2000, "exec", rid=4), q(0xffff800000000000, rid=4))
        self.ok(got[0], 0x5000, 12, "rx")
        self.event(got[1], 0x13, 1, w1=self.PNU | self.IN, addr=0x1000)
        self.event(got[2], 0x13, 1, sid=1, w1=self.READ | self.IN, addr=0x1000)
        self.event(got[3], 0x13, 1, sid=2, w1=self.READ | self.IND | self.IN, addr=0x2000)
        self.ok(got[4], 0x6000, 12, "rw")
        self.ok(got[5], 0x6000, 12, "rw")
        self.ok(got[6], 0x5000, 12, "rx")
        self.ok(got[7], 0x5000, 12, "rx")
        self.event(got[8], 0x13, 1, sid=4, w1=self.READ | self.IND | self.IN, addr=0x2000)
        self.event(got[9], 0x10, 1, sid=4, w1=self.READ | self.IN, addr=0xffff800000000000)

    # ---- stage 2 ----

    def test_stage2(self):
        im = Image()
        t = im.page()
        im.ste(7, S2, s2=im.s2(), q3=t)
        im.map(t, 0x5000, 0x9000 | RW2)
        im.map(t, 0x6000, 0xa000 | AF | R | NORMAL)
        im.map(t, 0x7000, 0xb000 | AF | W | NORMAL)
        im.map(t, 0x8000, 0xc000 | R | W | NORMAL)
        im.map(t, 0x9000, 0xd000 | RW2 | UXN)  # XN[1]
        im.map(t, 0xa000, 0xe000 | RW2 | PXN)  # XN[0]: unprivileged execution only (XNX)
        im.map(t, 0x200000, 0x600000 | RW2, leaf=2)
        im.map(t, 0x40000000, 0xc0000000 | RW2, leaf=1)
        p = lambda *a, **k: q(*a, **dict({"rid": 7}, **k))
        got = self.ask(self.config(im), p(0x5fff), p(0x6000, "write"), p(0x6008), p(0x7000), p(0x7000, "write"), p(0x8000),
                       p(0x9000, "exec"), p(0xa000, "exec"), p(0xa000, "exec", priv=True), p(0x212345), p(0x41234567), p(0xb008, "write"),
                       p(1 << 48), p(0x5000, pasid=1))
        e = dict(stage=2, sid=7)
        self.ok(got[0], 0x9fff, 12, "rwx")
        self.event(got[1], 0x13, ipa=0x6000, w1=self.IN, addr=0x6000, **e)
        self.ok(got[2], 0xa008, 12, "rx")
        self.event(got[3], 0x13, ipa=0x7000, w1=self.READ | self.IN, addr=0x7000, **e)
        self.ok(got[4], 0xb000, 12, "wx")
        self.event(got[5], 0x12, ipa=0x8000, w1=self.READ | self.IN, addr=0x8000, **e)
        self.event(got[6], 0x13, ipa=0x9000, w1=self.READ | self.IND | self.IN, addr=0x9000, **e)
        self.ok(got[7], 0xe000, 12, "rwx")
        self.event(got[8], 0x13, ipa=0xa000, w1=self.READ | self.IND | self.PNU | self.IN, addr=0xa000, **e)
        self.ok(got[9], 0x612345, 21, "rwx")
        self.ok(got[10], 0xc1234567, 30, "rwx")
        self.event(got[11], 0x10, ipa=0xb008, w1=self.IN, addr=0xb008, **e)
        self.event(got[12], 0x10, ipa=1 << 48, w1=self.READ | self.IN, addr=1 << 48, **e)
        self.event(got[13], 0x08, sid=7, ssid=1)

    def test_stage2_starts(self):
        """Start tables one after the other (D8.2.5): 40 bits from level 1 take two of them; SL0 and sizes that do not go together."""
        im = Image()
        t = im.room(13)
        im.ste(0, S2, s2=im.s2(bits=40, sl0=1), q3=t)
        im.map(t, 0xffc0001000, 0x5000 | RW2, start=1)
        im.ste(1, S2, s2=im.s2(bits=40, sl0=0), q3=t, vmid=2)
        im.ste(2, S2, s2=im.s2(bits=40, sl0=3), q3=t, vmid=3)
        im.ste(3, S2, s2=im.s2(bits=53, sl0=2), q3=t, vmid=4)
        im.ste(4, S2, s2=im.s2(bits=48, sl0=2, ps=5), q3=1 << 48, vmid=5)
        im.ste(5, S2, s2=im.s2() & ~(1 << 51), q3=t, vmid=6)  # S2AA64
        im.ste(6, S2, s2=im.s2() | 1 << 52, q3=t, vmid=7)  # S2ENDI
        im.ste(7, S2, s2=im.s2(tg=3), q3=t, vmid=8)
        im.ste(8, S2, s2=im.s2(bits=40, sl0=1), q3=t + 0x1000, vmid=9)  # bits below the tables' size are taken for 0
        got = self.ask(self.config(im), q(0xffc0001008), q(1 << 40), *[q(0, rid=n) for n in range(1, 8)], q(0xffc0001010, rid=8))
        self.ok(got[0], 0x5008, 12, "rwx")
        self.event(got[1], 0x10, 2, ipa=1 << 40, w1=self.READ | self.IN, addr=1 << 40)
        for n in range(1, 8):
            self.event(got[1 + n], 0x04, sid=n)
        self.ok(got[9], 0x5010, 12, "rwx")

    # ---- both ----

    IPA = 0x5000000000

    def nested(self, flags=S2R, **cd):
        """Stage 1 structures at IPA + where they lie, so that no address is by chance the right one."""
        im = Image()
        im.t2, im.t1, im.ctx = im.page(), im.page(), im.page()
        im.ste(0, NESTED, ctx=self.IPA + im.ctx, cdmax=1, s2=im.s2(flags=flags), q3=im.t2)
        im.cd(im.ctx, ttb0=self.IPA + im.t1, **cd)
        im.cd(im.ctx + 64, ttb0=self.IPA + im.t1, asid=2, **cd)
        im.one = lambda addr, value, leaf=3: im.map(self.IPA + im.t1, addr, value, leaf=leaf, where=lambda ipa: ipa - self.IPA,
                                                    name=lambda pa: pa + self.IPA)
        im.two = lambda ipa, value, leaf=3: im.map(im.t2, ipa, value, leaf=leaf)
        return im

    def all_tables(self, im, flags=RW2, but=()):
        for pa in range(BASE, BASE + len(im.bytes) // 2, 4096):
            if pa not in but:
                im.two(self.IPA + pa, pa | flags)

    def test_nested(self):
        im = self.nested()
        im.one(0x1000, 0x555000 | USER | NG)
        im.one(0x2000, 0x556000 | USER | NG)
        im.one(0x3000, 0x557000 | USER | RDONLY)
        im.one(0x4000, 0x558000 | USER)
        im.one(0x200000, 0x40000000 | USER, leaf=2)
        im.one(0x40000000, 0x80000000 | USER, leaf=1)
        im.one(0x5000, 1 << 47 | USER)
        im.put(im.t1 + 8, (self.IPA + 0x900000) | 3)  # a table that stage 2 does not have
        im.put(im.t1 + 16, (self.IPA + 0x901000) | 3)  # one that may not be read
        im.put(im.t1 + 24, (self.IPA + 0x902000) | 3)  # one where no memory is
        im.put(im.t1 + 32, (self.IPA + 0x40000000) | 3)  # one whose stage 2 walk meets no memory
        self.all_tables(im)
        im.two(self.IPA + 0x901000, 0x1234000 | AF | W | NORMAL)
        im.two(self.IPA + 0x902000, ABSENT | RW2)
        node = im.get(im.t2 + 8 * (self.IPA >> 39)) & 0xfffffffff000
        node_at = node + 8 * ((self.IPA + 0x40000000) >> 30 & 511)
        im.put(node_at, ABSENT | 3)
        im.two(0x555000, 0x30000 | RW2)
        im.two(0x556000, 0x31000 | AF | R | NORMAL)
        im.two(0x557000, 0x32000 | RW2)
        im.two(0x40000000, 0x33000 | RW2)
        im.two(0x80000000, 0x600000 | RW2, leaf=2)
        got = self.ask(self.config(im), q(0x1abc), q(0x1abc, pasid=1), q(0x2000), q(0x2008, "write"), q(0x2008, "write"),
                       q(0x3000, "write"), q(0x4010), q(0x200123), q(0x201123), q(0x40012345), q(0x5000), q(1 << 39, "write"),
                       q(2 << 39), q(3 << 39), q(4 << 39), q(1 << 39 | 0xc0 << 30))
        self.ok(got[0], 0x30abc, 12, "rwx")
        self.ok(got[1], 0x30abc, 12, "rwx")
        self.ok(got[2], 0x31000, 12, "rx")
        for r in got[3:5]:
            self.event(r, 0x13, 2, ipa=0x556008, w1=self.IN, addr=0x2008)
        self.event(got[5], 0x13, 1, w1=self.IN, addr=0x3000)
        self.event(got[6], 0x10, 2, ipa=0x558010, w1=self.READ | self.IN, addr=0x4010)
        self.ok(got[7], 0x33123, 12, "rwx")  # 2 MiB by 4 KiB
        self.event(got[8], 0x10, 2, ipa=0x40001123, w1=self.READ | self.IN, addr=0x201123)
        self.ok(got[9], 0x612345, 21, "rwx")  # 1 GiB by 2 MiB
        self.event(got[10], 0x10, 2, ipa=1 << 47, w1=self.READ | self.IN, addr=0x5000)
        self.event(got[11], 0x10, 2, ipa=self.IPA + 0x900000, w1=self.TT, addr=1 << 39)
        self.event(got[12], 0x13, 2, ipa=self.IPA + 0x901000, w1=self.READ | self.TT | 1 << 44, addr=2 << 39)
        self.event(got[13], 0x0b, 1, w1=self.READ | self.TT, addr=3 << 39, w3=ABSENT)
        self.event(got[14], 0x0b, 2, ipa=self.IPA + 0x40000000, w1=self.READ | self.TT, addr=4 << 39, w3=ABSENT)
        self.event(got[15], 0x10, 2, ipa=self.IPA + 0x900000 + 8 * 0xc0, w1=self.READ | self.TT, addr=1 << 39 | 0xc0 << 30)

    def test_nested_cd(self):
        """Stage 2 refuses the CD: class CD, and the address of the CD."""
        for change, code in ((lambda im: None, 0x10), (lambda im: im.two(self.IPA + im.ctx, im.ctx | W | AF | NORMAL), 0x13),
                             (lambda im: im.two(self.IPA + im.ctx, im.ctx | R | W | NORMAL), 0x12),
                             (lambda im: im.two(self.IPA + im.ctx, ABSENT | RW2), 9)):
            im = self.nested()
            self.all_tables(im, but=(im.ctx,))
            im.one(0x1000, 0x5000 | USER)
            change(im)
            got = self.ask(self.config(im), q(0x1000, pasid=1))
            if code == 9:
                self.event(got[0], 9, ssid=1, w3=ABSENT + 64)
            else:
                self.event(got[0], code, 2, ipa=self.IPA + im.ctx + 64, ssid=1, w1=self.READ | self.CD, addr=0x1000)

    def test_protected_walks(self):
        """S2PTW: a walk that stage 2 leads to device memory."""
        for attr, ok in ((NORMAL, True), (0 << 2, False), (3 << 2, False), (5 << 2, True)):
            im = self.nested(flags=S2R | S2PTW)
            im.one(0x1000, 0x555000 | USER)
            self.all_tables(im, but=(im.t1,))
            im.two(self.IPA + im.t1, im.t1 | AF | R | W | attr)
            im.two(0x555000, 0x30000 | AF | R | W)  # device memory: fine for the access itself
            got = self.ask(self.config(im), q(0x1000))
            if ok:
                self.ok(got[0], 0x30000, 12, "rwx")
            else:
                self.event(got[0], 0x13, 2, ipa=self.IPA + im.t1, w1=self.READ | self.TT | 1 << 44, addr=0x1000)

    # ---- configuration ----

    def test_stream_table(self):
        im = Image(log2size=4)
        t = im.page()
        im.map(t, 0x1000, 0x5000 | RW2)
        im.ste(1, BYPASS)
        im.ste(2, 0)
        im.ste(3, 1)  # 0b001: abort as well
        im.ste(4, S1, ctx=1 << 52)
        im.ste(5, S1, ctx=ABSENT)
        im.ste(15, S2, s2=im.s2(), q3=t)
        im.put(im.strtab + 64 * 15 + 24, t | 1)  # RES0 is not looked at
        ask = lambda *r, **k: self.ask(self.config(im, **k), *r)
        got = ask(q(0x1234, rid=1), q(0x1234, "exec", rid=1), q(0, rid=2), q(0, rid=3, pasid=3), q(0, rid=4), q(0, rid=5), q(0x1000, rid=15),
                  q(0, rid=16, pasid=9), q(0, rid=0xffff))
        self.ok(got[0], 0x1234, 52, "rwx")
        self.ok(got[1], 0x1234, 52, "rwx")
        self.silent(got[2], 0)
        self.silent(got[3], 0)
        self.event(got[4], 0x04, sid=4)
        self.event(got[5], 0x09, sid=5, w3=ABSENT)
        self.ok(got[6], 0x5000, 12, "rwx")
        self.event(got[7], 0x02, sid=16, ssid=9)
        self.event(got[8], 0x02, sid=0xffff)
        # the table, or its end, is not there; bits below its size are taken for 0
        got = ask(q(0, rid=3), q(0, rid=0), strtab=ABSENT)
        self.event(got[0], 0x03, sid=3, w3=ABSENT + 192)
        self.event(got[1], 0x03, w3=ABSENT)
        self.ok(ask(q(0x1000, rid=15), strtab=im.strtab | 0x3c0 | 1 << 62)[0], 0x5000, 12, "rwx")
        self.event(ask(q(0, rid=1), cfg=0)[0], 0x02, sid=1)

    def test_stream_table_of_two_levels(self):
        im = Image()
        t = im.page()
        im.map(t, 0x1000, 0x5000 | RW2)
        l1, l2 = im.page(), im.page()
        cfg = 1 << 16 | 8 << 6 | 12  # FMT, SPLIT, LOG2SIZE: 16 level 1 descriptors
        im.put(l1 + 8 * 1, l2 | 7)  # 64 entries
        im.put(l1 + 8 * 2, ABSENT | 9)
        im.put(l1 + 8 * 3, l2 | 10)  # more than SPLIT
        im.put(l1 + 8 * 4, l2 | 12)  # reserved
        im.put(l1 + 8 * 5, 1 << 53 | 9)
        im.ste(0, S2, s2=im.s2(), q3=t, at=l2 + 64 * 63)
        ask = lambda *r: self.ask(self.config(im, strtab=l1, cfg=cfg), *r)
        got = ask(q(0x1000, rid=0x13f), q(0, rid=0x140), q(0, rid=0x001), q(0, rid=0x205), q(0, rid=0x300), q(0, rid=0x400),
                  q(0, rid=0x1000), q(0, rid=0x500))
        self.ok(got[0], 0x5000, 12, "rwx")
        for n in (1, 2, 4, 5, 6):
            self.event(got[n], 0x02, sid=(0, 0x140, 0x001, 0, 0x300, 0x400, 0x1000)[n])
        self.event(got[3], 0x03, sid=0x205, w3=ABSENT + 5 * 64)
        # 3.4.3: an L2Ptr out of range
        self.assertIn(got[7]["fault"], ("0x2", "0x3"))
        got = self.ask(self.config(im, strtab=ABSENT, cfg=cfg), q(0, rid=0x13f))
        self.event(got[0], 0x03, sid=0x13f, w3=ABSENT + 8)
        # without two-level tables FMT is not looked at
        got = self.ask(self.config(im, {"IDR0": 3 | 2 << 2 | 1 << 4}, strtab=l2, cfg=cfg - 6), q(0x1000, rid=63))
        self.ok(got[0], 0x5000, 12, "rwx")

    def test_substreams(self):
        im = Image()
        t = im.page()
        im.map(t, 0x1000, 0x5000 | USER | NG)
        ctx = im.page()
        for ssid in (0, 1, 6):
            im.cd(ctx + 64 * ssid, ttb0=t, asid=ssid + 1)
        for sid, dss in ((0, 0), (1, 1), (2, 2), (3, 3)):
            im.ste(sid, S1, ctx=ctx, cdmax=3, dss=dss, vmid=1)
        im.ste(4, S1, ctx=ctx, cdmax=21)
        im.ste(5, S1, ctx=ctx, cdmax=0)
        got = self.ask(self.config(im), q(0x1000, pasid=6), q(0x1000), q(0x1000, pasid=0), q(0x1000, rid=1), q(0x1000, rid=1, pasid=1),
                       q(0x1000, rid=2), q(0x1000, rid=2, pasid=0), q(0x1000, rid=2, pasid=1), q(0x1000, pasid=8), q(0x1000, pasid=7),
                       q(0x1000, rid=4, pasid=1), q(0x1000, rid=5), q(0x1000, rid=5, pasid=0), q(0x1000, rid=3))
        self.ok(got[0], 0x5000, 12, "rwx")
        self.event(got[1], 0x06)
        self.ok(got[2], 0x5000, 12, "rwx")
        self.ok(got[3], 0x1000, 52, "rwx")
        self.ok(got[4], 0x5000, 12, "rwx")
        self.ok(got[5], 0x5000, 12, "rwx")
        self.event(got[6], 0x06, sid=2, ssid=0)
        self.ok(got[7], 0x5000, 12, "rwx")
        self.event(got[8], 0x08, ssid=8)
        self.event(got[9], 0x0a, ssid=7)
        self.event(got[10], 0x04, sid=4, ssid=1)
        self.ok(got[11], 0x5000, 12, "rwx")
        self.event(got[12], 0x08, sid=5, ssid=0)
        # 5.2: 0b11 is reserved and behaves as 0b00
        self.event(got[13], 0x06, sid=3)

    def test_cds_of_two_levels(self):
        for fmt, split in ((1, 6), (2, 10)):
            im = Image(128)
            t = im.page()
            im.map(t, 0x1000, 0x5000 | USER | NG)
            l1, l2 = im.page(), im.room(split + 6)
            im.put(l1 + 8 * 1, l2 | 1)
            im.put(l1 + 8 * 2, ABSENT | 1)
            im.ste(0, S1, ctx=l1, cdmax=split + 2, fmt=fmt)
            im.cd(l2 + 64 * 5, ttb0=t)
            one = 1 << split
            got = self.ask(self.config(im), q(0x1000, pasid=one + 5), q(0, pasid=one + 6), q(0, pasid=5), q(0, pasid=2 * one + 1), q(0),
                           q(0, pasid=4 * one))
            self.ok(got[0], 0x5000, 12, "rwx")
            self.event(got[1], 0x0a, ssid=one + 6)
            self.event(got[2], 0x08, ssid=5)
            self.event(got[3], 0x09, ssid=2 * one + 1, w3=ABSENT + 64)
            self.event(got[4], 0x08)  # SubstreamID 0, and no SSV bit here
            self.event(got[5], 0x08, ssid=4 * one)
            im.ste(0, S1, ctx=ABSENT, cdmax=split + 2, fmt=fmt)
            got = self.ask(self.config(im), q(0, pasid=one + 5))
            self.event(got[0], 0x09, ssid=one + 5, w3=ABSENT + 8)

    def test_context_descriptors(self):
        im = Image()
        t, ctx = im.page(), im.page()
        im.map(t, 0x1000, 0x5000 | USER | NG)
        # one bit or field each that makes a CD illegal (5.4)
        bad = [dict(flags=RR), dict(flags=A | RR, tg0=3), dict(bits0=53), dict(bits0=15), dict(q0=1 << 15), dict(ips=3, ttb0=1 << 45)]
        good = [dict(), dict(q0=HA | HD), dict(ips=7), dict(q0=S), dict(flags=A)]
        for n, k in enumerate(bad + good):
            k = dict({"ttb0": t, "asid": n + 1}, **k)
            tg = k.pop("tg0", 0)
            im.cd(ctx + 64 * n, **k)
            im.put(ctx + 64 * n, im.get(ctx + 64 * n) | tg << 6)
        im.ste(0, S1, ctx=ctx, cdmax=5, dss=0)
        n = len(bad) + len(good)
        im.cd(ctx + 64 * n, ttb0=t)
        im.put(ctx + 64 * n, im.get(ctx + 64 * n) & ~(1 << 31))
        im.cd(ctx + 64 * (n + 1), ttb0=t)
        im.put(ctx + 64 * (n + 1), im.get(ctx + 64 * (n + 1)) & ~(1 << 41))
        got = self.ask(self.config(im), *[q(0x1000, pasid=i) for i in range(n + 2)])
        for i in list(range(1, len(bad))) + [n, n + 1]:
            with self.subTest(i=i):
                self.event(got[i], 0x0a, ssid=i)
        for i in [0] + list(range(len(bad), n)):  # A of 0 is fine where faults may read as zero
            with self.subTest(i=i):
                self.ok(got[i], 0x5000, 12, "rwx")
        # IDR0.TERM_MODEL: they may not
        idr0 = 3 | 2 << 2 | 1 << 4 | 2 << 6 | 1 << 12 | 1 << 26
        got = self.ask(self.config(im, {"IDR0": idr0}), q(0x1000, pasid=0))
        self.event(got[0], 0x0a, ssid=0)

    def test_what_is_not_recorded(self):
        """5.5: CD.R and S2R; an event number all the same."""
        im = self.one(flags=A)
        t2 = im.page()
        im.ste(1, S2, s2=im.s2(flags=0), q3=t2)
        im.ste(2, S2, s2=im.s2(flags=0), q3=t2, vmid=2)
        im.put(t2 + 8, ABSENT | 3)
        got = self.ask(self.config(im), q(0x1000), q(0x1008, "write", rid=1), q(1 << 39, rid=2))
        self.silent(got[0], 0x10, 1)
        self.silent(got[1], 0x10, 2, 0x1008)
        # an external abort is not one of the faults that they are about
        self.event(got[2], 0x0b, 2, ipa=1 << 39, sid=2, w1=self.READ | self.IN, addr=1 << 39, w3=ABSENT)

    def test_nobody_waits(self):
        """CD.S and S2S: there is nobody who could resume a transaction, so it ends, and its record says so."""
        im = self.one(flags=RR | A | S)
        t2 = im.page()
        im.ste(1, S2, s2=im.s2(flags=1 << 57), q3=t2)
        got = self.ask(self.config(im), q(0x1000), q(0x1000), q(0x2000, rid=1))
        for r in got[:2]:
            self.event(r, 0x10, 1, w1=self.READ | self.IN, addr=0x1000)
        self.event(got[2], 0x10, 2, ipa=0x2000, sid=1, w1=self.READ | self.IN, addr=0x2000)

    def test_caps(self):
        """IDR0, IDR1, IDR3, IDR5 by hand, 6.3.1 to 6.3.6; what they do not have is not there."""
        im = Image(160)
        t, t64, ctx = im.page(), im.page(G64), im.page()
        im.ste(0, S1, ctx=ctx, cdmax=1)
        im.cd(ctx, ttb0=t, ips=6)
        im.cd(ctx + 64, ttb0=t64, tg0=G64, asid=2)
        im.map(t, 0x1000, 0x5000 | USER | NG)
        im.map(t, 0x2000, 1 << 44 | USER | NG)
        im.map(t64, 0x10000, 0x50000 | USER | NG, start=1, tg=G64)
        im.ste(1, S2, s2=im.s2(), q3=t)
        idr0, idr1, idr5 = 1 << 1 | 2 << 2 | 1 << 4, 8 | 1 << 6, 4 | 1 << 4  # stage 1; 256 streams, 1 bit of SubstreamID; 44 bits, 4 KiB
        got = self.ask(self.config(im, {"IDR0": idr0, "IDR1": idr1, "IDR3": 0, "IDR5": idr5}), q(0x1000), q(0x2000), q(0x10000, pasid=1),
                       q(0x1000, rid=1), q(0x1000, pasid=2))
        self.ok(got[0], 0x5000, 12, "rwx")
        self.event(got[1], 0x11, 1, w1=self.READ | self.IN, addr=0x2000)
        self.event(got[2], 0x0a, ssid=1)
        self.event(got[3], 0x04, sid=1)
        self.event(got[4], 0x08, ssid=2)
        # one of them: the others are all that the model can do
        got = self.ask(self.config(im, {"IDR5": idr5 | 1 << 6}), q(0x1000), q(0x10000, pasid=1), q(0x2000))
        self.ok(got[0], 0x5000, 12, "rwx")
        self.ok(got[1], 0x50000, 16, "rwx")
        self.event(got[2], 0x11, 1, w1=self.READ | self.IN, addr=0x2000)

    # ---- what is left in memory ----

    def test_access_flag_and_dirty_state(self):
        im = Image()
        t, ctx, t2 = im.page(), im.page(), im.page()
        im.ste(0, S1, ctx=ctx, cdmax=2)
        for ssid, q0 in ((0, HA | HD), (1, HA), (2, 1 << 35)):  # 35: AFFD, no faults for lack of the flag
            im.cd(ctx + 64 * ssid, ttb0=t, asid=ssid + 1, q0=q0)
        one = im.map(t, 0x1000, 0x21000 | EL0 | NG)
        two = im.map(t, 0x2000, 0x22000 | EL0 | NG | RDONLY | DBM)
        three = im.map(t, 0x3000, 0x23000 | USER | NG | RDONLY | DBM)
        four = im.map(t, 0x4000, 0x24000 | EL0 | NG)
        five = im.map(t, 0x5000, 0x25000 | USER | NG | RDONLY | DBM)
        six = im.map(t, 0x6000, 0x26000 | EL0 | NG)
        im.ste(1, S2, s2=im.s2(flags=S2R | S2HA | S2HD), q3=t2)
        im.ste(2, S2, s2=im.s2(flags=S2R | S2AFFD), q3=t2, vmid=2)
        s_one = im.map(t2, 0x1000, 0x31000 | R | W | NORMAL)
        s_two = im.map(t2, 0x2000, 0x32000 | R | DBM | NORMAL)
        s_three = im.map(t2, 0x3000, 0x33000 | R | DBM | NORMAL)
        s_four = im.map(t2, 0x4000, 0x34000 | R | W | NORMAL)
        config = self.config(im)
        out = os.path.join(self.dir, "out")
        got = self.ask(config, q(0x1000), q(0x2000), q(0x3000, "write"), q(0x4000, pasid=1), q(0x5000, "write", pasid=1),
                       q(0x6000, pasid=2), q(0x1000, rid=1), q(0x2000, rid=1), q(0x3000, "atomic", rid=1), q(0x4000, rid=2),
                       args=("--image-out", out))
        self.ok(got[0], 0x21000, 12, "rwx")
        self.ok(got[1], 0x22000, 12, "rwx")  # it may be written: hardware would make it so
        self.ok(got[2], 0x23000, 12, "rwx")
        self.ok(got[3], 0x24000, 12, "rwx")
        self.event(got[4], 0x13, 1, ssid=1, w1=self.IN, addr=0x5000)
        self.ok(got[5], 0x26000, 12, "rwx")
        self.ok(got[6], 0x31000, 12, "rwx")
        self.ok(got[7], 0x32000, 12, "rwx")
        self.ok(got[8], 0x33000, 12, "rwx")
        self.ok(got[9], 0x34000, 12, "rwx")
        with open(os.path.join(out, "mem.bin"), "rb") as f:
            after = f.read()
        want = bytearray(im.bytes)
        for at, on, off in ((one, AF, 0), (two, AF, 0), (three, 0, RDONLY), (four, AF, 0), (five, 0, 0), (six, 0, 0), (s_one, AF, 0),
                            (s_two, AF, 0), (s_three, AF | W, 0), (s_four, 0, 0)):
            struct.pack_into("<Q", want, at - BASE, im.get(at) & ~off | on)
        diff = [hex(BASE + i) for i in range(0, len(want), 8) if want[i:i + 8] != after[i:i + 8]]
        self.assertEqual(diff, [])

    def test_updates_through_stage_2(self):
        """A flag in a stage 1 descriptor is a write: class TT, TTRnW 0. With hardware dirty state it marks stage 2 as well."""
        im = self.nested(q0=HA)
        at = im.one(0x1000, 0x555000 | EL0)
        im.two(0x555000, 0x30000 | RW2)
        self.all_tables(im, AF | R | NORMAL)
        got = self.ask(self.config(im), q(0x1000), q(0x1000))
        for r in got:
            self.event(r, 0x13, 2, ipa=self.IPA + at, w1=self.READ | self.TT, addr=0x1000)
        im = self.nested(flags=S2R | S2HA | S2HD, q0=HA)
        at = im.one(0x1000, 0x555000 | EL0)
        im.two(0x555000, 0x30000 | RW2)
        self.all_tables(im, AF | R | DBM | NORMAL)
        out = os.path.join(self.dir, "out")
        self.ok(self.ask(self.config(im), q(0x1000), args=("--image-out", out))[0], 0x30000, 12, "rwx")
        with open(os.path.join(out, "mem.bin"), "rb") as f:
            after = f.read()
        self.assertEqual(struct.unpack_from("<Q", after, at - BASE)[0], im.get(at) | AF)
        changed = [BASE + i for i in range(0, len(after), 8) if bytes(im.bytes[i:i + 8]) != after[i:i + 8]]
        self.assertEqual(len(changed), 2)

    def test_flush(self):
        """
        Nothing writes to memory but the walks themselves. So: a stage 1 descriptor is the page in which another stream's walk finds its
        access flag to set.
        """
        im = self.one(q0=HA)
        im.map(im.t0, 0x1000, 0x5000 | USER)
        ctx2 = im.page()
        # stream 1 finds the CD of stream 0 where its last table should be: words 0, 1, ... are its pages
        t = im.page()
        nodes = [im.page(), im.page()]
        im.put(t, nodes[0] | 3)
        im.put(nodes[0], nodes[1] | 3)
        im.put(nodes[1], im.ctx | 3)
        im.ste(1, S1, ctx=ctx2, vmid=2)
        im.cd(ctx2, ttb0=t, q0=HA)
        im.put(im.ctx + 8 * 7, 0x9000 | 3 | EL0)  # word 7 of the CD is nobody's
        config = self.config(im)
        out = os.path.join(self.dir, "out")
        got = self.ask(config, q(0x1000), q(0x7010, rid=1), q(0x1000), {"flush": True}, q(0x1000), args=("--image-out", out))
        self.assertEqual(len(got), 4)
        for n in (0, 2, 3):
            self.ok(got[n], 0x5000, 12, "rwx")
        self.ok(got[1], 0x9010, 12, "rwx")
        with open(os.path.join(out, "mem.bin"), "rb") as f:
            self.assertEqual(struct.unpack_from("<Q", f.read(), im.ctx + 56 - BASE)[0], 0x9000 | 3 | EL0 | AF)

    def test_what_flush_empties(self):
        """The same, where it tells: T0SZ of stream 0 becomes another one when AF is set in its CD's word 0 (bit 10 is cacheability)."""
        im = self.one()
        im.map(im.t0, 0x1000, 0x5000 | USER)
        # Word 0 of the STE of stream 8 as a page of stream 1: bit 10 is part of S1ContextPtr, and moves it by 1024.
        t, ctx1 = im.page(), im.page()
        nodes = [im.page(), im.page()]
        im.put(t, nodes[0] | 3)
        im.put(nodes[0], nodes[1] | 3)
        im.put(nodes[1], im.strtab | 3)
        im.ste(1, S1, ctx=ctx1, vmid=2)
        im.cd(ctx1, ttb0=t, q0=HA, asid=7)
        # stream 8's STE is word 64 of the table: page 64 of stream 1. Config 5, V: bits 0 to 3 are 0b1011, a page.
        im.ste(8, S1, ctx=im.ctx, vmid=3, cdmax=0)
        other = im.ctx + 1024
        im.cd(other, ttb0=0, asid=3)  # both halves off
        touch = q(64 << 12, "read", rid=1, priv=True)
        config = self.config(im)
        got = self.ask(config, q(0x1000, rid=8), touch, q(0x1000, rid=8), {"flush": True}, q(0x1000, rid=8))
        self.assertTrue(got[1]["ok"], got[1])
        self.ok(got[0], 0x5000, 12, "rwx")
        self.ok(got[2], 0x5000, 12, "rwx")
        self.event(got[3], 0x10, 1, sid=8, w1=self.READ | self.IN, addr=0x1000)
        got = self.ask(config, touch, q(0x1000, rid=8))
        self.event(got[1], 0x10, 1, sid=8, w1=self.READ | self.IN, addr=0x1000)

    # ---- refusals ----

    def test_configuration_is_refused(self):
        im = Image()
        self.config(im)
        good = {"memory": [{"base": hex(BASE), "file": "mem.bin"}], "registers": {"STRTAB_BASE": "0x100000", "STRTAB_BASE_CFG": "0x8"},
                "caps": {"IDR0": "0x1f", "IDR1": "0x10", "IDR3": "0x0", "IDR5": "0x15"}}
        self.ok_config(good)
        for part, key, value, words in (
                ("registers", "STRTAB_BASE", None, ("STRTAB_BASE is missing",)),
                ("registers", "STRTAB_BASE_CFG", None, ("STRTAB_BASE_CFG is missing",)),
                ("registers", "STRTAB_BASE_CFG", "0x100000000", ("STRTAB_BASE_CFG has 32 bits",)),
                ("registers", "RTADDR", "0x0", ("RTADDR is not known for model smmuv3", "STRTAB_BASE, STRTAB_BASE_CFG")),
                ("caps", "IDR0", "0x1c", ("neither stage",)),
                ("caps", "IDR5", "0x5", ("granule",)),
                ("caps", "IDR1", "0x100000000", ("IDR1 has 32 bits",)),
                ("caps", "IDR2", "0x0", ("IDR2 is not known", "IDR0, IDR1, IDR3, IDR5")),
                ("caps", "CAP", "0x0", ("CAP is not known",))):
            with self.subTest(key=key, value=value):
                c = json.loads(json.dumps(good))
                if value is None:
                    del c[part][key]
                else:
                    c[part][key] = value
                path = self.file("bad.json", json.dumps(c, indent=1))
                got = self.nestbox("translate", "--model", "smmuv3", "--config", path)
                self.refused(got, 1, "bad.json:", *words)

    def ok_config(self, c):
        path = self.file("good.json", json.dumps(c))
        got = self.raw(path, "")
        self.assertEqual((got.returncode, got.stderr), (0, b""))


if __name__ == "__main__":
    clitest.main()

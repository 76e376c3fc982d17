#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nestbox translate: images made by hand from the numbers of the VT-d manual, each field of each answer written out.

tests/conform/translate_vtd compares many random requests with another walker; these are the cases one by one.
"""
import json
import os
import struct

import clitest
from translate_image import (A, BASE, D, EA, FS, LEGACY, NESTED, P, PS, PT, RO, RW, RWB, SS, US, WO, XD, Image, TranslateTest)


class Translate(TranslateTest):
    # ---- translations ----

    def test_legacy(self):
        im = Image(ttm=LEGACY)
        root = im.legacy(0x1234)
        im.map(root, 0x12345678000, 0x2000000 | RW)
        im.map(root, 0x12345679000, 0x2001000 | RO)
        im.map(root, 0x1234567a000, 0x2002000 | WO)
        im.map(root, 0x12345800000, 0x40000000 | RW | PS, leaf=2)
        im.map(root, 0x12380000000, 0x80000000 | RO | PS, leaf=3)
        im.map(root, 0x8000000000, 0, node=RO)
        im.map(root, 0x8000001000, 0x5000 | RW)
        rid = 0x1234
        q = lambda addr, op="read", **k: dict({"rid": rid, "addr": addr, "op": op}, **k)
        got = self.ask(self.config(im), q(0x12345678abc), q(0x12345678abc, "write"), q(0x12345678abc, "atomic"),
                       q(0x12345679008), q(0x12345679008, "write"), q(0x1234567a123, "write"), q(0x1234567a123),
                       q(0x12345812345), q(0x123876543f8), q(0x8000001010), q(0x8000001010, "atomic"),
                       q(0x12345679008, "exec"), q(0x1234567b000), q(0x1234567b000, "write"), q(1 << 48),
                       q(0x12345678000, pasid=5), q(0x12345678000, rid=0x1235), q(0x12345678000, rid=0x0034))
        self.ok(got[0], 0x2000abc, 12, "rw")
        self.ok(got[1], 0x2000abc, 12, "rw")
        self.ok(got[2], 0x2000abc, 12, "rw")
        self.ok(got[3], 0x2001008, 12, "r")
        self.fault(got[4], 0x05, 2, 0x12345679008, (0x12345679000, rid, 0))
        self.ok(got[5], 0x2002123, 12, "w")
        self.fault(got[6], 0x06, 2, 0x1234567a123, (0x1234567a000, rid, self.T1))
        self.ok(got[7], 0x40012345, 21, "rw")
        self.ok(got[8], 0x876543f8, 30, "r")
        self.ok(got[9], 0x5010, 12, "r")
        self.fault(got[10], 0x05, 2, 0x8000001010, (0x8000001000, rid, self.T1 | self.T2))
        self.ok(got[11], 0x2001008, 12, "r")  # without PASID, a request to execute is a read
        self.fault(got[12], 0x06, 2, 0x1234567b000, (0x1234567b000, rid, self.T1))
        self.fault(got[13], 0x05, 2, 0x1234567b000, (0x1234567b000, rid, 0))
        self.fault(got[14], 0x04, 2, 1 << 48, (1 << 48, rid, self.T1))
        self.fault(got[15], 0x31, None, None, (0x12345678000, rid, self.T1 | self.PP | 5 << 40))
        self.fault(got[16], 0x02, None, None, (0x12345678000, 0x1235, self.T1))
        self.fault(got[17], 0x01, None, None, (0x12345678000, 0x0034, self.T1))
        self.assertEqual([r["id"] for r in got], list(range(18)))

    def test_legacy_entries(self):
        im = Image(ttm=LEGACY)
        im.legacy(0x0001, low=0x10)  # reserved
        im.legacy(0x0002, high=1 << 7)
        im.legacy(0x0003, tt=3)
        im.legacy(0x0004, aw=4)
        t = im.legacy(0x0005)
        im.map(t, 0x1000, 0x800 | 0x2000 | RW)  # SNP in a leaf is one; in a node it is reserved
        im.map(t, 1 << 39, 0x2000 | RW, node=RW | 0x800)
        im.map(t, 2 << 39, 0x2000 | RW | 1 << 62)
        t = im.legacy(0x0006, low=2)  # FPD
        im.legacy(0x0007, tt=2)  # pass-through
        im.legacy(0x0008, tt=2, aw=1)
        im.put(im.legacy(0x0009), 0x7000000000 | RW)  # the next table is not there
        im.legacy(0x000a)
        im.put(im.ctx, 0x7000000000 | 1)  # the first is not
        im.put(im.root + 16 * 1, 0x7000000000 | 1)
        im.put(im.root + 16 * 2, BASE | 1 | 0x800)
        im.put(im.root + 16 * 3, BASE | 1)
        im.put(im.root + 16 * 3 + 8, 1)
        q = lambda rid, addr=0x1000, op="read": {"rid": rid, "addr": addr, "op": op}
        got = self.ask(self.config(im), q(1), q(2), q(3), q(4), q(5), q(5, 1 << 39), q(5, 2 << 39), q(6), q(6, 0x1000, "write"),
                       q(7, (1 << 40) + 5), q(7, 1 << 48), q(8, 1 << 39), q(8, 1 << 52), q(9), q(10), q(0x100), q(0x200), q(0x300))
        self.fault(got[0], 0x0b, None)
        self.fault(got[1], 0x0b, None)
        self.fault(got[2], 0x03, None)
        self.fault(got[3], 0x03, None)
        self.ok(got[4], 0x2000, 12, "rw")
        self.fault(got[5], 0x0c, 2, 1 << 39)
        self.fault(got[6], 0x0c, 2, 2 << 39)
        self.fault(got[7], 0x06, 2, 0x1000, "none")
        self.fault(got[8], 0x05, 2, 0x1000, "none")
        self.ok(got[9], (1 << 40) + 5, 52, "rw")
        self.ok(got[10], 1 << 48, 52, "rw")
        self.ok(got[11], 1 << 39, 52, "rw")  # AW is not looked at
        self.fault(got[12], 0x04, None)
        self.fault(got[13], 0x07, 2, 0x1000)
        self.fault(got[14], 0x03, 2, 0x1000)
        self.fault(got[15], 0x09, None)
        self.fault(got[16], 0x0a, None)
        self.fault(got[17], 0x0a, None)

    def test_modes_of_the_root(self):
        im = Image()
        c = {"memory": [], "registers": {"RTADDR": "0x0"}}
        for rtaddr, code in ((0x5000, 0x08), (0x5400, 0x38), (0x5800, 0x30), (0x5c00, 0x33)):
            c["registers"]["RTADDR"] = hex(rtaddr)
            got = self.ask(self.file("c.json", json.dumps(c)), {"addr": 0x1000})
            self.fault(got[0], code, None, None, (0x1000, 0, self.T1))
        del im

    def test_second_stage(self):
        im = Image()
        t = im.page()
        im.scalable(0x0180, SS, ss=t)
        im.map(t, 0x5000, 0x9000 | RW)
        im.map(t, 0x6000, 0xa000 | RO)
        im.map(t, 0x7000, 0xb000 | RW | 1 << 62)
        im.map(t, 0x200000, 0x600000 | RW | PS | 0x1000, leaf=2)
        im.map(t, 0x400000, 0xc0000000 | WO, node=RO)
        rid = 0x180
        q = lambda addr, op="read", **k: dict({"rid": rid, "addr": addr, "op": op}, **k)
        got = self.ask(self.config(im), q(0x5fff), q(0x6000, "write"), q(0x6000, "write"), q(0x7000), q(0x200000), q(0x8000),
                       q(1 << 48, "write"), q(0x5000, pasid=0), q(0x5000, pasid=77), q(0x400000))
        self.ok(got[0], 0x9fff, 12, "rw")
        self.fault(got[1], 0x85, 2, 0x6000, (0x6000, rid, 0))
        self.fault(got[2], 0x85, 2, 0x6000, (0x6000, rid, 0))
        self.fault(got[3], 0x7a, 2, 0x7000, (0x7000, rid, self.T1))
        self.fault(got[4], 0x7a, 2, 0x200000)
        self.fault(got[5], 0x79, 2, 0x8000)
        self.fault(got[6], 0x84, 2, 1 << 48, (1 << 48, rid, 0))
        self.fault(got[7], 0x48, None, None, (0x5000, rid, self.T1 | self.PP))
        self.fault(got[8], 0x51, None, None, (0x5000, rid, self.T1 | self.PP | 77 << 40))
        self.fault(got[9], 0x86 if im.get(t) & 3 == 1 else 0x79, 2, 0x400000)

    def test_first_stage(self):
        im = Image()
        t = im.page()
        im.scalable(0x0010, FS, pasid=3, fs=t, q2=1 | 0x10)  # SRE, WPE
        im.scalable(0x0010, FS, pasid=4, fs=t, did=2)  # neither
        im.scalable(0x0010, FS, pasid=5, fs=t, did=3, q2=1)  # SRE without WPE
        node = P | RWB | US
        im.map(t, 0x1000, 0x21000 | P | RWB | US, node=node)
        im.map(t, 0x2000, 0x22000 | P | US)
        im.map(t, 0x3000, 0x23000 | P | RWB)  # supervisor's
        im.map(t, 0x4000, 0x24000 | P)
        im.map(t, 0x200000, 0x600000 | P | RWB | US | PS, leaf=2)
        im.map(t, 0x40000000, 0x80000000 | P | RWB | US | PS, leaf=3)
        im.map(t, 0xffff800000000000, 0x25000 | P | RWB | US, node=node)
        im.map(t, 0x5000, 0x26000 | P | US | RWB | 1 << 52)
        im.map(t, 0x600000, 0x600000 | P | US | PS | 0x2000, leaf=2)
        rid = 0x10
        q = lambda addr, pasid, op="read", priv=False: {"rid": rid, "addr": addr, "pasid": pasid, "op": op, "priv": priv}
        got = self.ask(self.config(im), q(0x1008, 3), q(0x1008, 3, "write", True), q(0x2000, 3), q(0x2000, 3, "write"),
                       q(0x2000, 3, "write", True), q(0x2000, 5, "write", True), q(0x2000, 5, "write"), q(0x3000, 3),
                       q(0x3000, 3, priv=True), q(0x4000, 5, "write", True), q(0x1000, 4, priv=True), q(0x212345, 4),
                       q(0x41234567, 4), q(0xffff800000000010, 4), q(0x0000800000000000, 4), q(0x5000, 4), q(0x600000, 4),
                       q(0x7000, 4, "write"), q(0x1000, 4, "exec"), q(0x3000, 3, "atomic"))
        self.ok(got[0], 0x21008, 12, "rw")
        self.ok(got[1], 0x21008, 12, "rw")
        self.ok(got[2], 0x22000, 12, "r")
        tag = self.PP | 3 << 40
        self.fault(got[3], 0x85, 1, None, (0x2000, rid, tag))
        self.fault(got[4], 0x85, 1, None, (0x2000, rid, tag | self.PRIV))
        self.ok(got[5], 0x22000, 12, "rw")
        self.fault(got[6], 0x85, 1)
        self.fault(got[7], 0x81, 1, None, (0x3000, rid, tag | self.T1))
        self.ok(got[8], 0x23000, 12, "rw")
        self.ok(got[9], 0x24000, 12, "rw")
        self.fault(got[10], 0x5d, None, None, (0x1000, rid, self.PP | self.T1 | self.PRIV | 4 << 40))
        self.ok(got[11], 0x612345, 21, "rw")
        self.ok(got[12], 0x81234567, 30, "rw")
        self.ok(got[13], 0x25010, 12, "rw")
        # The record keeps as many bits of the address as the widest table takes: 57
        self.fault(got[14], 0x80, 1, None, (0x800000000000, rid, self.PP | self.T1 | 4 << 40))
        self.ok(got[15], 0x26000, 12, "rw")
        self.fault(got[16], 0x72, 1)
        self.fault(got[17], 0x71, 1, None, (0x7000, rid, self.PP | 4 << 40))
        self.fault(got[18], 0x5c, None, None, (0x1000, rid, self.PP | self.T1 | self.EXE | 4 << 40))
        self.fault(got[19], 0x81, 1, None, (0x3000, rid, tag | self.T1 | self.T2))

    def test_execute(self):
        im = Image()
        t = im.page()
        ere, nxe, smep, sre = 2, 0x20, 0x40, 1
        im.scalable(0, FS, pasid=1, fs=t, q2=ere | nxe | sre | smep)
        im.scalable(0, FS, pasid=2, fs=t, did=2, q2=ere)
        im.map(t, 0x1000, 0x21000 | P | RWB | US, node=P | RWB | US)
        im.map(t, 0x2000, 0x22000 | P | RWB | US | XD)
        im.map(t, 0x3000, 0x23000 | P)
        q = lambda addr, pasid, priv=False: {"addr": addr, "pasid": pasid, "op": "exec", "priv": priv}
        got = self.ask(self.config(im), q(0x1000, 1), q(0x2000, 1), q(0x2000, 2), q(0x1000, 1, True), q(0x3000, 1, True))
        self.ok(got[0], 0x21000, 12, "rwx")
        self.fault(got[1], 0x82, 1, None, (0x2000, 0, self.T1 | self.EXE | self.PP | 1 << 40))
        self.ok(got[2], 0x22000, 12, "rwx")
        self.fault(got[3], 0x82, 1, None, (0x1000, 0, self.T1 | self.EXE | self.PP | self.PRIV | 1 << 40))
        self.ok(got[4], 0x23000, 12, "rwx")

    GPA = 0x7000000000

    def nested(self, **kw):
        """First-stage tables at GPA + where they lie, so that no address is by chance the right one."""
        im = Image()
        im.ss = im.page()
        im.fs = im.page()
        im.scalable(0, NESTED, pasid=1, ss=im.ss, fs=self.GPA + im.fs, **kw)
        im.where = lambda gpa: gpa - self.GPA
        im.name = lambda pa: pa + self.GPA
        return im

    def nest(self, im, addr, value, leaf=1, node=P | RWB | US):
        at = im.map(self.GPA + im.fs, addr, value, leaf=leaf, node=node, where=im.where, name=im.name)
        return at

    def all_tables(self, im, rights=RW):
        for pa in range(BASE, BASE + im.used * 4096 + 16 * 4096, 4096):
            im.map(im.ss, self.GPA + pa, pa | rights)

    def test_nested(self):
        im = self.nested()
        one = self.nest(im, 0x1000, 0x555000 | P | RWB | US)
        self.nest(im, 0x2000, 0x556000 | P | RWB | US)
        self.nest(im, 0x3000, 0x557000 | P | US)
        self.nest(im, 0x4000, 0x558000 | P | RWB | US)
        self.nest(im, 0x200000, 0x40000000 | P | RWB | US | PS, leaf=2)
        self.nest(im, 0x40000000, 0x80000000 | P | RWB | US | PS, leaf=3)
        self.nest(im, 0x5000, (1 << 48) | P | RWB | US)
        self.nest(im, 1 << 39, 0)
        im.put(im.fs + 8, (self.GPA + 0x900000) | P | RWB | US)  # a table that stage 2 does not have
        im.put(im.fs + 16, (self.GPA + 0x901000) | P | RWB | US)  # one that stage 2 may not read
        im.put(im.fs + 24, (self.GPA + 0x902000) | P | RWB | US)  # one where no memory is
        im.map(im.ss, self.GPA + 0x901000, 0x1234000 | WO)
        im.map(im.ss, self.GPA + 0x902000, 0x70000000 | RW)
        im.map(im.ss, 0x555000, 0x30000 | RW)
        im.map(im.ss, 0x556000, 0x31000 | RO)
        im.map(im.ss, 0x557000, 0x32000 | RW)
        im.map(im.ss, 0x40000000, 0x33000 | RW)
        im.map(im.ss, 0x80000000, 0x600000 | RW | PS, leaf=2)
        self.all_tables(im)
        q = lambda addr, op="read": {"addr": addr, "pasid": 1, "op": op}
        got = self.ask(self.config(im), q(0x1abc), q(0x2000), q(0x2008, "write"), q(0x2008, "write"), q(0x3000, "write"),
                       q(0x4000), q(0x200123), q(0x201123), q(0x40012345), q(0x5000), q(1 << 39), q(2 << 39), q(3 << 39),
                       q(1 << 39 | 0xc0 << 30))
        self.ok(got[0], 0x30abc, 12, "rw")
        self.ok(got[1], 0x31000, 12, "r")
        tag = self.PP | 1 << 40
        self.fault(got[2], 0x85, 2, 0x556008, (0x2000, 0, tag))
        self.fault(got[3], 0x85, 2, 0x556008, (0x2000, 0, tag))
        self.fault(got[4], 0x85, 1, None, (0x3000, 0, tag))
        self.fault(got[5], 0x79, 2, 0x558000, (0x4000, 0, tag | self.T1))
        self.ok(got[6], 0x33123, 12, "rw")  # 2 MiB by 4 KiB
        self.fault(got[7], 0x79, 2, 0x40001123)
        self.ok(got[8], 0x612345, 21, "rw")  # 1 GiB by 2 MiB
        self.fault(got[9], 0x74, 1)
        self.fault(got[10], 0x79, 2, self.GPA + 0x900000)
        self.fault(got[11], 0x76, 2, self.GPA + 0x901000)
        self.fault(got[12], 0x70, 1)
        self.fault(got[13], 0x79, 2, self.GPA + 0x900000 + 8 * 0xc0)
        # The page: the accessed bit is set by now; a stage 2 that cannot be written refuses to set it.
        self.assertEqual(im.get(one) & A, 0)

    def test_nested_without_write(self):
        im = self.nested()
        leaf = self.nest(im, 0x1000, 0x555000 | P | RWB | US, node=P | RWB | US | A)
        im.map(im.ss, 0x555000, 0x30000 | RW)
        self.all_tables(im, RO)
        q = {"addr": 0x1000, "pasid": 1}
        got = self.ask(self.config(im), q, q)
        self.fault(got[0], 0x77, 2, self.GPA + leaf)
        self.fault(got[1], 0x77, 2, self.GPA + leaf)
        im.put(im.fs, im.get(im.fs) & ~A)
        self.fault(self.ask(self.config(im), q)[0], 0x77, 2, self.GPA + im.fs)
        im.put(im.entry + 16, 0x7800000000)  # the first table is where stage 2 maps nothing
        self.fault(self.ask(self.config(im), q)[0], 0x79, 2, 0x7800000000)

    def test_pass_through(self):
        im = Image()
        im.scalable(0, PT)
        im.scalable(0, PT, pasid=9)
        got = self.ask(self.config(im), {"addr": 0x123456789}, {"addr": 1 << 52}, {"addr": 0x99, "pasid": 9, "op": "write"})
        self.ok(got[0], 0x123456789, 52, "rw")
        self.fault(got[1], 0x83, None)
        self.ok(got[2], 0x99, 52, "rw")

    def test_scalable_entries(self):
        im = Image()
        t = im.page()
        for pasid, kw in ((64, {"q0": 1 << 10}), (65, {"q1": 1 << 16}), (66, {"q2": 1 << 8}), (67, {"aw": 5}),
                          (68, {"q0": 2}), (69, {}), (70, {"q1": 0})):
            im.scalable(0, SS, pasid=pasid, ss=t, did=pasid, **kw)
        im.put(im.entry - 64 + 24, 1)  # 69: a word that is all reserved
        im.scalable(0, FS, pasid=71, fs=t, q1=0, did=9)
        im.scalable(0, 5, pasid=72, ss=t)
        im.map(t, 0x1000, 0x5000 | P | RWB | US, node=P | RWB | US)
        im.put(im.dir + 8 * 5, 0x7000000000 | 1)
        im.put(im.dir + 8 * 6, BASE | 1 | 4)
        im.put(im.dir + 8 * 7, BASE | 2)  # FPD, not present
        im.put(im.ctx + 32, BASE | 1 | 1 << 5)
        im.put(im.ctx + 64, 0x7000000000 | 1 | 8)
        im.put(im.ctx + 96, BASE | 1)
        q = lambda pasid, rid=0: {"addr": 0x1000, "pasid": pasid, "rid": rid}
        got = self.ask(self.config(im), *[q(p) for p in range(64, 73)], q(320), q(384), q(448), q(0xfffff), q(5, 1),
                       q(5, 2), q(5, 3), q(None, 4))
        for i, code in enumerate((0x5a, 0x5a, 0x5a, 0x5b, None, 0x5a, None, 0x90, 0x5b, 0x58, 0x52, 0x51, 0x51, 0x42, 0x50, 0x45,
                                  0x41)):
            with self.subTest(i=i):
                if code == 0x90:
                    self.fault(got[i], code, 1)
                elif code is None:
                    self.ok(got[i], 0x5000, 12, "rw")
                else:
                    self.fault(got[i], code, None, None, "none" if i == 11 else None)

    def test_interrupt_range(self):
        im = Image()
        t = im.page()
        f = im.page()
        im.scalable(0, SS, ss=t)
        im.scalable(0, FS, pasid=1, fs=f, did=2)
        im.scalable(1, PT)
        im.map(t, 0xc0000000, 0xc0000000 | RW | PS, leaf=3)
        im.map(t, 0x1000, 0xfee00000 | RW)
        im.map(f, 0xfee00000, 0x5000 | P | RWB | US, node=P | RWB | US)
        q = lambda addr, op="read", **k: dict({"addr": addr, "op": op}, **k)
        got = self.ask(self.config(im), q(0xfee00010, "write"), q(0xfee00010), q(0xfeeff000, "write"), q(0xfedff000), q(0xfedff000),
                       q(0xfef00000, "write"), q(0x1000), q(0xfee00010, "write", pasid=1), q(0xfee00000, rid=1), q(0x1000, "write"))
        self.ok(got[0], 0xfee00010, 20, "w")
        self.fault(got[1], 0x29, None)
        self.ok(got[2], 0xfeeff000, 20, "w")
        # The page around the range is kept in pieces in the caches; its size is what the entries say.
        self.ok(got[3], 0xfedff000, 30, "rw")
        self.ok(got[4], 0xfedff000, 30, "rw")
        self.ok(got[5], 0xfef00000, 30, "rw")
        self.fault(got[6], 0x87, 2, 0x1000)
        self.ok(got[7], 0x5010, 12, "rw")
        self.fault(got[8], 0x29, None)
        self.fault(got[9], 0x87, 2, 0x1000)

    def test_caps(self):
        """CAP and ECAP by hand, 11.4.2 and 11.4.3; what they do not have is reserved."""
        im = Image()
        t = im.page()
        im.scalable(0, SS, ss=t)
        im.put(im.ctx, im.get(im.ctx) & ~8)  # PASIDE is reserved without PASIDs
        im.map(t, 0x200000, 0x600000 | RW | PS, leaf=2)
        im.map(t, 0x1000, 0x5000 | RW | 0x800)
        im.map(t, 0x2000, 0x6000 | RW)
        cap = 6 | 6 << 8 | 47 << 16 | 1 << 39
        ecap = 1 | 2 | 1 << 43 | 1 << 46 | 1 << 48
        for more_cap, more_ecap, big, snoop in ((0, 0, False, False), (1 << 34, 0, True, False), (0, 1 << 7, False, True)):
            got = self.ask(self.config(im, {"CAP": hex(cap | more_cap), "ECAP": hex(ecap | more_ecap)}), {"addr": 0x200000},
                           {"addr": 0x1000}, {"addr": 0x2000})
            if big:
                self.ok(got[0], 0x600000, 21, "rw")
            else:
                self.fault(got[0], 0x7a, 2, 0x200000)
            if snoop:
                self.ok(got[1], 0x5000, 12, "rw")
            else:
                self.fault(got[1], 0x7a, 2, 0x1000)
            self.ok(got[2], 0x6000, 12, "rw")
        # one of the two: the other is all that the model can do
        got = self.ask(self.config(im, {"CAP": hex(cap)}), {"addr": 0x200000}, {"addr": 0x1000})
        self.fault(got[0], 0x7a, 2, 0x200000)
        self.ok(got[1], 0x5000, 12, "rw")

    # ---- what is left in memory, and what is kept beside it ----

    def test_accessed_and_dirty(self):
        im = Image()
        t = im.page()
        im.scalable(0, FS, fs=t, q2=0x80)  # EAFE
        one = im.map(t, 0x1000, 0x21000 | P | RWB | US, node=P | RWB | US)
        two = im.map(t, 0x2000, 0x22000 | P | RWB | US)
        three = im.map(t, 0x3000, 0x23000 | P | RWB | US)
        s = im.page()
        im.scalable(1, SS, ss=s, did=2, q0=1 << 9)  # SSADE
        im.scalable(2, SS, ss=s, did=3)
        ss_one = im.map(s, 0x1000, 0x21000 | RW)
        ss_two = im.map(s, 0x2000, 0x22000 | RW)
        ss_three = im.map(s, 0x3000, 0x22000 | RW)
        config = self.config(im)
        out = os.path.join(self.dir, "out")
        before = bytes(im.bytes)
        self.ask(config, {"addr": 0x1000}, {"addr": 0x2000}, {"addr": 0x2000, "op": "write"}, {"rid": 1, "addr": 0x1000},
                 {"rid": 1, "addr": 0x2000, "op": "atomic"}, {"rid": 2, "addr": 0x3000, "op": "write"}, args=("--image-out", out))
        self.assertEqual(os.listdir(out), ["mem.bin"])
        with open(os.path.join(self.dir, "mem.bin"), "rb") as f:
            self.assertEqual(f.read(), before)
        with open(os.path.join(out, "mem.bin"), "rb") as f:
            after = f.read()
        for at, bits in ((t, A | EA), (one, A | EA), (two, A | EA | D), (three, 0), (s, 0x100), (ss_one, 0x100), (ss_two, 0x300),
                         (ss_three, 0)):
            was, now = (struct.unpack_from("<Q", x, at - BASE)[0] for x in (before, after))
            self.assertEqual(now, was | bits, hex(at))
        changed = [i for i in range(0, len(before), 8) if before[i:i + 8] != after[i:i + 8]]
        self.assertEqual(len(changed), 2 * 3 + 2 + 2)

    def test_image_over_itself(self):
        im = Image()
        t = im.page()
        im.scalable(0, FS, fs=t)
        at = im.map(t, 0x1000, 0x21000 | P | RWB | US, node=P | RWB | US)
        config = self.config(im)
        os.chmod(os.path.join(self.dir, "mem.bin"), 0o644)
        for _ in range(2):
            self.ask(config, {"addr": 0x1000, "op": "write"}, args=("--image-out", self.dir))
            with open(os.path.join(self.dir, "mem.bin"), "rb") as f:
                image = f.read()
            self.assertEqual(len(image), len(im.bytes))
            self.assertEqual(struct.unpack_from("<Q", image, at - BASE)[0], im.get(at) | A | D)
        self.assertEqual(sorted(os.listdir(self.dir)), ["config.json", "mem.bin", "tmp"])

    def test_flush(self):
        """
        Nothing writes to memory but the walks themselves. So: a directory entry that is also, for another function, a page table entry.
        Its accessed bit is a reserved bit of the directory entry (9.5), which only a walk that reads it again can see.
        """
        im = Image()
        t, f = im.page(), im.page()
        im.scalable(0, SS, pasid=64, ss=t)
        im.map(t, 0x1000, 0x5000 | RW)
        im.scalable(1, FS, fs=f, did=2)
        slot = im.get(im.root) & ~0xfff
        directory = im.get(slot) & ~0xfff
        self.assertEqual(im.get(directory) & 1, 0)
        entry = directory + 8
        im.map(f, 0x1000, 0, node=P | RWB | US)
        # function 1 finds the directory of function 0 where its last table should be
        node = f
        for level in (4, 3):
            node = im.get(node) & 0x000ffffffffff000
        im.put(node, directory | P | RWB | US)
        q = {"addr": 0x1000, "pasid": 64}
        config = self.config(im)
        # entry 1 of that table has P alone, so it is read by privileged requests only
        im.scalable(1, FS, fs=f, did=2, pasid=5, q2=1)
        config = self.config(im)
        touch = {"rid": 1, "addr": 0x1000, "pasid": 5, "priv": True}
        got = self.ask(config, q, touch, q, {"flush": True}, q, q)
        self.assertEqual(len(got), 5)
        self.ok(got[0], 0x5000, 12, "rw")
        self.assertTrue(got[1]["ok"], got[1])
        self.ok(got[2], 0x5000, 12, "rw")
        self.fault(got[3], 0x52, None)
        self.fault(got[4], 0x52, None)
        got = self.ask(config, touch, q)
        self.fault(got[1], 0x52, None)
        self.assertTrue(entry)

    def test_several_regions(self):
        im = Image()
        t = im.page()
        im.scalable(0, SS, ss=t)
        im.map(t, 0x1000, 0x5000 | RW)
        os.mkdir(os.path.join(self.dir, "parts"))
        cuts = (0, 0x2808, 0x3000, 0x4ff0, len(im.bytes))
        memory = []
        for i in range(4):
            name = "parts/m%d" % i
            self.file(name, bytes(im.bytes[cuts[i]:cuts[i + 1]]))
            memory.insert(0, {"file": name if i else os.path.join(self.dir, name), "base": hex(BASE + cuts[i])})
        c = {"memory": memory, "registers": {"RTADDR": "0x%X" % im.rtaddr}}
        config = self.file("c.json", json.dumps(c))
        got = self.ask(config, {"addr": 0x1000}, args=("--image-out", os.path.join(self.dir, "o")))
        self.ok(got[0], 0x5000, 12, "rw")
        for i in range(4):
            with open(os.path.join(self.dir, "o/m%d" % i), "rb") as f:
                self.assertEqual(f.read(), bytes(im.bytes[cuts[i]:cuts[i + 1]]))
        # a word that no region has whole is not there
        c["memory"] = [{"file": "parts/m0", "base": hex(BASE)}]
        got = self.ask(self.file("c.json", json.dumps(c)), {"addr": 0x1000})
        self.assertEqual(got[0]["ok"], False)


if __name__ == "__main__":
    clitest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nestbox run: what it starts, what it refuses, what it leaves (nothing)."""
import json
import os
import pty
import pwd
import shutil
import signal
import struct
import subprocess
import time
import unittest

import clitest
from clitest import CliTest

FAKE_QEMU = """#!/bin/sh
if [ "$1" = --version ]; then
    [ -z "$NESTBOX_RUN" ] || echo "on the virtual host!"
    echo "QEMU emulator version %s (Debian 1:%s+ds-1)"
    exit
fi
echo "ran with $#"
"""


def elf(bits=64, interp=False):
    """The start of an ELF program: header and one program header."""
    if bits == 32:
        return b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0, 52, 0, 0, 52, 32, 0, 40, 0, 0)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 3 if interp else 1, 4, 0, 0, 0, 0, 0, 0)


# What an IOMMU that a function brings has done.
OWN = ["own_register_reads", "own_register_writes", "own_config_commands", "own_tlb_commands", "own_syncs", "own_other_commands",
       "own_fetches", "own_refused", "own_interrupts"]
# What a VMM has made for its guest's SMMUs.
VIOMMU = ["viommus", "vdevices", "hw_queues", "guest_events", "guest_events_lost"]


class Run(CliTest):
    def run_(self, *args, **kw):
        return self.nestbox("run", *args, **kw)

    def test_any_program_looks_like_itself(self):
        for command in (["ls", "-la", "/usr"], ["sh", "-c", "echo out; echo err >&2"], ["cat", "/etc/passwd"]):
            plain = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
            got = self.run_("--", *command)
            self.assertEqual((got.returncode, got.stdout, got.stderr), (0, plain.stdout, plain.stderr))

    def test_command_without_dashes(self):
        self.assertEqual(self.run_("echo", "--host", "x").stdout, "--host x\n")

    def test_input_is_the_programs(self):
        got = subprocess.run([clitest.NESTBOX, "run", "cat"], input=b"hello\n", stdout=subprocess.PIPE, env=self.env, check=True)
        self.assertEqual(got.stdout, b"hello\n")

    def test_exit_status(self):
        for status in (0, 1, 7, 125, 127, 255):
            self.assertEqual(self.run_("sh", "-c", "exit %d" % status).returncode, status)
        self.assertEqual(self.run_("sh", "-c", "kill -9 $$").returncode, 137)
        self.assertEqual(self.run_("sh", "-c", "kill -TERM $$").returncode, 143)

    def test_not_found(self):
        self.refused(self.run_("no-such-command"), 127, "no-such-command", "not found")
        self.refused(self.run_("./no-such-command"), 127, "No such file")
        self.refused(self.run_(""), 127, "not found")
        path = self.file("text", "hello")
        self.refused(self.run_(path), 126, "may be executed")
        self.refused(self.run_("text", env={"PATH": self.dir}), 126, "may not be executed")
        self.refused(self.run_(self.dir), 126, "may be executed")

    def test_found_in_path(self):
        self.file("tool", "#!/bin/sh\necho $0\n", 0o755)
        self.assertEqual(self.run_("tool", env={"PATH": "/none:%s:/bin" % self.dir}).stdout, self.dir + "/tool\n")
        self.assertEqual(self.run_("tool", cwd=self.dir, env={"PATH": ":/bin"}).stdout, "./tool\n")

    def test_script_without_interpreter_line(self):
        path = self.file("tool", "echo bare $1\n", 0o755)
        self.assertEqual(self.run_(path, "x").stdout, "bare x\n")

    def test_static_program(self):
        self.refused(self.run_(self.file("static", elf(), 0o755)), 126, "statically linked")
        self.refused(self.run_(self.file("small", elf(32), 0o755)), 126, "32-bit")
        # With an interpreter it is left to the kernel, which does not like this one.
        self.refused(self.run_(self.file("odd", elf(interp=True), 0o755)), 126, "cannot execute")

    def test_static_program_of_the_compiler(self):
        src = self.file("t.c", "int main(void) { return 0; }\n")
        out = os.path.join(self.dir, "t")
        for flag in ("-static", "-static-pie"):
            subprocess.run(["cc", flag, "-o", out, src], check=True)
            self.refused(self.run_(out), 126, "statically linked")
        subprocess.run(["cc", "-o", out, src], check=True)
        self.assertEqual(self.run_(out).returncode, 0)

    def test_dynamic_linker_as_command(self):
        got = self.run_("/lib64/ld-linux-x86-64.so.2", "/bin/echo", "hi")
        self.assertEqual((got.returncode, got.stdout), (0, "hi\n"))

    @unittest.skipIf(os.geteuid() != 0, "only root can give a file away")
    def test_setuid_program(self):
        path = os.path.join(self.dir, "suid")
        shutil.copy("/bin/true", path)
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        os.chmod(path, 0o4755)
        self.refused(self.run_(path), 126, "setuid")

    def test_qemu_versions(self):
        for version, fine in (("10.2.2", False), ("11.0.9", False), ("9.1.0", False), ("11.1.0", True), ("12.0.1", True)):
            path = self.file("qemu-system-x86_64", FAKE_QEMU % (version, version), 0o755)
            got = self.run_(path, "-M", "q35")
            if fine:
                self.assertEqual((got.returncode, got.stdout, got.stderr), (0, "ran with 2\n", ""))
            else:
                self.refused(got, 126, "QEMU %s is too old" % version, "11.1")
                forced = self.run_("--force", path)
                self.assertEqual((forced.returncode, forced.stdout), (0, "ran with 0\n"))
                self.assertIn("warning", forced.stderr)

    def test_qemu_without_a_version(self):
        path = self.file("qemu-system-x86_64", "#!/bin/sh\necho hello\n", 0o755)
        got = self.run_(path)
        self.assertEqual((got.returncode, got.stdout), (0, "hello\n"))
        self.assertIn("cannot tell the version", got.stderr)

    def test_viommu_after_device(self):
        path = self.file("qemu-system-x86_64", FAKE_QEMU % ("11.1.3", "11.1.3"), 0o755)
        iommu = ["-device", "intel-iommu,scalable-mode=on,fsts=on"]
        disk = ["-device", "vfio-pci,host=0000:01:00.0,iommufd=iommufd0"]
        self.assertEqual(self.run_(path, *iommu, *disk).stderr, "")
        self.assertIn("intel-iommu comes after", self.run_(path, *disk, *iommu).stderr)
        self.assertIn("intel-iommu comes after", self.run_(path, *iommu, *disk, *iommu).stderr)
        json_disk = ["-device", '{"driver":"vfio-pci","host":"0000:01:00.0"}']
        json_iommu = ["-device", '{"driver":"intel-iommu","fsts":true}']
        self.assertIn("intel-iommu comes after", self.run_(path, *json_disk, *json_iommu).stderr)
        self.assertEqual(self.run_(path, *disk, "-append", iommu[1]).stderr, "")

    def test_smmu_after_device(self):
        """An SMMU is that of one root bus; what is on another has not lost it."""
        path = self.file("qemu-system-aarch64", FAKE_QEMU % ("11.1.3", "11.1.3"), 0o755)

        def stderr(*devices):
            return self.run_(path, *(word for device in devices for word in ("-device", device))).stderr

        pxb, port = "pxb-pcie,id=pcie.1,bus_nr=8,bus=pcie.0", "pcie-root-port,id=rp1,bus=pcie.1,chassis=1"
        disk, smmu = "vfio-pci,host=0000:01:00.0,bus=rp1", "arm-smmuv3,primary-bus=pcie.1,accel=on"
        elsewhere, first = "vfio-pci,host=0000:02:00.0", "arm-smmuv3,primary-bus=pcie.0,accel=on"
        said = "arm-smmuv3 comes after"
        self.assertEqual(stderr(pxb, smmu, port, disk), "")
        self.assertIn(said, stderr(pxb, port, disk, smmu))
        self.assertIn(said, stderr(elsewhere, first))
        self.assertEqual(stderr(pxb, elsewhere, smmu, port, disk), "")
        self.assertEqual(stderr(pxb, first, elsewhere, smmu, port, disk), "")
        self.assertEqual(stderr(pxb, port, disk, smmu.replace("accel=on", "accel=off")), "", "QEMU refuses that itself")
        self.assertIn(said, stderr(pxb, '{"driver": "pcie-root-port", "id": "rp1", "bus": "pcie.1"}', disk,
                                   '{"driver": "arm-smmuv3", "primary-bus": "pcie.1", "accel": true}'))
        circle = ("pcie-root-port,id=rp1,bus=rp2", "pcie-root-port,id=rp2,bus=rp1")
        self.assertEqual(stderr(*circle, disk, smmu), "")
        self.assertEqual(stderr("vfio-pci,bus=" + "x" * 5000, "arm-smmuv3,accel=on,primary-bus=" + "x" * 5000), "")

    def test_environment(self):
        script = 'cd "$NESTBOX_RUN" && pwd && echo "$LD_PRELOAD" && echo "$NESTBOX_LOG" && ls && cat sys/bus/pci/devices/0000:01:00.0/class'
        got = self.run_("--log", "hw.*", "sh", "-c", script, env={"LD_PRELOAD": ""})
        lines = got.stdout.splitlines()
        self.assertTrue(lines[0].startswith(os.path.realpath(self.tmp)), got.stdout)
        self.assertRegex(lines[1], r"^/.*/libnestbox-run\.so$")
        self.assertEqual(lines[2], "hw.*")
        for name in ("host.bin", "counters", "sys", "dev"):
            self.assertIn(name, lines)
        self.assertEqual(lines[-1], "0x010802")

    def test_tree(self):
        got = self.run_("sh", "-c", 'cp -a "$NESTBOX_RUN/sys" "$NESTBOX_RUN/dev" %s' % self.dir)
        self.assertEqual(got.returncode, 0, got.stderr)
        top = os.path.realpath(self.dir)
        text = lambda path: open(os.path.join(top, path), encoding="utf-8").read()  # pylint: disable=consider-using-with
        for i, (bdf, dmar, vendor) in enumerate((("0000:01:00.0", "dmar0", None), ("0000:02:00.0", "dmar0", "0x1234\n"),
                                                 ("0000:81:00.0", "dmar1", None), ("0000:82:00.0", "dmar1", "0x1234\n"))):
            dev = "sys/bus/pci/devices/" + bdf
            real = lambda path: os.path.relpath(os.path.realpath(os.path.join(top, path)), top)
            self.assertEqual(text(dev + "/vfio-dev/vfio%d/dev" % i), "511:%d\n" % i)
            self.assertEqual(real(dev + "/driver"), "sys/bus/pci/drivers/vfio-pci")
            self.assertEqual(real(dev + "/subsystem"), "sys/bus/pci")
            self.assertEqual(real(dev + "/iommu"), "sys/class/iommu/" + dmar)
            self.assertEqual(real(dev + "/iommu_group"), "sys/kernel/iommu_groups/%d" % i)
            self.assertEqual(real("sys/kernel/iommu_groups/%d/devices/%s" % (i, bdf)), dev)
            self.assertEqual(real("sys/class/iommu/%s/devices/%s" % (dmar, bdf)), dev)
            self.assertEqual(real("sys/class/vfio-dev/vfio%d" % i), dev + "/vfio-dev/vfio%d" % i)
            self.assertEqual(real("sys/bus/pci/drivers/vfio-pci/" + bdf), dev)
            self.assertTrue(os.path.exists(os.path.join(top, "dev/vfio/devices/vfio%d" % i)))
            with open(os.path.join(top, dev, "config"), "rb") as f:
                config = f.read()
            self.assertEqual(len(config), 4096)
            self.assertEqual(text(dev + "/vendor"), "0x%04x\n" % struct.unpack_from("<H", config, 0))
            self.assertEqual(text(dev + "/device"), "0x%04x\n" % struct.unpack_from("<H", config, 2))
            self.assertEqual(int(text(dev + "/class"), 16), struct.unpack_from("<I", config, 8)[0] >> 8)
            if vendor:
                self.assertEqual(text(dev + "/vendor"), vendor)
            bars = [[int(x, 16) for x in line.split()] for line in text(dev + "/resource").splitlines()]
            self.assertEqual(len(bars), 13)
            for first, last, flags in bars:
                size = last - first + 1
                self.assertTrue((first, last, flags) == (0, 0, 0) or (flags & 0x200 and size & (size - 1) == 0 and first % size == 0))
            self.assertIn("PCI_SLOT_NAME=%s\n" % bdf, text(dev + "/uevent"))
        self.assertRegex(text("sys/class/iommu/dmar0/intel-iommu/ecap"), "^[0-9a-f]+\n$")
        self.assertTrue(os.path.exists(os.path.join(top, "dev/iommu")))

    def test_tree_of_smmus(self):
        got = self.run_("--host", "grace", "sh", "-c", 'cp -a "$NESTBOX_RUN/sys" "$NESTBOX_RUN/dev" %s' % self.dir)
        self.assertEqual(got.returncode, 0, got.stderr)
        top = os.path.realpath(self.dir)
        real = lambda path: os.path.relpath(os.path.realpath(os.path.join(top, path)), top)
        names = ["smmu3.0x%016x" % (0x11000000 + i * 0x1000000) for i in range(3)]  # as Linux calls them
        self.assertEqual(sorted(os.listdir(os.path.join(top, "sys/class/iommu"))), names)
        for i, bdf in enumerate(("0000:01:00.0", "0000:02:00.0", "0000:41:00.0", "0000:42:00.0", "0000:81:00.0", "0000:82:00.0")):
            unit = "sys/class/iommu/" + names[i // 2]
            self.assertEqual(real("sys/bus/pci/devices/%s/iommu" % bdf), unit)
            self.assertEqual(real("%s/devices/%s" % (unit, bdf)), "sys/bus/pci/devices/" + bdf)
            self.assertEqual(os.listdir(os.path.join(top, unit)), ["devices"])
            with open(os.path.join(top, "sys/kernel/iommu_groups/%d/reserved_regions" % i), encoding="utf-8") as f:
                self.assertEqual(f.read(), "0x0000000008000000 0x00000000080fffff msi\n")

    def test_inside_another(self):
        got = self.run_(clitest.NESTBOX, "run", "--host", "legacy", "sh", "-c", "ls $NESTBOX_RUN/sys/bus/pci/devices | wc -l; exit 5")
        self.assertEqual((got.returncode, got.stdout.strip()), (5, "4"))

    def test_host_is_the_one_asked_for(self):
        path = self.file("h.yaml", "name: h\niommus:\n  - name: a\nfunctions:\n  - {address: '05:00.0', iommu: a, model: dmatest}\n")
        show = 'ls "$NESTBOX_RUN/sys/bus/pci/devices"'
        self.assertEqual(self.run_("--host", path, "sh", "-c", show).stdout, "0000:05:00.0\n")
        self.assertEqual(len(self.run_("--host", "legacy", "sh", "-c", show).stdout.splitlines()), 4)

    def test_disk_files(self):
        text = "name: h\niommus:\n  - name: a\nfunctions:\n  - {address: '05:00.0', iommu: a, model: nvme, options: {%s}}\n"
        none = os.path.join(self.dir, "none.img")
        run = lambda options: self.run_("--host", self.file("h.yaml", text % options), "sh", "-c",
                                        'tr -d "\\0" < $NESTBOX_RUN/host.bin | grep -ao "/[a-z0-9_/.-]*img"', cwd=self.dir)
        self.refused(run("file: " + none), 125, "0000:05:00.0", none, "No such file")
        self.refused(run("file: %s, size: 1MiB" % (none + "/x.img")), 125, "No such file")
        self.refused(run("file: " + self.tmp), 125, "Is a directory")
        self.assertEqual(run("file: none.img, size: 1MiB").stdout, none + "\n")
        self.assertFalse(os.path.exists(none), "it is made by whoever uses it")
        self.file("none.img", bytes(1 << 20))
        self.assertEqual(run("file: none.img").stdout, none + "\n")
        self.refused(run("file: " + "x" * 220), 125, "223")
        two = text % "file: none.img" + "  - {address: '06:00.0', iommu: a, model: nvme, options: {file: %s}}\n" % none
        self.refused(self.run_("--host", self.file("h.yaml", two), "true", cwd=self.dir), 125, "0000:06:00.0", "another function")
        two = two.replace(".img}", ".img, readonly: on}")
        self.assertEqual(self.run_("--host", self.file("h.yaml", two), "true", cwd=self.dir).returncode, 0)

    def test_options(self):
        self.refused(self.run_(), 2, "needs a command")
        self.refused(self.run_("--"), 2, "needs a command")
        self.refused(self.run_("--fly", "true"), 2, "--fly")
        self.refused(self.run_("--host"), 2, "--host")
        self.refused(self.run_("--log", "nothing.*", "true"), 2, "nothing.*")
        got = self.run_("--help")
        self.assertEqual((got.returncode, got.stderr), (0, ""))
        with open(os.path.join(clitest.SOURCE, "docs", "nestbox-run.1"), encoding="utf-8") as f:
            manual = f.read().replace("\\-", "-")
        for option in ("--host", "--log", "--summary", "--guest-log", "--force"):
            self.assertIn(option, got.stdout)
            self.assertIn(option, manual)

    def test_temporary_directory_is_not_there(self):
        self.refused(self.run_("true", env={"TMPDIR": self.dir + "/none"}), 125, "none", "No such file")

    # The summary

    def summary(self, *args, command=("true",)):
        path = os.path.join(self.dir, "s.json")
        got = self.run_("--summary", path, *args, *command)
        with open(path, encoding="utf-8") as f:
            return got, json.load(f)

    def test_summary(self):
        got, s = self.summary(command=("sh", "-c", "exit 3"))
        self.assertEqual(got.stderr, "", "the virtual host was not used")
        self.assertEqual(s, {"host": "spr", "qemu_version": None, "guest_kernel": None, "boot_seconds": None,
                             "checksum_ok": None, "nested_hwpt_allocs": 0, "nested_hwpt_destroys": 0, "s1_invalidations": 0,
                             "translations": 0, "tlb_hits": 0, "tlb_misses": 0, "dma_faults": 0, "dma_read_bytes": 0,
                             "dma_write_bytes": 0, "interrupts": 0, "ats_requests": 0, "page_requests": 0,
                             **dict.fromkeys(VIOMMU + OWN, 0),
                             "nesting_dropped": False, "exit_status": 3})

    def test_summary_counts(self):
        # What a process of the run would have written: one event each, in two blocks.
        fill = ('f="$NESTBOX_RUN/counters"; n=$(stat -c %s "$f"); '
                "head -c $n /dev/zero | tr '\\0' '\\1' > $f; head -c $n /dev/zero | tr '\\0' '\\1' >> $f; "
                "head -c 100 /dev/zero >> $f")
        got, s = self.summary(command=("sh", "-c", fill))
        each = 2 * 64 * 0x0101010101010101 % 2**64
        for key in ("nested_hwpt_allocs", "tlb_hits", "dma_faults", "dma_read_bytes",
                    "page_requests", *VIOMMU, *OWN):
            self.assertEqual(s[key], each, key)
        self.assertEqual(s["s1_invalidations"], 2 * each % 2**64, "by ranges, and by commands")
        self.assertEqual(s["interrupts"], 2 * each % 2**64, "remapped, and through an ITS")
        self.assertEqual(s["translations"], (s["tlb_hits"] + s["tlb_misses"]) % 2**64)
        self.assertFalse(s["nesting_dropped"], "nobody asked for nesting")
        self.assertIn("nested domains", got.stderr)
        path = self.file("h.yaml", "name: untitled\niommus:\n  - name: a\n")
        self.assertIn("run on host untitled\n", self.run_("--host", path, "sh", "-c", fill).stderr)
        self.assertRegex(got.stderr, "vIOMMUs +%d made, %d devices named, %d hardware queues\n" % (each, each, each))
        self.assertRegex(got.stderr, "events to the guest +%d, %d lost\n" % (each, each))
        qemu = self.file("qemu-system-x86_64", (FAKE_QEMU % ("11.1.3", "11.1.3")) + fill, 0o755)
        got, s = self.summary(command=(qemu, "-device", "vfio-pci,host=0", "-device", "intel-iommu,fsts=on"))
        self.assertTrue(s["nesting_dropped"])
        self.assertEqual((got.returncode, s["exit_status"]), (123, 0))
        command = (qemu, "-device", "intel-iommu,fsts=off", "-device", "vfio-pci,host=0")
        self.assertEqual(self.summary(command=command)[0].returncode, 0)
        forced = self.run_("--force", qemu, "-device", "vfio-pci,host=0", "-device", "intel-iommu,fsts=on")
        self.assertEqual(forced.returncode, 0)
        self.assertEqual(s["qemu_version"], "11.1.3")
        self.assertIn("nesting was dropped", got.stderr)

    def test_nesting_dropped_smmu(self):
        fill = 'f="$NESTBOX_RUN/counters"; n=$(stat -c %s "$f"); ' + "head -c $n /dev/zero | tr '\\0' '\\1' > $f"
        qemu = self.file("qemu-system-aarch64", (FAKE_QEMU % ("11.1.3", "11.1.3")) + fill, 0o755)
        smmu, disk = ("-device", "arm-smmuv3,primary-bus=pcie.0,accel=on"), ("-device", "vfio-pci,host=0")
        got, s = self.summary(command=(qemu, *disk, *smmu))
        self.assertEqual((got.returncode, s["nesting_dropped"]), (123, True))
        self.assertIn("name arm-smmuv3 before vfio-pci", got.stderr)
        got, s = self.summary(command=(qemu, *disk))
        self.assertEqual((got.returncode, s["nesting_dropped"]), (0, False), "nobody asked for nesting")

    def test_guest_log(self):
        log = os.path.join(self.dir, "console")
        say = "printf '%s' " + "'[    0.0] Linux\\r\\nNB: kernel=7.2.13+deb14-cloud-amd64\\r\\nNB: boot_seconds=2.125\\r\\nxNB: checksum_ok=0\\nNB: checksum_ok=1\\r\\n'"
        _, s = self.summary("--guest-log", log, command=("sh", "-c", "printf \"%%b\" \"$(%s)\" > %s" % (say, log)))
        self.assertEqual((s["guest_kernel"], s["boot_seconds"], s["checksum_ok"]), ("7.2.13+deb14-cloud-amd64", 2.125, True))
        self.file("console", "NB: checksum_ok=1\nNB: checksum_ok=0\nNB: checksum_ok=1\n")
        self.assertIs(self.summary("--guest-log", log)[1]["checksum_ok"], False)
        self.file("console", b"NB: checksum_ok\nNB: boot_seconds=nan\nNB: boot_seconds=-3\nNB: guest_kernel=\"\\\x01\xff\n" + b"A" * 100000)
        _, s = self.summary("--guest-log", log)
        self.assertEqual((s["checksum_ok"], s["boot_seconds"], s["guest_kernel"]), (None, None, '"\\??'))
        got, s = self.summary("--guest-log", log + "2")
        self.assertIn("console2", got.stderr)

    def test_summary_cannot_be_written(self):
        self.refused(self.run_("--summary", self.dir + "/none/s.json", "true"), 125, "none/s.json")
        self.refused(self.run_("--summary", self.dir, "true"), 125, "Is a directory")

    def test_failed_run_leaves_no_summary(self):
        path = os.path.join(self.dir, "s.json")
        odd = self.file("odd", elf(interp=True), 0o755)
        self.assertEqual(self.run_("--summary", path, odd).returncode, 126)
        self.assertFalse(os.path.exists(path))

    def test_summary_replaces_a_longer_one(self):
        self.file("s.json", "x" * 10000)
        self.summary()

    # Signals, and what is left

    def start(self, *args):
        p = subprocess.Popen([clitest.NESTBOX, "run", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=self.env)
        self.addCleanup(lambda: (p.kill(), p.stdout.close(), p.stderr.close(), p.wait()))
        return p

    def test_signals_reach_the_program(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            if signal.getsignal(sig) == signal.SIG_IGN:  # under nohup: a shell cannot trap what it was born ignoring
                self.addCleanup(signal.signal, sig, signal.signal(sig, signal.SIG_DFL))
            p = self.start("sh", "-c", "trap 'echo got; exit 9' %d; echo up; while :; do sleep 0.05; done" % sig)
            self.assertEqual(p.stdout.readline(), "up\n")
            p.send_signal(sig)
            self.assertEqual((p.stdout.read(), p.wait(20)), ("got\n", 9))
            self.assertEqual(os.listdir(self.tmp), [])

    def test_signal_ends_the_program(self):
        p = self.start("sh", "-c", "echo up; exec sleep 60")
        p.stdout.readline()
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 143)

    def test_interrupt_key_is_the_terminals_business(self):
        # The terminal tells the whole group; the launcher must not tell the program a second time. Two signals that
        # come close together are one, so count in a program that has left the group: it gets none.
        script = ("import os, signal; %s signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]); print('up', flush=True)\n"
                  "print('got', signal.sigtimedwait([signal.SIGINT], 1) is not None)")
        for leave, want in (("", b"got True"), ("os.setpgid(0, 0);", b"got False")):
            pid, master = pty.fork()
            if pid == 0:
                signal.signal(signal.SIGTTOU, signal.SIG_IGN)
                os.execve(clitest.NESTBOX, [clitest.NESTBOX, "run", "python3", "-c", script % leave], self.env)
            out = b""
            while b"up" not in out:
                out += os.read(master, 100)
            os.write(master, b"\x03")
            try:
                while True:
                    out += os.read(master, 100)
            except OSError:
                pass
            _, status = os.waitpid(pid, 0)
            os.close(master)
            self.assertEqual(os.waitstatus_to_exitcode(status), 0)
            self.assertIn(want, out)

    def test_signals_are_as_they_were(self):
        got = self.run_("sh", "-c", "grep -E 'SigBlk|SigIgn' /proc/self/status")
        plain = subprocess.run(["sh", "-c", "grep -E 'SigBlk|SigIgn' /proc/self/status"], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(got.stdout, plain.stdout)

    def test_background_processes_are_waited_for(self):
        start = time.monotonic()
        mark = os.path.join(self.dir, "mark")
        got = self.run_("sh", "-c", "(sleep 1; ls $NESTBOX_RUN > %s) > /dev/null 2>&1 & exit 4" % mark)
        self.assertEqual(got.returncode, 4)
        self.assertGreater(time.monotonic() - start, 0.9)
        with open(mark, encoding="utf-8") as f:
            self.assertIn("host.bin", f.read())

    def test_signal_ends_what_was_left_in_the_background(self):
        p = self.start("sh", "-c", "sleep 60 > /dev/null 2>&1 & echo $!")
        pid = int(p.stdout.readline())
        time.sleep(0.3)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 0)
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)

    def test_run_directory_of_a_killed_launcher(self):
        p = self.start("sh", "-c", "echo $$; exec sleep 60")
        pid = int(p.stdout.readline())
        p.kill()
        p.wait()
        os.kill(pid, signal.SIGKILL)
        left = os.listdir(self.tmp)
        self.assertEqual(len(left), 1)
        self.assertEqual(self.run_("true").returncode, 0)
        self.assertEqual(os.listdir(self.tmp), left, "young: its launcher may be about to lock it")
        os.utime(os.path.join(self.tmp, left[0]), (1, 1))
        self.assertEqual(self.run_("true").returncode, 0)

    def test_run_directory_of_a_living_launcher_stays(self):
        p = self.start("sh", "-c", "echo up; read x; ls $NESTBOX_RUN; true")
        p.stdout.readline()
        p.terminate()
        p.wait(20)
        p = subprocess.Popen([clitest.NESTBOX, "run", "sh", "-c", "echo $NESTBOX_RUN; read x; ls $NESTBOX_RUN"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, env=self.env)
        os.utime(p.stdout.readline().strip(), (1, 1))
        self.assertEqual(self.run_("true").returncode, 0)
        out, _ = p.communicate("\n", timeout=20)
        self.assertIn("host.bin", out)

    def test_symbolic_links_are_not_followed(self):
        keep = self.file("keep", "precious")
        self.run_("sh", "-c", "ln -s %s $NESTBOX_RUN/link; ln -s %s $NESTBOX_RUN/dirlink" % (keep, self.dir))
        self.assertTrue(os.path.exists(keep))

    @unittest.skipIf(os.geteuid() != 0, "is already unprivileged")
    def test_unprivileged(self):
        os.chmod(self.dir, 0o755)
        os.chmod(self.tmp, 0o777)
        nobody = pwd.getpwnam("nobody")
        reachable = subprocess.run(["setpriv", "--reuid", str(nobody.pw_uid), "--clear-groups", "test", "-x", clitest.NESTBOX], check=False)
        if reachable.returncode:
            self.skipTest("the build directory is not readable for nobody")
        got = subprocess.run(["setpriv", "--reuid", str(nobody.pw_uid), "--clear-groups", clitest.NESTBOX, "run", "id", "-un"],
                             stdout=subprocess.PIPE, text=True, env=self.env, check=False)
        self.assertEqual((got.returncode, got.stdout), (0, "nobody\n"))


class Walk(CliTest):
    def test_nobody_is_running(self):
        self.refused(self.nestbox("walk", "0000:01:00.0", "0x1000"), 1, "no program")
        self.refused(self.nestbox("walk", "--pid", "1", "0000:01:00.0", "0x1000"), 1, "process 1 ")
        self.refused(self.nestbox("walk", "--run", self.dir, "0000:01:00.0", "0x1000"), 1, self.dir)

    def test_bad_words(self):
        for rid in ("x", "1:0", "0000:01:00.8", "0000:01:20.0", "-1:00.0", "01:00.0.", "01:00.0.0x100000", "01:00.0.-1", "01:00.0x"):
            self.refused(self.nestbox("walk", rid, "0x1000"), 2, rid)
        for addr in ("x", "0x", "-1", "0x1g", "0x10000000000000000", ""):
            self.refused(self.nestbox("walk", "01:00.0", addr), 2, "address")
        self.refused(self.nestbox("walk", "01:00.0", "0", "q"), 2, '"q"')
        self.refused(self.nestbox("walk", "--pid", "x", "01:00.0", "0"), 2, '"x"')
        self.assertEqual(self.nestbox("walk").returncode, 2)

    USER = ("import fcntl, os, struct; fd = os.open('/dev/iommu', os.O_RDWR);"
            "fcntl.ioctl(fd, 0x3b81, struct.pack('III', 12, 0, 0)); print(os.getpid(), flush=True); input()")

    def start(self, *options):
        p = subprocess.Popen([clitest.NESTBOX, "run", *options, "python3", "-c", self.USER], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env)
        self.addCleanup(lambda: (p.kill(), p.stdin.close(), p.stdout.close(), p.stderr.close(), p.wait()))
        return p, p.stdout.readline().strip()

    def test_log_has_the_bring_up(self):
        # Queue, switches and root table of VT-d; stream table and the first command of an SMMU.
        for host, registers in ("legacy", (0x90, 0x18, 0x20)), ("smmu-basic", (0x80, 0x88, 0x98)):
            p, _ = self.start("--host", host, "--log", "hw.mmio-write")
            _, err = p.communicate("\n", timeout=20)
            self.assertEqual(p.returncode, 0, err)
            written = [line.split()[3] for line in err.splitlines() if line.startswith("nestbox: hw.mmio-write reg ")]
            at = [written.index("%x" % reg) for reg in registers]
            self.assertEqual(at, sorted(at), written)
        # More patterns than there is room for: the first of them.
        p, _ = self.start("--log", ",".join(["hw.mmio-write"] * 60))
        _, err = p.communicate("\n", timeout=20)
        self.assertEqual(p.returncode, 0, err)
        self.assertIn("nestbox: hw.mmio-write reg 20 ", err)
        self.assertNotIn("matches no event", err)

    def test_running_program(self):
        p, pid = self.start()
        for how in ([], ["--pid", pid], ["--run", os.path.join(self.tmp, os.listdir(self.tmp)[0])]):
            got = self.nestbox("walk", *how, "0000:01:00.0", "0x1000", "w")
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertIn("0000:01:00.0 wants to write 0x1000", got.stdout)
            self.assertIn("verdict: refused by the configuration", got.stdout)
        self.refused(self.nestbox("walk", "0000:07:00.0", "0x1000"), 1)
        self.refused(self.nestbox("walk", "--pid", "1", "0000:01:00.0", "0x1000"), 1, "process 1 ")
        other, other_pid = self.start("--host", "spr-fixed")
        self.refused(self.nestbox("walk", "0000:01:00.0", "0x1000"), 1, "several", pid, other_pid)
        self.assertEqual(self.nestbox("walk", "--pid", other_pid, "0000:01:00.0", "0x1000").returncode, 0)
        _, err = other.communicate("\n", timeout=20)
        self.assertEqual(other.returncode, 0)
        self.assertIn("nestbox: the run on host spr-fixed", err)
        _, err = p.communicate("\n", timeout=20)
        self.assertIn("nestbox: the run on host spr (", err)

    def test_unknown_commands(self):
        self.refused(self.nestbox("fly"), 2, '"fly"')
        got = self.nestbox()
        self.assertEqual((got.returncode, got.stdout), (2, ""))
        for args in (["--help"], ["help"], ["run", "--help"], ["walk", "--help"], ["demo", "--help"], ["--version"]):
            got = self.nestbox(*args)
            self.assertEqual((got.returncode, got.stderr), (0, ""), args)


if __name__ == "__main__":
    clitest.main()

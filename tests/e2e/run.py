#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The end-to-end tests: tests/e2e/run.py CASE runs one, without CASE lists them."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

import cases_arm  # noqa: F401: adds its cases to ours
import cases_own_iommu  # noqa: F401: as above
import nbe2e
from expect import MAP_REFUSED, expect_nested, expect_shadow, expect_strict, finish_disk
from nbe2e import DMATEST0, NESTED, NVME0, NVME1, PLAIN, Guest, Skip, case, check, iommufd, vfio

def nested_disk(**properties):
    return [*iommufd(), "-device", NESTED, *vfio(NVME0, **properties)]


def run_disk(mib=16, disks=1, group="DMA", **guest_args):
    """The nvme scenario to its end; returns the guest for more checks."""
    guest_args.setdefault("devices", nested_disk())
    return finish_disk(Guest("nvme,mib=%d,disks=%d" % (mib, disks), **guest_args), mib, disks, group)


@case("nested-strict")
def nested_strict():
    guest = run_disk(mib=64)
    expect_nested(guest)
    expect_strict(guest, 64)


@case("incoherent")
def incoherent():
    """Table walks that do not snoop: what the host's driver forgets to write back, the unit does not see."""
    guest = run_disk(mib=16, host="incoherent")
    expect_nested(guest)
    guest.expect_summary("interrupts", lambda n: n > 100, "a disk under load interrupts, through the unit")


@case("caching")
def caching():
    """Units in caching mode: a host driver that does not invalidate after mapping leaves its own absences cached."""
    guest = run_disk(mib=16, host=os.path.join(nbe2e.TREE, "examples", "caching.yaml"))
    expect_nested(guest)


@case("nested-lazy")
def nested_lazy():
    guest = run_disk(group="DMA-FQ", iommu="intel_iommu=on,sm_on")
    expect_nested(guest)
    guest.expect_summary("s1_invalidations", lambda n: n > 0, "not even a lazy guest does without")


@case("nvme-load")
def nvme_load():
    with Guest("nvme-load,secs=4,threads=6", nested_disk(), smp=2) as guest:
        guest.finish()
        expect_nested(guest)


@case("iommu-pt")
def iommu_pt():
    guest = run_disk(group="identity", iommu="intel_iommu=on,sm_on iommu=pt")
    expect_shadow(guest)


@case("sm-off")
def sm_off():
    """
    Legacy mode in the guest, so QEMU shadows its tables into the stage-2 that could have been a nesting parent. These
    hold read-only pages, which a host with erratum 772415 refuses there: hence the other host.
    """
    guest = run_disk(iommu="intel_iommu=on,sm_off iommu.strict=1", host="spr-fixed")
    expect_shadow(guest)


@case("fsts-off")
def fsts_off():
    guest = run_disk(devices=[*iommufd(), "-device", "intel-iommu,scalable-mode=on,caching-mode=on", *vfio(NVME0)])
    expect_shadow(guest)


@case("two-iommufds")
def two_iommufds():
    guest = run_disk(disks=2, devices=[*iommufd("iommufd0"), *iommufd("iommufd1"), "-device", NESTED,
                                       *vfio(NVME0, "iommufd0"), *vfio(NVME1, "iommufd1")])
    expect_nested(guest)


@case("one-iommufd")
def one_iommufd():
    guest = run_disk(disks=2, devices=[*iommufd(), "-device", NESTED, *vfio(NVME0), *vfio(NVME1)])
    expect_nested(guest)


@case("hotplug")
def hotplug():
    """One disk comes and goes behind a root port while the other is under load."""
    times = 20
    devices = [*nested_disk(addr="4"), "-device", "pcie-root-port,id=rp0,slot=1,chassis=1,addr=5"]
    with Guest("hotplug,disk=0000:00:04.0,times=%d" % times, devices, timeout=180) as guest:
        if PLAIN:
            guest.qmp.command("blockdev-add", driver="file", **{"node-name": "other",
                                                                  "filename": guest.plain_disk("other")})
            other = {"driver": "nvme", "drive": "other", "serial": "other"}
        else:
            other = {"driver": "vfio-pci", "host": NVME1, "iommufd": "iommufd0"}
        guest.wait_line("load", "running")
        for n in range(1, times + 1):
            guest.qmp.command("device_add", id="other%d" % n, bus="rp0", **other)
            guest.wait_line("appeared", str(n))
            guest.qmp.command("device_del", id="other%d" % n)
            guest.qmp.wait_event("DEVICE_DELETED", device="other%d" % n)
            if n < times:
                guest.wait_line("gone", str(n))
        guest.finish()
        expect_nested(guest)
        guest.expect_summary("nested_hwpt_allocs", lambda n: n > times, "each appearance has its own")


@case("reset-under-load")
def reset_under_load():
    with Guest("nvme-load,secs=2", nested_disk(), reboot=True) as guest:
        guest.wait_line("load", "running")
        time.sleep(1)
        guest.qmp.command("system_reset")
        guest.finish()
        check([k for k, _ in guest.lines()].count("init") == 2, "the guest did not boot twice")
        expect_nested(guest)


@case("dmatest")
def dmatest():
    """A program in the guest drives the test engine through the guest's VFIO."""
    needs_engine()
    with Guest("dmatest", [*iommufd(), "-device", NESTED, *vfio(DMATEST0)]) as guest:
        guest.finish()
        guest.expect_summary("nested_hwpt_allocs", lambda n: n > 0, "the guest's tables were not nested")
        # What a device-TLB asks in vain for is no fault.
        guest.expect_summary("dma_faults", lambda n: n == 5, "five requests are meant to fault")
        guest.expect_summary("ats_requests", lambda n: 64 <= n < 200, "once for each page and each time that it changed")
        guest.expect_summary("interrupts", lambda n: n == 1, "the guest asked for one")
        check(MAP_REFUSED not in guest.output(), "QEMU's mappings were refused")


@case("ro-erratum")
def ro_erratum():
    """
    Erratum 772415: no read-only page in the stage-2 of a nesting parent. Every nested case shows that QEMU, told of it,
    makes none on its own account. Where it shadows a guest's read-only page there, the host must refuse.
    """
    needs_engine()
    with Guest("dmatest", [*iommufd(), "-device", NESTED, *vfio(DMATEST0)],
               iommu="intel_iommu=on,sm_off iommu.strict=1") as guest:
        verdict = guest.wait_line("done")
        check(verdict.startswith("fail reason=read_only: error"), "the guest says: " + verdict)
        check(MAP_REFUSED in guest.output(), "QEMU was not refused")


@case("pasid")
def pasid():
    """A program in the guest drives QEMU's VT-d itself: two tables for one device, told apart by PASID."""
    needs_engine()
    with Guest("pasid", [*iommufd(), "-device", NESTED + ",pasid-bits=20", *vfio(DMATEST0)],
               iommu="intel_iommu=off intremap=off iomem=relaxed") as guest:
        guest.finish()
        guest.expect_summary("nested_hwpt_allocs", lambda n: n >= 2, "one for each table")
        guest.expect_summary("dma_faults", lambda n: n == 4, "four requests are meant to fault")


def needs_engine():
    if PLAIN:
        raise Skip("QEMU has no dmatest function of its own")


@case("virtio-net-beside")
def virtio_net_beside():
    net = ["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,disable-legacy=on,iommu_platform=on"]
    with Guest("net,count=20", [*nested_disk(), *net]) as guest:
        guest.finish()
        expect_nested(guest)


@case("memfd")
def memfd():
    guest = run_disk(machine="q35,memory-backend=ram,aux-ram-share=on",
                     args=["-object", "memory-backend-memfd,id=ram,size=256M,share=on"])
    expect_nested(guest)


@case("sandbox")
def sandbox():
    guest = run_disk(args=["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"])
    expect_nested(guest)


@case("fd-passing")
def fd_passing():
    """QEMU opens nothing: a launcher under nestbox does, and hands it descriptors."""
    if PLAIN:
        raise Skip("there is no descriptor to pass without nestbox")
    launcher = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pass_fds.py")
    guest = run_disk(launch=[launcher, NVME0],
                     devices=["-object", "iommufd,id=iommufd0,fd=@IOMMUFD@", "-device", NESTED,
                              # Without an id QEMU 11.1 crashes on fd=, nestbox or not.
                              "-device", "vfio-pci,id=disk,fd=@DEVICE@,iommufd=iommufd0"])
    expect_nested(guest)


@case("wrong-order")
def wrong_order():
    """
    QEMU says nothing when the vIOMMU comes after the device, but nesting is gone: nestbox has to say it. The guest's
    mappings do not reach the device then, so it is one that no driver of the guest waits for.
    """
    with Guest("idle", [*iommufd(), *vfio(DMATEST0), "-device", NESTED]) as guest:
        guest.wait_line("ready")
        guest.qmp.command("quit")
        guest.wait_exit(0 if PLAIN else 123)
        guest.expect_summary("nested_hwpt_allocs", lambda n: n == 0, "nothing can nest")
        guest.expect_summary("nesting_dropped", lambda dropped: dropped, "nestbox can tell")
        check(PLAIN or "nesting was dropped" in guest.output(), "not a word about it for people")


@case("unprivileged")
def unprivileged():
    """The whole run as a user who owns nothing but a home."""
    if os.getuid() != 0:
        return nested_lazy()  # every test is this one then
    uid = 65534  # nobody
    with tempfile.TemporaryDirectory(prefix="nb-e2e-home-") as home:
        guest = Guest("nvme,mib=16", nested_disk(), owner=uid,
                      wrap=["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "env", "HOME=" + home])
        # The originals may lie below a folder that only root can enter.
        guest.qemu = bring(os.path.join(nbe2e.CACHE, "bin"), home) + "/qemu-system-x86_64"
        bring(os.path.join(nbe2e.CACHE, "qemu"), home)
        guest.images = bring(guest.images, home)
        if not PLAIN:
            guest.nestbox[0] = bring_nestbox(home)
        os.chmod(home, 0o755)
        finish_disk(guest, mib=16)
        expect_nested(guest)


def bring_nestbox(home):
    """In the layout of the build tree, where the command finds its library beside its own folder."""
    for part in ("cli/nestbox", "run/libnestbox-run.so"):
        os.makedirs(os.path.join(home, os.path.dirname(part)))
        shutil.copy(os.path.join(os.path.dirname(nbe2e.NESTBOX), "..", part), os.path.join(home, part))
    return os.path.join(home, "cli", "nestbox")


def bring(source, home):
    # Unchecked: not everything of a package is unpacked, so a link may lead nowhere. What is needed and not there shows soon.
    subprocess.run(["cp", "-rL", source, home], check=False, stderr=subprocess.DEVNULL)
    return os.path.join(home, os.path.basename(source))


if __name__ == "__main__":
    sys.exit(nbe2e.main())

# SPDX-License-Identifier: BSD-3-Clause
"""
The cases with an Arm guest: qemu-system-aarch64, its accelerated SMMUv3 on a host with SMMUs. See README.md for the poke.

Interrupt messages do not reach a guest behind that SMMU without KVM (QEMU sends them to the guest's IOVA as if it were a
physical address), so these guests use INTx.
"""

import os

import nbe2e
from expect import expect_moved, expect_nested, expect_no_faults, expect_strict
from nbe2e import DMATEST0, NVME0, PLAIN, Guest, Skip, case, check, iommufd, vfio

# Behind the second SMMU of the host "grace".
NVME_B = "0000:41:00.0"

POKE = os.environ.get("NB_POKE") or os.path.join(nbe2e.TREE, "build", "tests", "e2e", "poke_qemu_kvm.so")
FIRMWARE = os.path.join(nbe2e.CACHE, "qemu", "usr", "share", "qemu-efi-aarch64", "QEMU_EFI.fd")
# An SMMU with nothing behind it cannot ask the host what to promise, so it is told.
TOLD = "arm-smmuv3,accel=on,ats=on,ril=on,ssidsize=16,oas=48,cmdqv=off"
# Events of QEMU's ports below a pxb-pcie did not come through to the guest by wire; no nestbox is in that path.
HOTPLUG_BY_POLLING = "pciehp.pciehp_poll_mode=1 pciehp.pciehp_poll_time=1"
OWN_DRIVER = "initcall_blacklist=arm_smmu_driver_init deferred_probe_timeout=0 iomem=relaxed"


class ArmGuest(Guest):
    arch, machine, cpu, host, iommu = "aarch64", "virt,gic-version=3", "cortex-a57", "grace", "iommu.strict=1"
    # Without MSI the kernel does not ask the firmware for the ports' hotplug.
    kernel = "console=ttyAMA0 quiet panic=-1 pci=nomsi pcie_ports=native"
    other = None  # the image of a plain disk that is plugged

    def __init__(self, *args, **kwargs):
        if not os.path.exists(FIRMWARE):
            raise Skip("no Arm guest in %s; run scripts/setup guest" % nbe2e.CACHE)
        super().__init__(*args, **kwargs)
        for name in "nb-kvm-on", "nb-kvm-off":
            with open(self.path(name), "wb") as f:
                f.truncate(1024)
        self.options = ["-bios", FIRMWARE, *(option.replace("@DIR@", self.dir) for option in self.options)]


class MessageGuest(ArmGuest):
    kernel = "console=ttyAMA0 quiet panic=-1"


def smmus(count=1, model="arm-smmuv3,accel=on", before=()):
    """Root buses pcie.1 and on, numbered 8, 16..., each below an SMMU. The markers are for the poke."""
    out = []
    for n in range(1, count + 1):
        out += ["-device", "pxb-pcie,id=pcie.%d,bus_nr=%d,bus=pcie.0" % (n, 8 * n)]
    out += before
    out += marker("on")
    for n in range(1, count + 1):
        out += ["-device", "%s,id=smmu%d,primary-bus=pcie.%d" % ("arm-smmuv3" if PLAIN else model, n, n)]
    return out + marker("off")


def marker(state):
    return [] if PLAIN else ["-device", "pci-testdev,bus=pcie.0,romfile=@DIR@/nb-kvm-" + state]


def port(n, bus="pcie.1"):
    return ["-device", "pcie-root-port,id=rp%d,bus=%s,chassis=%d,slot=%d" % (n, bus, n, n)]


def poked(*args, **kwargs):
    """A guest whose QEMU takes an accelerated SMMU."""
    if not PLAIN:
        check(os.path.exists(POKE), "no %s: build it" % POKE)
        kwargs["environment"] = {"LD_PRELOAD": POKE}
    return ArmGuest(*args, **kwargs)


def disks_behind(*functions):
    """Each function below a root port of its own; disk n is behind SMMU n."""
    out = []
    for n, function in enumerate(functions, 1):
        out += [*port(n, "pcie.%d" % n), *vfio(function, bus="rp%d" % n)]
    return out


def expect_objects(guest, **figures):
    """What QEMU made for the guest's SMMUs, and what the guest was told of."""
    for key, figure in figures.items():
        guest.expect_summary(key, lambda n, figure=figure: n == figure, "%d is right" % figure)
    guest.expect_summary("guest_events_lost", lambda n: n == 0, "there was room for all")


@case("arm-disk")
def arm_disk():
    """
    Two disks, each behind an SMMU of the guest and of the host, and the guest kernel's driver: what it maps is right, and what it has not
    mapped it hears of.
    """
    mib = 8
    devices = [*iommufd(), *smmus(2), *disks_behind(NVME0, NVME_B)]
    if not PLAIN:
        devices += [*port(3), *vfio(DMATEST0, bus="rp3")]
    with poked("%s,mib=%d,disks=2" % ("nvme" if PLAIN else "smmu-disk", mib), devices) as guest:
        guest.finish()
        check(guest.last("checksum_ok") == "1", "checksums differ")
        check(guest.last("iommu_group_type") == "DMA", "group type %s" % guest.last("iommu_group_type"))
        if not PLAIN:
            check(guest.last("kernel_event") == "ok", "the guest's driver")
        expect_moved(guest, 2 * mib)
        expect_strict(guest, 2 * mib)
        # Per SMMU one to abort, one to bypass, whether or not the guest has tables; and one for each function's own.
        guest.expect_summary("nested_hwpt_allocs", lambda n: n >= 2 * 2 + 3, "the guest's tables were not nested")
        guest.expect_summary("nesting_dropped", lambda dropped: not dropped, "each SMMU comes before its devices")
        guest.expect_summary("dma_faults", lambda n: n == 1, "one request is meant to fault")
        expect_objects(guest, viommus=2, vdevices=3, hw_queues=0, guest_events=1)


@case("arm-dmatest")
def arm_dmatest():
    """A program in the guest drives QEMU's SMMUv3 itself: events, ranges, a queue of CMDQ-V, PASIDs, the device's TLB."""
    if PLAIN:
        raise Skip("QEMU has no dmatest function of its own")
    with poked("smmu", [*iommufd(), *smmus(), *port(1), *vfio(DMATEST0, bus="rp1")], iommu=OWN_DRIVER) as guest:
        guest.finish()
        for step in "vcmdq", "pasid", "device_tlb_at_end":
            check(guest.last(step) == "ok", "this host has all of it")
        check(guest.last("ranges") == "1", "this host has ranges")
        guest.expect_summary("nested_hwpt_allocs", lambda n: n == 5, "to abort, to bypass, without ATS, with ATS, at the end")
        guest.expect_summary("dma_faults", lambda n: n == 13, "thirteen requests are meant to fault")
        # Three of them where the guest's SMMU is set to let nothing pass, which is no event.
        expect_objects(guest, viommus=1, vdevices=1, hw_queues=1, guest_events=10)
        # The guest makes 300 more through the queue that needs no call.
        guest.expect_summary("s1_invalidations", lambda n: 16 < n < 100, "what does not go through CMDQ-V")
        guest.expect_summary("ats_requests", lambda n: 32 <= n < 100, "once for each page and each time that it changed")


@case("arm-hotplug")
def arm_hotplug():
    """The guest is reset under load. Then a disk comes and goes, alone behind its SMMU, while the other is under load."""
    times = 2
    devices = [*iommufd(), *smmus(2, TOLD), *disks_behind(NVME0), *port(2, "pcie.2")]
    with poked("hotplug,disk=0000:09:00.0,secs=120,times=%d" % times, devices, iommu="iommu.strict=1 " + HOTPLUG_BY_POLLING,
               reboot=True, timeout=180) as guest:
        guest.wait_line("load", "running")
        guest.qmp.command("system_reset")
        guest.wait_count("load", 2)
        for n in range(1, times + 1):
            guest.qmp.command("device_add", id="other%d" % n, bus="rp2", **another_disk(guest))
            guest.wait_line("appeared", str(n))
            guest.qmp.command("device_del", id="other%d" % n)
            guest.qmp.wait_event("DEVICE_DELETED", timeout=60, device="other%d" % n)
            if n < times:
                guest.wait_line("gone", str(n))
        guest.finish()
        expect_nested(guest)
        # The guest's tables at each of its starts, and three domains for each appearance: the SMMU's own two go with its last function.
        guest.expect_summary("nested_hwpt_allocs", lambda n: n >= 2 + 2 + 3 * times, "the guest's tables were not nested")


def another_disk(guest):
    if not PLAIN:
        return {"driver": "vfio-pci", "host": NVME_B, "iommufd": "iommufd0"}
    if not guest.other:
        guest.other = guest.plain_disk("other")
        guest.qmp.command("blockdev-add", driver="file", **{"node-name": "other", "filename": guest.other})
    return {"driver": "nvme", "drive": "other", "serial": "other"}


@case("arm-plain")
def arm_plain():
    """
    Nothing poked. QEMU has no shadow tables for an SMMU that is not accelerated, so it refuses an assigned function behind one; behind none
    it is translated by the host alone, here by one that does not do what acceleration asks for, and interrupts by message.
    """
    if not PLAIN:
        devices = [*iommufd(), *smmus(model="arm-smmuv3"), *disks_behind(NVME0)]
        with MessageGuest("idle", devices, host="smmu-basic") as guest:
            guest.wait_exit(1)
            check("requires iommu MAP notifier" in guest.output(), "QEMU refused for another reason")
    mib = 8
    with MessageGuest("nvme,mib=%d" % mib, [*iommufd(), *vfio(NVME0)], host="smmu-basic") as guest:
        guest.finish()
        check(guest.last("checksum_ok") == "1", "checksums differ")
        expect_moved(guest, mib)
        expect_no_faults(guest)
        guest.expect_summary("nested_hwpt_allocs", lambda n: n == 0, "there is nothing to nest")
        guest.expect_summary("interrupts", lambda n: n >= mib, "the disk's messages")


@case("arm-wrong-order")
def arm_wrong_order():
    """An SMMU that is named after the device below it: QEMU says nothing, nestbox has to. The guest is never started."""
    devices = [*iommufd(), *smmus(model=TOLD, before=disks_behind(NVME0))]
    with poked("idle", devices, args=["-S"]) as guest:
        guest.qmp.command("quit")
        guest.wait_exit(0 if PLAIN else nbe2e.NESTING_DROPPED)
        guest.expect_summary("nested_hwpt_allocs", lambda n: n == 0, "nothing can nest")
        guest.expect_summary("nesting_dropped", lambda dropped: dropped, "nestbox can tell")
        check(PLAIN or "name arm-smmuv3 before vfio-pci" in guest.output(), "not a word about it for people")


@case("arm-refused")
def arm_refused():
    """What the host does not have QEMU must not promise: no guest is started."""
    if PLAIN:
        raise Skip("there is no host to ask")
    with poked("idle", [*iommufd(), *smmus(), *disks_behind(NVME0)], host="smmu-basic") as guest:
        guest.wait_exit(1)
        check("Host SMMUv3 Stream Table format mismatch" in guest.output(), "QEMU refused for another reason")

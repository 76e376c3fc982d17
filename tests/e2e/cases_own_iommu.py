# SPDX-License-Identifier: BSD-3-Clause
"""
The registers of the SMMUv3 model and a kernel's own driver: an Arm guest without KVM and without any SMMU of QEMU's, whose device tree has one
where BAR 5 of an assigned function is. Nothing is poked.
"""

import os
import shutil
import subprocess

import nbe2e
from expect import expect_moved, expect_no_faults
from nbe2e import PLAIN, Guest, Skip, case, check, iommufd, vfio

HOST = os.path.join(nbe2e.TREE, "examples", "own-iommu.yaml")
ENGINE, DISK = "0000:02:00.0", "0000:03:00.0"
BAR = 0x10000000  # where the kernel puts the largest BAR: at the start of the bus's window

# Function 01.0 interrupts on the second of the bus's four lines, SPI 4 (level). The streams are those of the host's description.
DEVICE_TREE = """
/ {
	smmu: iommu@%x {
		compatible = "arm,smmu-v3";
		reg = <0 %#x 0 0x20000>;
		#iommu-cells = <1>;
		dma-coherent;
		interrupts = <0 4 4>;
		interrupt-names = "combined";
	};
	pcie@10000000 {
		iommu-map = <0x08 &smmu 0x1234 1>, <0x10 &smmu 0x0300 1>;
	};
};
""" % (BAR, BAR)


class OwnIommuGuest(Guest):
    arch, machine, cpu, host = "aarch64", "virt,gic-version=3,its=off", "cortex-a57", HOST
    iommu = "iommu.strict=1"
    # The bus is not to wait for the SMMU that is on it, and the disk is to wait until it is there.
    kernel = "console=ttyAMA0 quiet panic=-1 fw_devlink=permissive deferred_probe_timeout=100"

    def __init__(self, *args, **kwargs):
        if not shutil.which("dtc"):
            raise Skip("no dtc; run scripts/setup build")
        if not os.path.isdir(os.path.join(nbe2e.CACHE, "kernel-arm64")):
            raise Skip("no Arm guest in %s; run scripts/setup guest" % nbe2e.CACHE)
        super().__init__(*args, **kwargs)
        self.options += ["-dtb", self.device_tree()]

    def device_tree(self):
        """The board's own with the SMMU added."""
        board, source, out = (self.path(name) for name in ("board.dtb", "tree.dts", "tree.dtb"))
        done = subprocess.run([self.qemu, "-machine", self.machine + ",dumpdtb=" + board, "-cpu", self.cpu, "-m", "256",
                               "-nodefaults", "-display", "none"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check(os.path.exists(board), "QEMU made no device tree: " + done.stdout)
        subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-o", source, board], check=True)
        with open(source, "a") as f:
            f.write(DEVICE_TREE)
        subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", out, source], check=True)
        return out


@case("own-iommu")
def own_iommu():
    """The guest kernel's arm-smmu-v3 brings the model up; a disk and the engine work behind it, faults are read from its event queue."""
    if PLAIN:
        raise Skip("QEMU has no such function")
    mib = 8
    devices = [*iommufd(), *vfio(ENGINE, addr="1"), *vfio(DISK, addr="2")]
    with OwnIommuGuest("own-iommu,bar=%x,mib=%d" % (BAR, mib), devices) as guest:
        guest.finish()
        check(guest.last("checksum_ok") == "1", "checksums differ")
        check(guest.last("iommu_group_type") == "DMA", "group type %s" % guest.last("iommu_group_type"))
        expect_moved(guest, mib)
        expect_no_faults(guest)  # of the host's unit: what leaves the guest's is the guest's memory
        guest.expect_summary("nested_hwpt_allocs", lambda n: n == 0, "QEMU knows of no IOMMU")
        guest.expect_summary("own_refused", lambda n: n == 2, "two requests are meant to fault")
        guest.expect_summary("own_interrupts", lambda n: n == 2, "once for each event")
        guest.expect_summary("own_register_writes", lambda n: n > 50, "the driver wrote the registers")
        guest.expect_summary("own_register_reads", lambda n: n > 50, "and read them")
        guest.expect_summary("own_config_commands", lambda n: n >= 3, "all at first, then each stream")
        guest.expect_summary("own_tlb_commands", lambda n: n >= 2 * mib, "strict: each transfer is unmapped and invalidated")
        guest.expect_summary("own_syncs", lambda n: n >= 2 * mib, "and waited for")
        guest.expect_summary("own_fetches", lambda n: n > 100, "entries and tables were read")

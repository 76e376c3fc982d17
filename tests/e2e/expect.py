# SPDX-License-Identifier: BSD-3-Clause
"""What the summary of a run must say, for the cases of all vendors."""

from nbe2e import check

MIB = 1 << 20
MAP_REFUSED = "(Invalid argument)"  # ends QEMU's message about a mapping


def expect_moved(guest, mib):
    """Guest writes are the disk's DMA reads and the other way round."""
    guest.expect_summary("dma_read_bytes", lambda n: n >= mib * MIB, "%d MiB were written" % mib)
    guest.expect_summary("dma_write_bytes", lambda n: n >= mib * MIB, "%d MiB were read" % mib)


def expect_nested(guest):
    guest.expect_summary("nested_hwpt_allocs", lambda n: n > 0, "the guest's tables were not nested")
    guest.expect_summary("nesting_dropped", lambda dropped: not dropped, "the vIOMMU comes first")
    check(MAP_REFUSED not in guest.output(), "QEMU's mappings were refused")
    expect_no_faults(guest)


def expect_shadow(guest):
    guest.expect_summary("nested_hwpt_allocs", lambda n: n == 0, "nothing should nest in this mode")
    expect_no_faults(guest)


def expect_no_faults(guest):
    guest.expect_summary("dma_faults", lambda n: n == 0, "correct DMA faulted")


def expect_strict(guest, mib):
    """With strict invalidation each I/O is unmapped and invalidated on its own; the largest is 1 MiB."""
    guest.expect_summary("s1_invalidations", lambda n: n >= 2 * mib, "too few for strict mode")


def finish_disk(guest, mib, disks=1, group="DMA"):
    with guest:
        guest.finish()
        check(guest.last("checksum_ok") == "1", "checksums differ")
        check(guest.last("iommu_group_type") == group, "group type %s" % guest.last("iommu_group_type"))
        guest.expect_summary("checksum_ok", lambda v: v in (1, True), "the summary's verdict")
        expect_moved(guest, mib * disks)
    return guest

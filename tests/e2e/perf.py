#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Compares, in one guest and one run, the assigned NVMe disk on nestbox with QEMU's own emulated NVMe; both are behind QEMU's
VT-d with first-stage tables:

    tests/e2e/perf.py [OUT.json]

prints a table, and writes the same as a list of {name, unit, value, limit, limit_value, ratio, target, ok}. The peer's
storage is a file in memory, as is ours.
"""

import json
import os
import shutil
import signal
import sys
import tempfile

import nbe2e
from nbe2e import NESTED, NVME0, Guest, iommufd, vfio

OURS, PEER = "0000:00:04.0", "0000:00:05.0"
TARGET = 1.0
MODES = (("strict", "intel_iommu=on,sm_on iommu.strict=1"), ("lazy", "intel_iommu=on,sm_on"))
MEASURES = (("randread_iops", "4 KiB random reads", "IOPS"), ("seqread_mbps", "128 KiB sequential reads", "MB/s"),
            ("seqwrite_mbps", "128 KiB sequential writes", "MB/s"))


def measure(mode, iommu, image):
    devices = [*iommufd(), "-device", NESTED, *vfio(NVME0, addr="4"),
               "-drive", "file=%s,if=none,id=peer,format=raw" % image, "-device", "nvme,drive=peer,serial=peer,addr=5"]
    with Guest("perf,disk=%s;%s,rounds=5,ms=400" % (OURS, PEER), devices, iommu=iommu, timeout=240) as guest:
        guest.finish()
        for key, text, unit in MEASURES:
            ours, peer = (float(guest.last("%s.%s" % (key, pci))) for pci in (OURS, PEER))
            yield {"name": "e2e %s, %s" % (text, mode), "unit": unit, "value": ours, "limit": "QEMU's emulated NVMe",
                   "limit_value": peer, "ratio": round(ours / peer, 3), "target": ">= %.1f" % TARGET,
                   "ok": ours >= TARGET * peer}


def main():
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="nb-e2e-perf-", dir=memory)
    rows = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # by way of what follows
    try:
        nbe2e.prepare()
        image = os.path.join(folder, "peer.img")
        with open(image, "wb") as f:
            f.truncate(1 << 30)
        for mode, iommu in MODES:
            rows += measure(mode, iommu, image)
    except nbe2e.Skip as e:
        print("SKIP: %s" % e)
        return nbe2e.SKIP
    except nbe2e.Failure as e:
        print("FAIL: %s" % e)
        return 1
    finally:
        shutil.rmtree(folder)
    for row in rows:
        print("%-45s %10.1f %-5s  peer %10.1f  ratio %.2f %s" % (
            row["name"], row["value"], row["unit"], row["limit_value"], row["ratio"], "ok" if row["ok"] else "BELOW TARGET"))
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w") as f:
            json.dump(rows, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
A launcher as libvirt is one: opens /dev/iommu and a device's VFIO cdev, then becomes QEMU, which is given the file
descriptors only:

    pass_fds.py PCI-ADDRESS QEMU ARGUMENTS...

@IOMMUFD@ and @DEVICE@ in the arguments stand for the descriptors' numbers.
"""

import os
import sys


def main():
    address, command = sys.argv[1], sys.argv[2:]
    cdev = next(n for n in os.listdir("/sys/bus/pci/devices/%s/vfio-dev" % address) if n.startswith("vfio"))
    numbers = {"@IOMMUFD@": os.open("/dev/iommu", os.O_RDWR), "@DEVICE@": os.open("/dev/vfio/devices/" + cdev, os.O_RDWR)}
    for mark, fd in numbers.items():
        os.set_inheritable(fd, True)
        command = [arg.replace(mark, str(fd)) for arg in command]
    os.execv(command[0], command)


if __name__ == "__main__":
    main()

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Test only, never installed: makes QEMU's "virt" board believe, for the moment in which the SMMU is plugged, that it has KVM.
 *
 * The board takes arm-smmuv3,accel=on only where kvm_allowed and kvm_kernel_irqchip are set, two variables that the executable
 * exports for its modules. Nothing else of accel mode needs KVM except the interrupt message's way into the guest. So
 * this object, preloaded into an unmodified QEMU, sets both while QEMU plugs the devices between two markers and clears
 * them again: everything before (the accelerator, the CPUs, the interrupt controller) and after (VFIO, the machine's run) sees the truth.
 *
 * A marker is a device whose option ROM has a certain name; QEMU asks for the file when it plugs the device:
 *
 *   -device pci-testdev,romfile=DIR/nb-kvm-on -device arm-smmuv3,accel=on,... -device pci-testdev,romfile=DIR/nb-kvm-off
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void pretend(bool kvm)
{
	static const char *const names[] = {"kvm_allowed", "kvm_kernel_irqchip"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		bool *variable = dlsym(RTLD_DEFAULT, names[i]);

		if (!variable) {
			fprintf(stderr, "poke_qemu_kvm: this QEMU exports no %s\n", names[i]);
			abort();
		}
		*variable = kvm;
	}
}

__attribute__((visibility("default"))) int access(const char *path, int mode)
{
	static int (*next)(const char *, int);
	const char *name = strrchr(path, '/');

	if (!next)
		next = (int (*)(const char *, int))dlsym(RTLD_NEXT, "access");
	if (name && strcmp(name, "/nb-kvm-on") == 0)
		pretend(true);
	else if (name && strcmp(name, "/nb-kvm-off") == 0)
		pretend(false);
	return next(path, mode);
}

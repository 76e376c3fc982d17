/* SPDX-License-Identifier: BSD-3-Clause */
#include "prog.h"

#include "uapi/vfio.h"

int prog_argc;
char **prog_argv;

int do_bind(int device, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};

	return ioctl(device, FAKE_BIND, &bind);
}

int open_iommu(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

int open_device(unsigned int n)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", n);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

void wait_for(pid_t pid, int want)
{
	int status;

	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == want);
}

int main(int argc, char **argv)
{
	static const struct prog_case *const all[] = {fd_cases, process_cases, memory_cases, path_cases, fault_cases};
	size_t i, j;

	for (i = 0; argc > 1 && i < sizeof(all) / sizeof(all[0]); i++) {
		for (j = 0; all[i][j].name; j++) {
			if (strcmp(all[i][j].name, argv[1]) != 0)
				continue;
			prog_argc = argc - 1;
			prog_argv = argv + 1;
			all[i][j].run();
			return 0;
		}
	}
	fprintf(stderr, "prog: no such case\n");
	return 2;
}

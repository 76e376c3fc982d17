/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths: the sysfs that VMMs read, and everything else as it is. */
#include "prog.h"

#include <dirent.h>
#include <limits.h>

#define DEV "/sys/bus/pci/devices/0000:01:00.0"

static bool lists(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	CHECK(d);
	while ((e = readdir(d)) != NULL)
		found |= strcmp(e->d_name, name) == 0;
	closedir(d);
	return found;
}

/* What QEMU does with host=0000:01:00.0, in its order. */
static void as_qemu(void)
{
	char buf[PATH_MAX], *sub;
	struct dirent *e;
	struct stat st;
	unsigned int maj, min;
	FILE *f;
	DIR *d;
	int fd;

	CHECK(access("/dev/iommu", F_OK) == 0);
	CHECK(stat(DEV, &st) == 0 && S_ISDIR(st.st_mode));
	sub = realpath(DEV "/subsystem", NULL);
	CHECK(sub && strcmp(sub, "/sys/bus/pci") == 0);
	free(sub);
	d = opendir(DEV "/vfio-dev");
	CHECK(d);
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "vfio", 4) == 0)
			break;
	CHECK(e && strcmp(e->d_name, "vfio0") == 0);
	closedir(d);
	f = fopen(DEV "/vfio-dev/vfio0/dev", "r");
	CHECK(f && fscanf(f, "%u:%u", &maj, &min) == 2 && maj == 511 && min == 0);
	fclose(f);
	fd = open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(st.st_rdev == (dev_t)(511u << 8));
	CHECK(open("/dev/iommu", O_RDWR | O_CLOEXEC) >= 0);
	CHECK(readlink(DEV "/iommu_group", buf, sizeof(buf)) > 0);
	CHECK(realpath(DEV "/iommu_group", buf) && strcmp(buf, "/sys/kernel/iommu_groups/0") == 0);
}

static void spellings(void)
{
	struct stat st;
	int dir, fd;

	CHECK(stat("//dev///./iommu", &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(access("/sys//bus/./pci/devices//0000:02:00.0/", F_OK) == 0);
	CHECK_ERR(access("/dev/iommu/", F_OK), ENOTDIR);
	dir = open("/dev", O_RDONLY | O_DIRECTORY);
	fd = openat(dir, "iommu", O_RDWR);
	CHECK(fd >= 0 && ioctl(fd, FAKE_GET) == 0);
	dir = open("/dev/vfio/devices", O_RDONLY | O_DIRECTORY);
	fd = openat(dir, "vfio1", O_RDWR);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && ioctl(fd, FAKE_GET) == 0);
	CHECK(fstatat(dir, "vfio1", &st, 0) == 0 && S_ISCHR(st.st_mode));
	dir = open("/sys/bus/pci/devices", O_RDONLY | O_DIRECTORY);
	CHECK(openat(dir, "0000:01:00.0/vfio-dev/vfio0/dev", O_RDONLY) >= 0);
	fd = open("/dev/char/511:1", O_RDWR);
	CHECK(fd >= 0 && ioctl(fd, FAKE_GET) == 0);
	CHECK(chdir("/dev") == 0);
	fd = open("vfio/devices/vfio0", O_RDWR);
	CHECK(fd >= 0 && ioctl(fd, FAKE_GET) == 0);
	CHECK_ERR(open("/dev/vfio/devices/vfio00", O_RDWR), ENOENT);
	CHECK_ERR(open("/dev/vfio/devices/vfio4294967296", O_RDWR), ENOENT);
}

/* The machine's own devices stay visible beside the virtual ones. */
static void merged(void)
{
	DIR *d;
	struct dirent *e;
	struct stat st;
	int real = 0;

	CHECK(lists("/sys/bus/pci/devices", "0000:01:00.0") && lists("/sys/bus/pci/devices/", "0000:02:00.0"));
	CHECK(lists("/dev/vfio/devices", "vfio1"));
	CHECK(lists("/sys/kernel/iommu_groups", "1"));
	d = opendir("/sys/bus/pci/devices");
	while ((e = readdir(d)) != NULL) {
		char path[512];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", e->d_name);
		CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
		CHECK(fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode));
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor", e->d_name);
		real += access(path, R_OK) == 0;
	}
	closedir(d);
	/* The tree of this test has no vendor files: those counted are the machine's, if it has PCI at all. */
	printf("%d devices of the machine\n", real);
	if (getenv("PROG_REAL_DEVICES"))
		CHECK(real == atoi(getenv("PROG_REAL_DEVICES")));
}

static void foreign(void)
{
	struct stat st;
	struct stat *volatile nowhere = NULL;
	char buf[64], *p;
	int fd;

	CHECK(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0x103);
	fd = open("/dev/null", O_RDWR);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_rdev == 0x103 && read(fd, buf, 1) == 0 && write(fd, "x", 1) == 1);
	CHECK_ERR(open("/dev/vfio/vfio", O_RDWR), ENOENT);
	CHECK_ERR(open("/sys/bus/pci/devices/0000:7f:00.0/vendor", O_RDONLY), ENOENT);
	CHECK_ERR(access("/dev/iommux", F_OK), ENOENT);
	CHECK_ERR(stat("", &st), ENOENT);
	CHECK_ERR(stat("/", nowhere), EFAULT);
	p = realpath("/dev/../dev/null", NULL);
	CHECK(p && strcmp(p, "/dev/null") == 0);
	free(p);
	CHECK(readlink("/proc/self/cwd", buf, sizeof(buf)) > 0);
	/* A memfd of the program's own, even one that looks like ours from outside. */
	fd = memfd_create("mine", 0);
	CHECK(ftruncate(fd, 4096) == 0 && fchmod(fd, 0660) == 0);
	CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 4096);
	CHECK(ioctl(open_iommu(), FAKE_GET) == 0);
	CHECK(pwrite(fd, "hello", 5, 4096) == 5 && pread(fd, buf, 5, 4096) == 5 && memcmp(buf, "hello", 5) == 0);
	CHECK_ERR(ioctl(fd, FAKE_GET), ENOTTY);
}

/* Files can be made, and nothing is made in the tree. */
static void creation(void)
{
	char name[] = "/tmp/nestbox-test-XXXXXX", path[64];
	int fd = mkstemp(name);
	struct stat st;

	CHECK(fd >= 0 && write(fd, "abc", 3) == 3 && close(fd) == 0);
	fd = open(name, O_WRONLY | O_TRUNC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0 && close(fd) == 0);
	CHECK(unlink(name) == 0);
	snprintf(path, sizeof(path), "%s.new", name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0640);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640 && unlink(path) == 0);
}

const struct prog_case path_cases[] = {
	{"as-qemu", as_qemu}, {"spellings", spellings}, {"merged", merged}, {"foreign", foreign}, {"creation", creation}, {0},
};

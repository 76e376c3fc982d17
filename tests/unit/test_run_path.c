/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/path.h"

static char dir[64];

static void make(const char *name, bool is_dir)
{
	char path[256], *p;

	snprintf(path, sizeof(path), "%s%s", dir, name);
	for (p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0700);
		*p = '/';
	}
	if (is_dir)
		assert_int_equal(mkdir(path, 0700), 0);
	else
		assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test-run-path-XXXXXX");
	assert_non_null(mkdtemp(dir));
	make("/dev/iommu", false);
	make("/dev/vfio/devices/vfio0", false);
	make("/dev/vfio/devices/vfio12", false);
	make("/sys/bus/pci/devices/0000:01:00.0/vendor", false);
	make("/sys/devices/made-up", true);
	make("/sys/fs", true);
	make("/etc/passwd", false);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const struct {
	const char *path;
	enum path_kind kind;
	unsigned int index;
	const char *real; /* below dir; null for foreign */
} cases[] = {
	{"/dev/iommu", PATH_IOMMU, 0, "/dev/iommu"},
	{"///dev/./iommu", PATH_IOMMU, 0, "/dev/iommu"},
	{"/./dev//iommu", PATH_IOMMU, 0, "/dev/iommu"},
	{"/dev/iommu/", PATH_TREE, 0, "/dev/iommu/"}, /* the kernel says ENOTDIR */
	{"/dev/iommu/x", PATH_FOREIGN, 0, NULL},
	{"/dev/iommux", PATH_FOREIGN, 0, NULL},
	{"/dev/vfio/devices/vfio0", PATH_VFIO, 0, "/dev/vfio/devices/vfio0"},
	{"/dev/vfio//devices/vfio12", PATH_VFIO, 12, "/dev/vfio/devices/vfio12"},
	{"/dev/vfio/devices/vfio012", PATH_FOREIGN, 0, NULL},
	{"/dev/vfio/devices/vfio1", PATH_FOREIGN, 0, NULL}, /* not there */
	{"/dev/vfio/devices/vfio", PATH_FOREIGN, 0, NULL},
	{"/dev/vfio/devices/vfio-1", PATH_FOREIGN, 0, NULL},
	{"/dev/vfio/devices/vfio99999999999999999999", PATH_FOREIGN, 0, NULL},
	{"/dev/char/511:12", PATH_VFIO, 12, "/dev/vfio/devices/vfio12"},
	{"/dev/char/511:1", PATH_FOREIGN, 0, NULL},
	{"/dev/char/1:3", PATH_FOREIGN, 0, NULL},
	{"/sys/bus/pci/devices/0000:01:00.0", PATH_TREE, 0, "/sys/bus/pci/devices/0000:01:00.0"},
	{"/sys/bus/pci/devices/0000:01:00.0/vendor", PATH_TREE, 0, "/sys/bus/pci/devices/0000:01:00.0/vendor"},
	{"/sys/bus/pci/devices/0000:01:00.0/../0000:01:00.0/vendor", PATH_TREE, 0,
	 "/sys/bus/pci/devices/0000:01:00.0/../0000:01:00.0/vendor"},
	{"/sys/bus/pci/devices/0000:7e:00.0", PATH_FOREIGN, 0, NULL},
	/* out of the tree by "..": to the tree's parent and no further than what the kernel finds there */
	{"/sys/bus/pci/devices/../../../../../../../../etc/no-such", PATH_FOREIGN, 0, NULL},
	{"/sys/devices/made-up", PATH_TREE, 0, "/sys/devices/made-up"}, /* the machine has none */
	{"/sys/devices", PATH_FOREIGN, 0, NULL},
	{"/sys/fs", PATH_FOREIGN, 0, NULL}, /* in both: the machine's */
	{"/etc/passwd", PATH_FOREIGN, 0, NULL},
	{"/", PATH_FOREIGN, 0, NULL},
	{"", PATH_FOREIGN, 0, NULL},
	{"dev/iommu", PATH_FOREIGN, 0, NULL},
	{"/system/x", PATH_FOREIGN, 0, NULL},
	{"/dev", PATH_FOREIGN, 0, NULL},
};

static void classes(void **state)
{
	struct path p;
	char want[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		path_classify(dir, cases[i].path, &p);
		if (p.kind != cases[i].kind)
			fail_msg("%s: kind %d, not %d (%s)", cases[i].path, p.kind, cases[i].kind, p.real);
		if (p.kind == PATH_FOREIGN)
			continue;
		snprintf(want, sizeof(want), "%s%s", dir, cases[i].real);
		assert_string_equal(p.real, want);
		if (p.kind == PATH_VFIO)
			assert_int_equal(p.index, cases[i].index);
		assert_true(path_maybe(cases[i].path)); /* the quick test never says no to ours */
	}
}

/* Of every length around the limits, made of what is most work. */
static void lengths(void **state)
{
	static const char *const parts[] = {"/sys", "/dev/iommu", "/sys/bus/pci/devices/0000:01:00.0/"};
	static char text[2 * PATH_SIZE];
	struct path p;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (n = PATH_SIZE - 80; n < PATH_SIZE + 80; n++) {
			memset(text, 'a', sizeof(text));
			memcpy(text, parts[i], strlen(parts[i]));
			text[n] = 0;
			path_classify(dir, text, &p);
			assert_int_equal(p.kind, PATH_FOREIGN);
			memset(text, '/', n);
			memcpy(text + n - strlen(parts[i]), parts[i], strlen(parts[i]));
			path_classify(dir, text, &p);
			if (n < PATH_SIZE && i == 1)
				assert_int_equal(p.kind, PATH_IOMMU);
			if (n >= PATH_SIZE)
				assert_int_equal(p.kind, PATH_FOREIGN);
			path_classify_at(dir, AT_FDCWD, text + 1, &p);
		}
	}
}

static void undo(void **state)
{
	static const struct {
		const char *in, *out; /* in: below dir */
	} undone[] = {
		{"/sys/bus/pci", "/sys/bus/pci"},
		{"/dev/iommu", "/dev/iommu"},
		{"/sys", "/sys"},
		{"/merged/!sys!bus!pci!devices", "/sys/bus/pci/devices"},
		{"/merged/!dev!vfio!devices/vfio!0", "/dev/vfio/devices/vfio!0"},
		{"/system", NULL},
		{"/merged/", NULL},
		{"", NULL},
		{"x/sys", NULL},
	};
	char text[256];
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(undone) / sizeof(undone[0]); i++) {
		snprintf(text, sizeof(text), "%s%s", dir, undone[i].in);
		n = path_undo(dir, text, strlen(text));
		assert_true(n < sizeof(text));
		text[n] = 0;
		if (undone[i].out)
			assert_string_equal(text, undone[i].out);
		else
			assert_int_equal(n, strlen(dir) + strlen(undone[i].in));
	}
}

static void relative(void **state)
{
	struct path p;
	char text[256];
	int fd;

	(void)state;
	assert_true(path_maybe_at("iommu") && path_maybe_at("devices/vfio0") && !path_maybe_at("null") &&
		    !path_maybe_at("") && !path_maybe_at("/dev/iommu"));
	fd = open("/dev", O_RDONLY | O_DIRECTORY);
	path_classify_at(dir, fd, "iommu", &p);
	assert_int_equal(p.kind, PATH_IOMMU);
	path_classify_at(dir, fd, "null", &p);
	assert_int_equal(p.kind, PATH_FOREIGN);
	close(fd);
	snprintf(text, sizeof(text), "%s/dev/vfio", dir); /* a directory of the tree itself */
	fd = open(text, O_RDONLY | O_DIRECTORY);
	path_classify_at(dir, fd, "devices/vfio12", &p);
	assert_true(p.kind == PATH_VFIO && p.index == 12);
	close(fd);
	path_classify_at(dir, fd, "iommu", &p); /* not open */
	assert_int_equal(p.kind, PATH_FOREIGN);
	path_classify_at(dir, -5, "iommu", &p);
	assert_int_equal(p.kind, PATH_FOREIGN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes),
		cmocka_unit_test(lengths),
		cmocka_unit_test(undo),
		cmocka_unit_test(relative),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

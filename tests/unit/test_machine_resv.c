/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that firmware keeps for a function (`rmrr` of a description): reserved in an address space while the function is attached to
 * it, and shown in sysfs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../conform/rig.c"
#include "base/alloc.h"

#define PG   UINT64_C(0x1000)
#define RW   (HW_READ | HW_WRITE)
#define TEST 1
#define FW   UINT64_C(0x40000000)

#define OK(call) assert_int_equal((call), 0)

static struct nb_desc *desc(void)
{
	struct nb_desc *d = malloc(sizeof(*d));

	assert_non_null(d);
	*d = *nb_desc_find("spr");
	d->function[TEST].nrmrrs = 2;
	d->function[TEST].rmrr[0] = (struct nb_desc_rmrr){FW, 4 * PG};
	d->function[TEST].rmrr[1] = (struct nb_desc_rmrr){FW + 16 * PG, PG};
	return d;
}

static bool in_holes(const struct iommu_iova_range *r, uint32_t n, uint64_t iova)
{
	for (uint32_t i = 0; i < n; i++) {
		if (iova >= r[i].start && iova <= r[i].last)
			return true;
	}
	return false;
}

static void reserved(void **state)
{
	struct nb_desc *d = desc();
	uint64_t *buf = mmap(NULL, 16 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_iova_range holes[16];
	struct iommu_ioas_iova_ranges g = {.size = sizeof(g), .num_iovas = 16, .allowed_iovas = (uintptr_t)holes};
	struct iommu_iova_range want = {FW + PG, FW + 2 * PG - 1};
	struct iommu_ioas_allow_iovas allow = {.size = sizeof(allow), .num_iovas = 1, .allowed_iovas = (uintptr_t)&want};
	struct rig r;
	uint32_t s = 0, t = 0;

	(void)state;
	assert_true(rig_up(&r, d));
	OK(rig_ioas(&r, &s));
	OK(rig_attach(&r, TEST, NB_NO_PASID, s));
	g.ioas_id = s;
	OK(iommufd_ioctl(r.iommufd, IOMMU_IOAS_IOVA_RANGES, (uintptr_t)&g));
	assert_false(in_holes(holes, g.num_iovas, FW) || in_holes(holes, g.num_iovas, FW + 4 * PG - 1));
	assert_false(in_holes(holes, g.num_iovas, FW + 16 * PG) || in_holes(holes, g.num_iovas, 0xfee00000));
	assert_true(in_holes(holes, g.num_iovas, FW - 1) && in_holes(holes, g.num_iovas, FW + 4 * PG));
	assert_int_equal(rig_map(&r, s, buf, FW + 3 * PG, PG, RW), -EINVAL);
	assert_int_equal(rig_map(&r, s, buf, FW - PG, 2 * PG, RW), -EINVAL);
	assert_int_equal(rig_map(&r, s, buf, FW + 16 * PG, PG, RW), -EINVAL);
	OK(rig_map(&r, s, buf, FW + 4 * PG, PG, RW));
	allow.ioas_id = s;
	assert_int_equal(iommufd_ioctl(r.iommufd, IOMMU_IOAS_ALLOW_IOVAS, (uintptr_t)&allow), -EADDRINUSE);
	/* Only while it is attached. */
	OK(rig_detach(&r, TEST, NB_NO_PASID));
	OK(rig_map(&r, s, buf, FW + 3 * PG, PG, RW));
	assert_int_equal(rig_attach(&r, TEST, NB_NO_PASID, s), -EADDRINUSE); /* mapped */
	OK(rig_ioas(&r, &t));
	allow.ioas_id = t;
	OK(iommufd_ioctl(r.iommufd, IOMMU_IOAS_ALLOW_IOVAS, (uintptr_t)&allow));
	assert_int_equal(rig_attach(&r, TEST, NB_NO_PASID, t), -EADDRINUSE); /* allowed */
	/* Another function has no part in it. */
	OK(rig_attach(&r, 0, NB_NO_PASID, s));
	rig_down(&r);
	munmap(buf, 16 * PG);
	free(d);
}

/* Behind an SMMU: RMR nodes of the IORT, beside the kernel's own window for messages. Pages of 64 KiB. */
static void reserved_arm(void **state)
{
	struct nb_desc *d = malloc(sizeof(*d));
	uint64_t *buf = mmap(NULL, 16 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_iova_range holes[16];
	struct iommu_ioas_iova_ranges g = {.size = sizeof(g), .num_iovas = 16, .allowed_iovas = (uintptr_t)holes};
	struct rig r;
	uint32_t s = 0;

	(void)state;
	assert_non_null(d);
	*d = *nb_desc_find("grace");
	d->function[TEST].nrmrrs = 2;
	d->function[TEST].rmrr[0] = (struct nb_desc_rmrr){FW, 16 * PG};
	d->function[TEST].rmrr[1] = (struct nb_desc_rmrr){FW + 32 * PG, 16 * PG};
	assert_true(rig_up(&r, d));
	OK(rig_ioas(&r, &s));
	OK(rig_attach(&r, TEST, NB_NO_PASID, s));
	g.ioas_id = s;
	OK(iommufd_ioctl(r.iommufd, IOMMU_IOAS_IOVA_RANGES, (uintptr_t)&g));
	assert_false(in_holes(holes, g.num_iovas, FW) || in_holes(holes, g.num_iovas, FW + 16 * PG - 1));
	assert_false(in_holes(holes, g.num_iovas, FW + 32 * PG) || in_holes(holes, g.num_iovas, 0x8000000));
	assert_false(in_holes(holes, g.num_iovas, 0x80fffff));
	assert_true(in_holes(holes, g.num_iovas, FW - 1) && in_holes(holes, g.num_iovas, FW + 16 * PG));
	assert_true(in_holes(holes, g.num_iovas, 0x7ffffff) && in_holes(holes, g.num_iovas, 0x8100000));
	assert_int_equal(rig_map(&r, s, buf, FW + 15 * PG, PG, RW), -EINVAL);
	OK(rig_map(&r, s, buf, FW + 16 * PG, PG, RW));
	OK(rig_detach(&r, TEST, NB_NO_PASID));
	OK(rig_map(&r, s, buf, FW + 15 * PG, PG, RW));
	assert_int_equal(rig_attach(&r, TEST, NB_NO_PASID, s), -EADDRINUSE);
	OK(rig_attach(&r, 0, NB_NO_PASID, s));
	rig_down(&r);
	munmap(buf, 16 * PG);
	free(d);
}

static char *slurp(const char *dir, uint32_t group)
{
	static char text[16384];
	char path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/kernel/iommu_groups/%u/reserved_regions", dir, group);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

#define MSI_LINE "0x00000000fee00000 0x00000000feefffff msi\n"

static void in_sysfs(void **state)
{
	char dir[] = "/tmp/nbresvXXXXXX", cmd[64];
	struct nb_desc *d = desc();
	struct nb_diag why = {""};

	(void)state;
	/* The group's: two functions with neighbours, one above the window of messages, one below and one beside it. */
	d->function[0].group = d->function[TEST].group;
	d->function[0].nrmrrs = 3;
	d->function[0].rmrr[0] = (struct nb_desc_rmrr){UINT64_C(0x100000000), 2 * PG};
	d->function[0].rmrr[1] = (struct nb_desc_rmrr){FW + 4 * PG, PG};
	d->function[0].rmrr[2] = (struct nb_desc_rmrr){0xfef00000, PG};
	assert_non_null(mkdtemp(dir));
	assert_int_equal(machine_make_tree(d, dir, 511, &why), 0);
	assert_string_equal(slurp(dir, d->function[TEST].group),
			    "0x0000000040000000 0x0000000040004fff direct\n"
			    "0x0000000040010000 0x0000000040010fff direct\n" MSI_LINE
			    "0x00000000fef00000 0x00000000fef00fff direct\n"
			    "0x0000000100000000 0x0000000100001fff direct\n");
	assert_string_equal(slurp(dir, d->function[3].group), MSI_LINE);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reserved), cmocka_unit_test(reserved_arm), cmocka_unit_test(in_sysfs)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire formats against the newest headers of the real kernel that the cache has: a program that is written here
 * prints sizes, offsets and values as <linux/iommufd.h> and <linux/vfio.h> have them, and each line must be what ours say.
 * Without the headers (scripts/setup guest fetches them) or a compiler, that test is skipped; the pinned numbers are always checked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uapi/iommufd.h"
#include "uapi/vfio.h"
#include "uapi_list.h"

struct line {
	const char *kind, *name;
	long long v;
};

#define SIZE_OF(s)    {"sizeof", "struct " #s, (long long)sizeof(struct s)},
#define OFFSET_OF(s, f) {"offsetof", "struct " #s ", " #f, (long long)offsetof(struct s, f)},
#define VALUE_OF(c)   {"(long long)", #c, (long long)(c)},

static const struct line iommufd_lines[] = {UAPI_IOMMUFD(SIZE_OF, OFFSET_OF, VALUE_OF)};
static const struct line vfio_lines[] = {UAPI_VFIO(SIZE_OF, OFFSET_OF, VALUE_OF)};

static int header_dir(char *buf, size_t size)
{
	const char *cache = getenv("NESTBOX_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	static const char *const places[] = {"uapi", "linux-libc-dev"};
	char base[512], probe[700];

	if (cache)
		snprintf(base, sizeof(base), "%s", cache);
	else if (xdg)
		snprintf(base, sizeof(base), "%s/nestbox", xdg);
	else
		snprintf(base, sizeof(base), "%s/.cache/nestbox", home ? home : "");
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(buf, size, "%s/%s/usr/include", base, places[i]);
		snprintf(probe, sizeof(probe), "%s/linux/iommufd.h", buf);
		if (access(probe, R_OK) == 0)
			return 0;
	}
	return -1;
}

static void compare(const char *header, const struct line *lines, size_t n)
{
	char dir[600], src[] = "/tmp/nb-uapi-XXXXXX.c", cmd[2048];
	unsigned int bad = 0;
	FILE *f;
	int fd;

	if (header_dir(dir, sizeof(dir)) || system("cc --version >/dev/null 2>&1")) {
		print_message("no %s in the cache, or no compiler: run scripts/setup guest\n", header);
		skip();
	}
	fd = mkstemps(src, 2);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	fprintf(f, "#include <stdio.h>\n#include <stddef.h>\n#include <sys/ioctl.h>\n#include <%s>\nint main(void) {\n",
		header);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "printf(\"%%lld\\n\", (long long)(%s%s%s%s));\n", lines[i].kind,
			lines[i].kind[0] == '(' ? " " : "(", lines[i].name, lines[i].kind[0] == '(' ? "" : ")");
	fprintf(f, "return 0; }\n");
	fclose(f);
	/* -isystem, and the machine's own asm headers behind: only linux/ is wanted from the cache */
	snprintf(cmd, sizeof(cmd), "cc -w -isystem %s -o %.*s.x %s && %.*s.x; rm -f %s %.*s.x", dir,
		 (int)strlen(src) - 2, src, src, (int)strlen(src) - 2, src, src, (int)strlen(src) - 2, src);
	f = popen(cmd, "r");
	assert_non_null(f);
	for (size_t i = 0; i < n; i++) {
		long long theirs;

		if (fscanf(f, "%lld", &theirs) != 1)
			fail_msg("%s: no value for %s: does the header have it?", header, lines[i].name);
		/* values are 32 bits wide on the wire; enum and macro differ in sign only */
		if ((uint32_t)theirs != (uint32_t)lines[i].v) {
			print_error("%s of %s: ours %lld, %s has %lld\n", lines[i].kind, lines[i].name, lines[i].v, header,
				    theirs);
			bad++;
		}
	}
	assert_int_equal(pclose(f), 0);
	assert_int_equal(bad, 0);
}

static void iommufd_is_linux(void **state)
{
	(void)state;
	compare("linux/iommufd.h", iommufd_lines, sizeof(iommufd_lines) / sizeof(iommufd_lines[0]));
}

static void vfio_is_linux(void **state)
{
	(void)state;
	compare("linux/vfio.h", vfio_lines, sizeof(vfio_lines) / sizeof(vfio_lines[0]));
}

/* By hand, from the description of the interface: holds without the headers. */
static void pinned_by_hand(void **state)
{
	(void)state;
	assert_int_equal(IOMMU_DESTROY, ';' << 8 | 0x80);
	assert_int_equal(IOMMU_HW_QUEUE_ALLOC, ';' << 8 | 0x94);
	assert_int_equal(sizeof(struct iommu_ioas_alloc), 12);
	assert_int_equal(sizeof(struct iommu_ioas_map), 40);
	assert_int_equal(sizeof(struct iommu_ioas_map_file), 40);
	assert_int_equal(sizeof(struct iommu_ioas_copy), 40);
	assert_int_equal(sizeof(struct iommu_ioas_unmap), 24);
	assert_int_equal(sizeof(struct iommu_hwpt_alloc), 48);
	assert_int_equal(sizeof(struct iommu_hw_info), 40);
	assert_int_equal(offsetof(struct iommu_hw_info, out_max_pasid_log2), 28);
	assert_int_equal(offsetof(struct iommu_hw_info, out_capabilities), 32);
	assert_int_equal(sizeof(struct iommu_hwpt_get_dirty_bitmap), 48);
	assert_int_equal(sizeof(struct iommu_hwpt_invalidate), 32);
	assert_int_equal(sizeof(struct iommu_hwpt_vtd_s1), 24);
	assert_int_equal(sizeof(struct iommu_hwpt_vtd_s1_invalidate), 24);
	assert_int_equal(IOMMU_FAULT_QUEUE_ALLOC, 0x3b8e);
	assert_int_equal(sizeof(struct iommu_fault_alloc), 16);
	assert_int_equal(offsetof(struct iommu_fault_alloc, out_fault_fd), 12);
	assert_int_equal(offsetof(struct iommu_hwpt_alloc, fault_id), 40);
	assert_int_equal(sizeof(struct iommu_hwpt_pgfault), 40);
	assert_int_equal(offsetof(struct iommu_hwpt_pgfault, perm), 16);
	assert_int_equal(offsetof(struct iommu_hwpt_pgfault, addr), 24);
	assert_int_equal(offsetof(struct iommu_hwpt_pgfault, cookie), 36);
	assert_int_equal(sizeof(struct iommu_hwpt_page_response), 8);
	assert_int_equal(IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE << 4, 0x21);
	assert_int_equal(IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE << 4 | IOMMU_PGFAULT_PERM_EXEC << 8 |
				 IOMMU_PGFAULT_PERM_PRIV << 12,
			 0x8421);
	assert_int_equal(IOMMUFD_PAGE_RESP_SUCCESS | IOMMUFD_PAGE_RESP_INVALID << 4, 0x10);
	assert_int_equal(sizeof(struct iommu_veventq_alloc), 32);
	assert_int_equal(sizeof(struct iommu_hw_queue_alloc), 40);
	assert_int_equal(sizeof(struct vfio_device_bind_iommufd), 24);
	assert_int_equal(sizeof(struct vfio_device_attach_iommufd_pt), 16);
	assert_int_equal(sizeof(struct vfio_region_info), 32);
	assert_int_equal(offsetof(struct vfio_irq_set, data), 20);
	assert_int_equal(offsetof(struct vfio_pci_hot_reset_info, devices), 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pinned_by_hand),
		cmocka_unit_test(iommufd_is_linux),
		cmocka_unit_test(vfio_is_linux),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions of a function's file: region number << 40 | offset. BARs, configuration space; there is no ROM and no VGA. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "host/vfio.h"

static bool can_mmap(const struct dev_bar *b)
{
	return b->size >= HOST_PAGE_SIZE && b->mmap;
}

long vfio_region_info(struct host_function *f, uint64_t uarg)
{
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header cap;
	} c;
	bool cap = false;
	size_t size = sizeof(c.info);

	if (user_read(&c.info, uarg, sizeof(c.info)))
		return -EFAULT;
	if (c.info.argsz < sizeof(c.info))
		return -EINVAL;
	c.info.offset = (uint64_t)c.info.index << VFIO_OFFSET_LG2;
	c.info.cap_offset = 0;
	c.info.flags = 0;
	c.info.size = 0;
	if (c.info.index < DEV_NBARS) {
		const struct dev_bar *b = &f->bar[c.info.index];

		c.info.size = b->size;
		if (b->size)
			c.info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		if (can_mmap(b)) {
			c.info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
			cap = f->caps.msix_vectors && f->caps.msix_bar == c.info.index;
		}
	} else if (c.info.index == VFIO_PCI_CONFIG_REGION_INDEX) {
		c.info.size = f->config->size;
		c.info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	} else if (c.info.index != VFIO_PCI_ROM_REGION_INDEX) {
		return -EINVAL;
	}
	if (cap) {
		/* The page with the MSI-X table may be mapped, too. */
		c.cap = (struct vfio_info_cap_header){VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, 0};
		c.info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		if (c.info.argsz < sizeof(c)) {
			c.info.argsz = sizeof(c);
		} else {
			c.info.cap_offset = sizeof(c.info);
			size = sizeof(c);
		}
	}
	return user_write(uarg, &c, size);
}

/* The MSI-X table and its neighbours in the page are the kernel's: reads give ones, writes nothing. */
static bool in_msix_table(const struct host_function *f, unsigned int bar, uint64_t off, uint64_t *end)
{
	if (!f->caps.msix_vectors || f->caps.msix_bar != bar || off < f->caps.msix_table_off ||
	    off - f->caps.msix_table_off >= f->caps.msix_table_len)
		return false;
	*end = f->caps.msix_table_off + f->caps.msix_table_len;
	return true;
}

static uint64_t bar_size_from(const struct host_function *f, unsigned int bar, uint64_t off, uint64_t left)
{
	uint64_t n = 8;

	/* Stop before the table, so that no access straddles its begin. */
	if (f->caps.msix_vectors && f->caps.msix_bar == bar && off < f->caps.msix_table_off &&
	    left > f->caps.msix_table_off - off)
		left = f->caps.msix_table_off - off;
	while (n > left || off % n)
		n /= 2;
	return n;
}

static ssize_t bar_rw(struct host_function *f, unsigned int bar, uint64_t ubuf, size_t len, uint64_t off, bool write)
{
	uint64_t size = f->bar[bar].size;
	size_t done = 0;

	if (off >= size)
		return -EINVAL;
	if (len > size - off)
		len = (size_t)(size - off);
	while (done < len) {
		uint64_t at = off + done, end, v = UINT64_MAX;
		unsigned int n;

		if (!atomic_load_explicit(&f->mem_enabled, memory_order_relaxed))
			return done ? (ssize_t)done : -EIO;
		if (in_msix_table(f, bar, at, &end)) {
			size_t skip = len - done < end - at ? len - done : (size_t)(end - at);

			if (!write && guard_fill(user_ptr(ubuf + done), 0xff, skip))
				return -EFAULT;
			done += skip;
			continue;
		}
		n = (unsigned int)bar_size_from(f, bar, at, len - done);
		if (write) {
			v = 0;
			if (user_read(&v, ubuf + done, n))
				return -EFAULT;
			dev_bar_write(f->fn, bar, at, n, v);
		} else {
			v = dev_bar_read(f->fn, bar, at, n);
			if (user_write(ubuf + done, &v, n))
				return -EFAULT;
		}
		done += n;
	}
	return (ssize_t)done;
}

ssize_t vfio_region_rw(struct host_function *f, uint64_t ubuf, size_t len, uint64_t off, bool write)
{
	uint64_t index = off >> VFIO_OFFSET_LG2, pos = off & (BIT(VFIO_OFFSET_LG2) - 1);

	if (index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	if (len == 0)
		return 0;
	if (index < DEV_NBARS)
		return bar_rw(f, (unsigned int)index, ubuf, len, pos, write);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return vfio_config_rw(f, ubuf, len, pos, write);
	return -EINVAL;
}

int vfio_mmap(struct vfio_file *file, uint64_t off, size_t len, int prot, int flags, int *fd, uint64_t *fd_off)
{
	uint64_t index = off >> VFIO_OFFSET_LG2, pos = off & (BIT(VFIO_OFFSET_LG2) - 1), size;
	const struct dev_bar *b;

	(void)prot;
	if (!atomic_load_explicit(&file->bound, memory_order_acquire))
		return -EINVAL;
	if (!(flags & MAP_SHARED) || index >= DEV_NBARS || len == 0)
		return -EINVAL;
	b = &file->f->bar[index];
	if (!can_mmap(b))
		return -EINVAL;
	size = nb_align_down(b->size + (HOST_PAGE_SIZE - 1), HOST_PAGE_SIZE);
	if (pos % HOST_PAGE_SIZE || pos >= size || len > size - pos)
		return -EINVAL;
	*fd = b->mem_fd;
	*fd_off = b->mem_off + pos;
	return 0;
}

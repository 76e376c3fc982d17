/* SPDX-License-Identifier: BSD-3-Clause */
/* The board as a whole: made, taken down, made with every allocation failing once, and its descriptors under threads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "machine/api.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

static int nobody(void *opaque, int fd, struct iommufd_file **out)
{
	(void)opaque, (void)fd, (void)out;
	return -EBADF;
}

static void made_and_taken_down(void **state)
{
	const struct nb_desc *const *d;

	(void)state;
	for (d = nb_desc_builtin; *d; d++) {
		const struct machine_cfg cfg = {.desc = *d, .resolve_iommufd = nobody};
		struct nb_diag why = {""};
		struct machine *m;

		assert_int_equal(machine_create(&cfg, &m, &why), 0);
		assert_int_equal(machine_vfio_index(m, 0, 0x8100), (*d)->niommus == 1 ? -ENOENT : 2 * ((int)(*d)->niommus - 1));
		assert_int_equal(machine_vfio_index(m, 1, 0x0100), -ENOENT);
		assert_ptr_equal(machine_iommu_of(m, 0, 0x0100), machine_iommu_of(m, 0, 0x0200));
		assert_ptr_not_equal(machine_iommu_of(m, 0, 0x0100), machine_iommu_of(m, 0, 0x8100));
		assert_string_equal(machine_iommu_of(m, 0, 0x0100)->ops->vendor,
				    (*d)->iommu[0].vendor == NB_DESC_VTD ? "vtd" : "smmuv3");
		assert_null(machine_iommu_of(m, 0, 0));
		assert_non_null(machine_function(m, 0, 0x0200));
		assert_null(machine_function(m, 0, 0x0201));
		machine_destroy(m);
	}
}

/* Freshly made, nothing is attached: every function's DMA is refused. */
static void blocked(const char *host)
{
	static const uint16_t rids[] = {0x0100, 0x0200, 0x8100, 0x8200, 0x0300};
	const struct machine_cfg cfg = {.desc = nb_desc_find(host), .resolve_iommufd = nobody};
	struct machine *m;
	uint64_t word = 0;
	size_t i;

	assert_int_equal(machine_create(&cfg, &m, NULL), 0);
	for (i = 0; i < sizeof(rids) / sizeof(rids[0]); i++) {
		struct hw_iommu *hw = machine_iommu_of(m, 0, rids[i] == 0x0300 ? 0x0100 : rids[i]);

		assert_int_equal(hw_dma_read(hw, rids[i], NB_NO_PASID, 0x1000, &word, 8), -EFAULT);
		assert_int_equal(hw_dma_write(hw, rids[i], 1, (uintptr_t)&word, &word, 8), -EFAULT);
	}
	/* A VT-d unit records each; an SMMU's STE that says abort is silent, and only the StreamID without an entry is reported. */
	if (strcmp(host, "spr") == 0)
		assert_int_equal(nb_trace_count(machine_trace(m), NB_EV_hw_fault), 2 * i);
	machine_destroy(m);
}

static void blocked_at_first(void **state)
{
	(void)state;
	blocked("spr");
	blocked("grace");
}

static void refuses_bad_descriptions(void **state)
{
	struct nb_desc *d = nb_zalloc(sizeof(*d));
	const struct machine_cfg cfg = {.desc = d, .resolve_iommufd = nobody};
	struct nb_diag why = {""};
	struct machine *m;

	(void)state;
	assert_int_equal(machine_create(&cfg, &m, &why), -EINVAL);
	*d = *nb_desc_find("spr");
	strcpy(d->function[0].option[0].key, "file");
	strcpy(d->function[0].option[0].value, "/nonexistent/disk.img");
	d->function[0].noptions = 1;
	assert_true(machine_create(&cfg, &m, &why) < 0);
	assert_non_null(strstr(why.msg, "0000:01:00.0"));
	assert_non_null(strstr(why.msg, "/nonexistent/disk.img"));
	nb_free(d);
}

/* Each time one call later fails, until none does. The sanitizer sees what a failure left. */
static void fail_each_allocation(const char *host)
{
	const struct machine_cfg cfg = {.desc = nb_desc_find(host), .resolve_iommufd = nobody};
	unsigned long n;

	for (n = 1; n < 100000; n++) {
		struct machine *m = NULL;
		struct nb_diag why = {""};
		int err;

		nb_fail_nth_arm(n);
		err = machine_create(&cfg, &m, &why);
		if (!nb_fail_nth_fired()) {
			assert_int_equal(err, 0);
			machine_destroy(m);
			break;
		}
		if (err) {
			assert_true(why.msg[0]);
			assert_null(m);
		} else {
			machine_destroy(m); /* the failure was one that can be done without */
		}
	}
	assert_in_range(n, 20, 99999);
}

static void every_allocation_fails_once(void **state)
{
	(void)state;
	fail_each_allocation("spr");
	fail_each_allocation("grace");
}

/* Tree: a regular file in the way, and a directory that is not there. */
static void tree_refusals(void **state)
{
	char dir[] = "/tmp/nbtreeXXXXXX", path[64], cmd[64];
	struct nb_diag why = {""};
	FILE *f;

	(void)state;
	assert_int_equal(machine_make_tree(nb_desc_find("spr"), "/nonexistent", 511, &why), -ENOENT);
	assert_non_null(strstr(why.msg, "/nonexistent"));
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sys", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_true(machine_make_tree(nb_desc_find("spr"), dir, 511, &why) < 0);
	assert_non_null(strstr(why.msg, dir));
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

/*
 * One thread binds and closes, another closes whatever it finds and calls into it: descriptors go away at any moment, and nothing may
 * be used after it went.
 */
struct race {
	struct nb_host *host;
	_Atomic bool stop;
};

static void *closer(void *opaque)
{
	struct race *r = opaque;
	unsigned int seed = 7;

	while (!atomic_load(&r->stop)) {
		int fd = 0x100000 + rand_r(&seed) % 3;
		struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};

		nb_host_ioctl(r->host, fd, IOMMU_IOAS_ALLOC, &ioas);
		if (rand_r(&seed) % 4 == 0)
			nb_host_close(r->host, fd);
	}
	return NULL;
}

static void descriptors_under_threads(void **state)
{
	struct race r = {.stop = false};
	pthread_t t;
	unsigned int i, bound = 0;

	(void)state;
	assert_int_equal(nb_host_create("spr", NULL, &r.host, NULL, 0), 0);
	assert_int_equal(pthread_create(&t, NULL, closer, &r), 0);
	for (i = 0; i < 3000; i++) {
		int iommufd = nb_host_open(r.host, "/dev/iommu", O_RDWR);
		int device = nb_host_open(r.host, "/dev/vfio/devices/vfio1", O_RDWR);
		struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};
		uint32_t id;

		if (nb_host_ioctl(r.host, device, VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0)
			bound++;
		nb_host_pread(r.host, device, &id, sizeof(id), 0);
		nb_host_close(r.host, iommufd);
		nb_host_close(r.host, device);
	}
	atomic_store(&r.stop, true);
	pthread_join(t, NULL);
	assert_true(bound > 0);
	nb_host_destroy(r.host);
}

/* An ioctl that hangs in a full log, and a close of its descriptor, which must wait for it. */
struct slow_call {
	struct nb_host *host;
	int fd;
	_Atomic bool done;
};

static void *slow_ioctl(void *opaque)
{
	struct slow_call *c = opaque;
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};

	nb_host_ioctl(c->host, c->fd, IOMMU_IOAS_ALLOC, &ioas);
	atomic_store(&c->done, true);
	return NULL;
}

static void *slow_close(void *opaque)
{
	struct slow_call *c = opaque;

	assert_int_equal(nb_host_close(c->host, c->fd), 0);
	atomic_store(&c->done, true);
	return NULL;
}

static void close_waits_for_calls(void **state)
{
	struct nb_host_opts opts = {.size = sizeof(opts), .log = "host.ioctl"};
	struct slow_call call = {.done = false}, closing = {.done = false};
	static char junk[65536];
	pthread_t a, b;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	while (write(fds[1], junk, sizeof(junk)) > 0 || write(fds[1], junk, 1) > 0)
		;
	assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
	opts.log_fd = fds[1];
	assert_int_equal(nb_host_create("spr", &opts, &call.host, NULL, 0), 0);
	closing.host = call.host;
	closing.fd = call.fd = nb_host_open(call.host, "/dev/iommu", O_RDWR);
	assert_int_equal(pthread_create(&a, NULL, slow_ioctl, &call), 0);
	usleep(100000);
	assert_false(atomic_load(&call.done));
	assert_int_equal(pthread_create(&b, NULL, slow_close, &closing), 0);
	usleep(100000);
	assert_false(atomic_load(&closing.done));
	assert_int_equal(nb_host_close(call.host, call.fd), -EBADF); /* it is being closed */
	assert_int_equal(nb_host_ioctl(call.host, call.fd, IOMMU_IOAS_ALLOC, NULL), -EBADF);
	while (read(fds[0], junk, sizeof(junk)) > 0)
		;
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	assert_true(atomic_load(&closing.done));
	nb_host_destroy(call.host);
	close(fds[0]);
	close(fds[1]);
}

static void mapped_bar(void **state)
{
	struct vfio_region_info region = {.argsz = sizeof(region), .index = 2};
	struct nb_host *host;
	const struct nb_kernel *k;
	int device, iommufd, err = 0;
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	uint64_t *map, v = 0;

	(void)state;
	assert_int_equal(nb_host_create("spr", NULL, &host, NULL, 0), 0);
	k = nb_host_kernel(host);
	iommufd = k->open(k->opaque, "/dev/iommu", O_RDWR);
	device = k->open(k->opaque, "/dev/vfio/devices/vfio1", O_RDWR);
	bind.iommufd = device; /* no iommufd */
	assert_true(k->ioctl(k->opaque, device, VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0);
	bind.iommufd = iommufd;
	assert_int_equal(k->ioctl(k->opaque, device, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	assert_int_equal(k->ioctl(k->opaque, device, VFIO_DEVICE_GET_REGION_INFO, &region), 0);
	assert_true(region.flags & VFIO_REGION_INFO_FLAG_MMAP);
	map = k->mmap(k->opaque, NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, region.offset, &err);
	assert_non_null(map);
	map[1] = 0x1234567890abcdef;
	assert_int_equal(k->pread(k->opaque, device, &v, 8, region.offset + 8), 8);
	assert_int_equal(v, 0x1234567890abcdef);
	munmap(map, region.size);
	assert_null(k->mmap(k->opaque, NULL, region.size * 2, PROT_READ, MAP_SHARED, device, region.offset, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(k->mmap(k->opaque, NULL, 4096, PROT_READ, MAP_SHARED, iommufd, 0, &err));
	assert_null(k->mmap(k->opaque, NULL, 4096, PROT_READ, MAP_SHARED, 5, 0, &err));
	assert_int_equal(err, -EBADF);
	assert_int_equal(k->read(k->opaque, device, &v, 8), -EINVAL);
	assert_int_equal(k->write(k->opaque, device, &v, 8), -EINVAL);
	nb_host_destroy(host); /* with everything open and bound */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_and_taken_down),
		cmocka_unit_test(blocked_at_first),
		cmocka_unit_test(refuses_bad_descriptions),
		cmocka_unit_test(every_allocation_fails_once),
		cmocka_unit_test(tree_refusals),
		cmocka_unit_test(descriptors_under_threads),
		cmocka_unit_test(close_waits_for_calls),
		cmocka_unit_test(mapped_bar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

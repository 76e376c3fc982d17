/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose state a descriptor has: claims against owners that live, have died, or never were. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "run/fdtable.h"
#include "run/owner.h"

static struct {
	_Atomic unsigned int first, opened, closed, refused; /* files are closed by whoever was last */
	int fail; /* what the next open gives */
	char obj[16];
} stub;

static void stub_first(void)
{
	stub.first++;
}

static int stub_host(const void **host)
{
	*host = &stub;
	return 0;
}

static bool stub_adopt(const void *host)
{
	return host == &stub;
}

static int stub_open(const struct run_file *f, void **obj)
{
	(void)f;
	if (stub.fail)
		return stub.fail;
	*obj = &stub.obj[stub.opened++ % 16];
	return 0;
}

static void stub_close(struct run_file *f, void *obj)
{
	(void)f, (void)obj;
	stub.closed++;
}

static void stub_refused(const struct run_file *f, int fd, unsigned int pid, const char *why)
{
	(void)f, (void)fd, (void)pid, (void)why;
	stub.refused++;
}

static void stub_opened(const struct run_file *f)
{
	(void)f;
}

static const struct state_ops ops = {stub_first, stub_host, stub_adopt, stub_open, stub_close, stub_refused, stub_opened};
static const struct node_id id = {1, 2, 3}, other_id = {1, 2, 4};

static int use(int fd)
{
	struct run_file *f = file_get(fd);
	void *obj;
	int err;

	assert_non_null(f);
	err = file_use(f, fd, &obj);
	file_put(f);
	return err;
}

static struct node_page *page_of(int fd)
{
	struct run_file *f = file_get(fd);
	struct node_page *p = f->page;

	file_put(f); /* the table holds it */
	return p;
}

static void drop(int fd)
{
	struct run_file *f = file_get(fd);

	close(fd);
	file_closed(f);
}

static void owners(void **state)
{
	uint64_t me = owner_self(), dead;
	pid_t pid;
	int fds[2];

	(void)state;
	assert_int_equal(owner_pid(me), getpid());
	assert_true(owner_alive(me) && owner_known() == me);
	assert_false(owner_alive(0));
	assert_false(owner_alive(me - 1)); /* same pid, started at another time */
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		uint64_t mine;

		if (owner_known() != 0)
			_exit(1);
		mine = owner_self();
		if (mine == me || owner_pid(mine) != (unsigned int)getpid() || write(fds[1], &mine, 8) != 8)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(read(fds[0], &dead, 8), 8);
	usleep(50000);
	assert_false(owner_alive(dead)); /* a zombie */
	waitpid(pid, NULL, 0);
	assert_false(owner_alive(dead));
	assert_true(owner_alive((uint64_t)1 << 42)); /* pid 1, start unknown: the pid has to do */
}

static void claims(void **state)
{
	int fd = file_open_node(NODE_IOMMU, 0, O_CLOEXEC);
	struct node_page *page;
	uint64_t me = owner_self(), parent;

	(void)state;
	assert_true(fd >= 0 && fdtable_busy() && stub.first == 1);
	page = page_of(fd);
	assert_int_equal(page->owner, 0); /* no state before it is used */
	stub.fail = -ENOMEM;
	assert_int_equal(use(fd), -ENOMEM);
	assert_int_equal(page->owner, 0);
	stub.fail = 0;
	assert_int_equal(use(fd), 0);
	assert_int_equal(use(fd), 0);
	assert_true(page->owner == me && stub.opened == 1 && stub.closed == 0);
	drop(fd);
	assert_int_equal(stub.closed, 1);

	fd = file_open_node(NODE_VFIO, 3, 0);
	page = page_of(fd);
	parent = (uint64_t)getppid() << 42;
	page->owner = parent; /* somebody else uses it */
	assert_int_equal(use(fd), -EPERM);
	assert_int_equal(use(fd), -EPERM);
	assert_true(stub.refused == 1 && stub.opened == 1); /* said once */
	page->owner = me - 1; /* and is dead */
	assert_int_equal(use(fd), 0);
	assert_true(page->owner == me && stub.opened == 2);
	page->owner = parent; /* scribbled on */
	assert_int_equal(use(fd), -EPERM);
	page->owner = 0;
	assert_int_equal(use(fd), 0);
	assert_int_equal(stub.opened, 2); /* the state is still ours */
	drop(fd);
	assert_int_equal(stub.closed, 2);
}

static void foreigners(void **state)
{
	int fd = node_create(&other_id, NODE_IOMMU, 0, O_CLOEXEC), fd2 = node_create(&id, NODE_VFIO, 7, 0);
	struct run_file *f;
	uint32_t bad = 99;

	(void)state;
	assert_null(file_get(fd)); /* of another run */
	f = file_get(fd2);
	assert_true(f && f->kind == NODE_VFIO && f->index == 7 && fd_mark_get(fd2) == FD_OURS);
	file_put(f);
	drop(fd2);
	fd2 = node_create(&id, NODE_VFIO, 7, 0);
	assert_int_equal(pwrite(fd2, &bad, 4, offsetof(struct node_page, kind)), 4);
	assert_null(file_get(fd2));
	assert_int_equal(pwrite(fd2, &bad, 4, 0), 4);
	assert_null(file_get(fd2));
	close(fd);
	close(fd2);
	assert_null(file_get(fd2));
	assert_null(file_get(-1));
	assert_null(file_get(0x7fffffff));
	fd_mark_set(0x7fffffff, FD_FOREIGN);
	assert_int_equal(fd_mark_get(0x7fffffff), FD_UNKNOWN);
}

static void sweeping(void **state)
{
	unsigned int before = stub.closed;
	struct run_file *f;
	int fd = file_open_node(NODE_IOMMU, 0, 0), copy, kept = file_open_node(NODE_IOMMU, 0, 0);

	(void)state;
	assert_true(use(fd) == 0 && use(kept) == 0);
	copy = dup(fd);
	drop(fd); /* a copy is left */
	assert_true(stub.closed == before && fd_mark_get(copy) == FD_OURS);
	f = file_get(copy);
	close(copy);
	fdtable_sweep();
	assert_int_equal(stub.closed, before); /* a call is still under way */
	file_put(f);
	assert_int_equal(stub.closed, before + 1);
	f = file_get(kept);
	f->in_flight = 1;
	file_put(f);
	close(kept);
	fdtable_sweep();
	assert_int_equal(stub.closed, before + 1); /* in a message somewhere */
	f->in_flight = 0;
	fdtable_sweep();
	assert_int_equal(stub.closed, before + 2);
}

/* Every allocation fails once: a descriptor that cannot be entered is no descriptor of ours, and nothing leaks. */
static void no_memory(void **state)
{
	int fd = node_create(&id, NODE_IOMMU, 0, 0);

	(void)state;
	nb_fail_nth_arm(1);
	assert_null(file_get(fd));
	assert_true(nb_fail_nth_fired());
	assert_int_equal(use(fd), 0);
	drop(fd);
}

static void *racer(void *arg)
{
	int shared = *(int *)arg, i;

	for (i = 0; i < 300; i++) {
		int fd = i & 1 ? dup(shared) : file_open_node(NODE_VFIO, 1, O_CLOEXEC);

		if (fd < 0 || use(fd) != 0 || use(shared) != 0)
			return arg;
		drop(fd);
	}
	return NULL;
}

static void racing(void **state)
{
	int shared = file_open_node(NODE_IOMMU, 0, O_CLOEXEC);
	unsigned int before = stub.closed, opened = stub.opened;
	pthread_t thread[4];
	void *bad;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, racer, &shared), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(thread[i], &bad), 0);
		assert_null(bad);
	}
	drop(shared);
	assert_int_equal(stub.closed - before, 4 * 150 + 1);
	assert_int_equal(stub.opened - opened, 4 * 150 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owners),   cmocka_unit_test(claims),	 cmocka_unit_test(foreigners),
		cmocka_unit_test(sweeping), cmocka_unit_test(no_memory), cmocka_unit_test(racing),
	};

	fdtable_init(&id, &ops);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "run/fdtable.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/alloc.h"
#include "run/owner.h"
#include "run/sys.h"

/* A parent that forked into the background is given this long to be gone. */
#define PARENT_EXIT_MS 250
#define BUCKETS	       64u

/*
 * The one exception to "no mutable globals": descriptors are the process's, and so is this table.
 */
static struct {
	struct node_id id;
	const struct state_ops *ops;
	pthread_mutex_t table_lock, claim_lock;
	struct run_file *bucket[BUCKETS]; /* table_lock */
	_Atomic unsigned int nfiles;	  /* written under table_lock */
	_Atomic bool busy;
	pthread_once_t first;
	_Atomic unsigned int epoch; /* number of forks */
	_Atomic uint8_t mark[FD_MARKS];
} tab = {
	.table_lock = PTHREAD_MUTEX_INITIALIZER,
	.claim_lock = PTHREAD_MUTEX_INITIALIZER,
	.first = PTHREAD_ONCE_INIT,
};

void fdtable_init(const struct node_id *id, const struct state_ops *ops)
{
	tab.id = *id;
	tab.ops = ops;
}

bool fdtable_busy(void)
{
	return atomic_load_explicit(&tab.busy, memory_order_relaxed);
}

void claim_lock(void)
{
	pthread_mutex_lock(&tab.claim_lock);
}

void claim_unlock(void)
{
	pthread_mutex_unlock(&tab.claim_lock);
}

enum fd_mark fd_mark_get(int fd)
{
	if (fd < 0 || (unsigned int)fd >= FD_MARKS)
		return FD_UNKNOWN;
	return (enum fd_mark)atomic_load_explicit(&tab.mark[fd], memory_order_relaxed);
}

/* Stores only what changes: the pages of the table stay untouched in programs that have nothing to do with us. */
void fd_mark_set(int fd, enum fd_mark mark)
{
	if (fd >= 0 && (unsigned int)fd < FD_MARKS && fd_mark_get(fd) != mark)
		atomic_store_explicit(&tab.mark[fd], (uint8_t)mark, memory_order_relaxed);
}

bool fdtable_elsewhere(void)
{
	uint64_t me = owner_known();

	return me && owner_pid(me) != (unsigned int)sys0(SYS_getpid);
}

static struct run_file **bucket_of(uint64_t ino)
{
	return &tab.bucket[ino % BUCKETS];
}

static struct run_file *find_locked(const struct stat *st)
{
	struct run_file *f;

	for (f = *bucket_of(st->st_ino); f; f = f->next)
		if (f->ino == st->st_ino && f->dev == st->st_dev)
			return f;
	return NULL;
}

/* A node, or what may be the descriptor of a queue. */
static bool shape(const struct stat *st)
{
	return node_shape(st) || S_ISSOCK(st->st_mode);
}

/* Which node is it? False: none, or no memory. */
static bool look_into(int fd, const struct stat *st, struct run_file *f)
{
	uint64_t owner;

	if (S_ISSOCK(st->st_mode)) {
		f->kind = NODE_QUEUE;
		f->page = node_queue_read(fd, &tab.id, &owner) ? node_page_new(owner) : NULL;
	} else {
		f->page = node_read(fd, &tab.id, &f->kind, &f->index) ? node_map(fd) : NULL;
	}
	return f->page != NULL;
}

/* Enter a descriptor that this process meets for the first time. Null: not a node, or no memory. */
static struct run_file *adopt_fd(int fd, const struct stat *st)
{
	struct run_file *f = nb_zalloc(sizeof(*f)), *other;

	if (!f)
		return NULL;
	if (!look_into(fd, st, f)) {
		nb_free(f);
		return NULL;
	}
	pthread_once(&tab.first, tab.ops->first);
	owner_self(); /* known from now on: see fdtable_elsewhere() */
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->refs = 2;
	f->listed = true;
	pthread_mutex_lock(&tab.table_lock);
	other = find_locked(st);
	if (other) {
		other->refs++;
	} else {
		f->next = *bucket_of(f->ino);
		*bucket_of(f->ino) = f;
		atomic_fetch_add(&tab.nfiles, 1);
		atomic_store(&tab.busy, true);
	}
	pthread_mutex_unlock(&tab.table_lock);
	if (other) {
		node_unmap(f->page);
		nb_free(f);
		return other;
	}
	return f;
}

struct run_file *file_get(int fd)
{
	struct run_file *f = NULL;
	struct stat st;

	if (sys_fstat(fd, &st))
		return NULL;
	if (!shape(&st)) {
		if (fd_mark_get(fd) != FD_INTERNAL)
			fd_mark_set(fd, FD_FOREIGN);
		return NULL;
	}
	pthread_mutex_lock(&tab.table_lock);
	f = find_locked(&st);
	if (f)
		f->refs++;
	pthread_mutex_unlock(&tab.table_lock);
	if (!f)
		f = adopt_fd(fd, &st);
	if (f)
		fd_mark_set(fd, FD_OURS);
	else if (S_ISSOCK(st.st_mode))
		fd_mark_set(fd, FD_FOREIGN);
	return f;
}

void file_put(struct run_file *f)
{
	uint64_t me;
	unsigned int refs;

	pthread_mutex_lock(&tab.table_lock);
	assert(f->refs > 0);
	refs = --f->refs;
	pthread_mutex_unlock(&tab.table_lock);
	if (refs)
		return;
	/* Nobody can find it any more. */
	me = owner_self();
	if (f->obj && f->owner == me)
		tab.ops->close(f, f->obj);
	atomic_compare_exchange_strong(&f->page->owner, &me, 0);
	node_unmap(f->page);
	nb_free(f);
}

int file_open_node(enum node_kind kind, unsigned int index, int flags)
{
	int fd;

	fdtable_sweep();
	fd = node_create(&tab.id, kind, index, flags);
	if (fd >= 0) {
		struct run_file *f;

		fd_mark_set(fd, FD_UNKNOWN);
		f = file_get(fd);
		if (f)
			file_put(f);
	}
	return fd;
}

int file_open_queue(void *obj, const void *host, int *peer)
{
	struct run_file *f = nb_zalloc(sizeof(*f));
	uint64_t me = owner_self();
	struct stat st;
	int fd, err;

	if (!f)
		return -ENOMEM;
	f->page = node_page_new(me);
	err = f->page ? node_queue_create(&tab.id, me, &fd, peer) : -ENOMEM;
	if (err || (err = sys_fstat(fd, &st)) != 0) {
		if (f->page)
			node_unmap(f->page);
		nb_free(f);
		return err;
	}
	f->kind = NODE_QUEUE;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->host = host;
	f->fd = fd;
	f->epoch = atomic_load_explicit(&tab.epoch, memory_order_relaxed);
	f->owner = me;
	f->obj = obj;
	f->refs = 1;
	f->listed = true;
	fd_mark_set(fd, FD_OURS);
	pthread_mutex_lock(&tab.table_lock);
	f->next = *bucket_of(f->ino);
	*bucket_of(f->ino) = f;
	atomic_fetch_add(&tab.nfiles, 1);
	pthread_mutex_unlock(&tab.table_lock);
	return fd;
}

/* Takes it from the table; null: it is not there any more. */
static struct run_file *unlist(const void *obj)
{
	struct run_file **link, *f = NULL;
	unsigned int i;

	pthread_mutex_lock(&tab.table_lock);
	for (i = 0; i < BUCKETS && !f; i++)
		for (link = &tab.bucket[i]; (f = *link) != NULL && f->obj != obj;)
			link = &f->next;
	if (f) {
		*link = f->next;
		f->listed = false;
		atomic_fetch_sub(&tab.nfiles, 1);
	}
	pthread_mutex_unlock(&tab.table_lock);
	return f;
}

bool file_retract(int fd, const void *obj)
{
	struct run_file *f = unlist(obj);
	unsigned int refs;
	struct stat st;

	if (!f)
		return false;
	if (sys_fstat(fd, &st) == 0 && st.st_ino == f->ino && st.st_dev == f->dev) {
		fd_mark_set(fd, FD_UNKNOWN);
		sys_close(fd);
	}
	for (;;) {
		pthread_mutex_lock(&tab.table_lock);
		refs = f->refs;
		pthread_mutex_unlock(&tab.table_lock);
		if (refs == 1)
			break;
		sched_yield();
	}
	atomic_store(&f->obj, NULL);
	file_put(f);
	return true;
}

bool file_identify(int fd, const struct stat *st, enum node_kind *kind, unsigned int *index)
{
	uint64_t owner;
	bool known;

	if (S_ISSOCK(st->st_mode)) {
		pthread_mutex_lock(&tab.table_lock);
		known = find_locked(st) != NULL;
		pthread_mutex_unlock(&tab.table_lock);
		*kind = NODE_QUEUE;
		*index = 0;
		return known || node_queue_read(fd, &tab.id, &owner);
	}
	return node_shape(st) && node_read(fd, &tab.id, kind, index);
}

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = {.tv_nsec = (long)ms * 1000000};

	sys2(SYS_nanosleep, (uintptr_t)&ts, 0);
}

static int refuse(struct run_file *f, int fd, uint64_t owner, const char *why)
{
	if (!f->told)
		tab.ops->refused(f, fd, owner_pid(owner), why);
	f->told = true;
	return -EPERM;
}

/*
 * The page's owner word to this process. 0 or -EPERM. Under claim_lock.
 * `have` is the process whose state we hold a copy of, 0 if none.
 */
static int claim(struct run_file *f, int fd, uint64_t me, uint64_t have)
{
	unsigned int waited = 0;

	for (;;) {
		uint64_t cur = atomic_load(&f->page->owner);

		if (cur == me)
			return 0;
		if (owner_alive(cur)) {
			if (!have || f->told || waited++ == PARENT_EXIT_MS)
				return refuse(f, fd, cur, "another process uses this descriptor; two cannot");
			sleep_ms(1);
			continue;
		}
		if (have && ((cur && cur != have) || f->uses != atomic_load(&f->page->uses)))
			return refuse(f, fd, have, "another process went on using it after the fork");
		if (have && !tab.ops->adopt(f->host))
			return refuse(f, fd, have, "its state was left behind in the process that forked");
		if (atomic_compare_exchange_strong(&f->page->owner, &cur, me))
			return 0;
	}
}

/* Slow half of file_use(). Under claim_lock. */
static int take(struct run_file *f, int fd, uint64_t me)
{
	uint64_t have = f->obj ? f->owner : 0;
	void *obj = NULL;
	int err;

	err = claim(f, fd, me, have == me ? 0 : have);
	if (err || have == me)
		return err;
	if (have) { /* the copy is ours now */
		atomic_store(&f->owner, me);
		return 0;
	}
	err = tab.ops->host(&f->host);
	if (!err)
		err = tab.ops->open(f, &obj);
	if (err) {
		atomic_compare_exchange_strong(&f->page->owner, &me, 0);
		return err;
	}
	atomic_store(&f->owner, me);
	atomic_store(&f->obj, obj);
	f->fd = fd;
	tab.ops->opened(f);
	return 0;
}

int file_use(struct run_file *f, int fd, void **obj)
{
	unsigned int epoch = atomic_load_explicit(&tab.epoch, memory_order_relaxed);
	uint64_t me = owner_known();
	int err;

	if (!me)
		me = owner_self();
	if (!f->obj || f->owner != me || atomic_load_explicit(&f->page->owner, memory_order_relaxed) != me) {
		pthread_mutex_lock(&tab.claim_lock);
		err = take(f, fd, me);
		pthread_mutex_unlock(&tab.claim_lock);
		if (err)
			return err;
	}
	if (atomic_load_explicit(&f->epoch, memory_order_relaxed) != epoch) {
		atomic_store(&f->epoch, epoch);
		atomic_fetch_add(&f->page->uses, 1); /* pairs with the comparison in claim(), in a child */
	}
	*obj = f->obj;
	return 0;
}

/* Call fn for every open descriptor of this process. */
static void for_each_fd(void (*fn)(int fd))
{
	char buf[4096] __attribute__((aligned(8)));
	struct rlimit rl = {.rlim_cur = 1024};
	int dir = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	long n, at;

	if (dir < 0) { /* no /proc: try them all */
		sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (uintptr_t)&rl);
		if (rl.rlim_cur > 1 << 20)
			rl.rlim_cur = 1 << 20;
		for (fd = 0; fd < (int)rl.rlim_cur; fd++)
			fn(fd);
		return;
	}
	while ((n = sys3(SYS_getdents64, (unsigned int)dir, (uintptr_t)buf, sizeof(buf))) > 0) {
		for (at = 0; at < n;) {
			const struct sys_dirent *d = (const void *)(buf + at);
			const char *p;

			at += d->reclen;
			fd = 0;
			for (p = d->name; *p >= '0' && *p <= '9'; p++)
				fd = fd * 10 + (*p - '0');
			if (p != d->name && *p == 0 && fd != dir)
				fn(fd);
		}
	}
	sys_close(dir);
}

/* Under table_lock, which is why it goes through no file_get(). */
static void see_fd(int fd)
{
	struct run_file *f;
	struct stat st;

	if (fd_mark_get(fd) == FD_INTERNAL || sys_fstat(fd, &st) || !shape(&st))
		return;
	f = find_locked(&st);
	if (f) {
		f->seen = true;
		fd_mark_set(fd, FD_OURS); /* so that its close is noticed */
	}
}

/* Are there listed files that no descriptor leads to? Under table_lock. */
static bool look_around(void)
{
	struct run_file *f;
	bool unseen = false;
	unsigned int i;

	for_each_fd(see_fd);
	for (i = 0; i < BUCKETS; i++)
		for (f = tab.bucket[i]; f; f = f->next)
			unseen |= !f->seen;
	return unseen;
}

void fdtable_sweep(void)
{
	struct run_file *f, **link, *gone = NULL;
	unsigned int i;

	if (!atomic_load(&tab.nfiles) || fdtable_elsewhere())
		return;
	pthread_mutex_lock(&tab.table_lock);
	for (i = 0; i < BUCKETS; i++)
		for (f = tab.bucket[i]; f; f = f->next)
			f->seen = false;
	/* A descriptor that another thread moves to a number already passed is found the second time. */
	if (look_around())
		look_around();
	for (i = 0; i < BUCKETS; i++) {
		for (link = &tab.bucket[i]; (f = *link) != NULL;) {
			if (f->seen || (f->obj && atomic_load(&f->in_flight) > 0)) {
				link = &f->next;
				continue;
			}
			*link = f->next;
			f->listed = false;
			f->next = gone;
			gone = f;
			atomic_fetch_sub(&tab.nfiles, 1);
		}
	}
	pthread_mutex_unlock(&tab.table_lock);
	while ((f = gone) != NULL) {
		gone = f->next;
		file_put(f); /* the table's reference */
	}
}

void file_closed(struct run_file *f)
{
	file_put(f);
	fdtable_sweep();
}

void fdtable_fork_prepare(void)
{
	struct run_file *f;
	unsigned int i;

	pthread_mutex_lock(&tab.claim_lock);
	pthread_mutex_lock(&tab.table_lock);
	/* From here on a use by either side is one that the other does not have. */
	atomic_fetch_add(&tab.epoch, 1);
	for (i = 0; i < BUCKETS; i++)
		for (f = tab.bucket[i]; f; f = f->next)
			f->uses = atomic_load(&f->page->uses);
}

void fdtable_fork_parent(void)
{
	pthread_mutex_unlock(&tab.table_lock);
	pthread_mutex_unlock(&tab.claim_lock);
}

void fdtable_fork_child(void)
{
	fdtable_fork_parent();
}

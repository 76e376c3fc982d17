/* SPDX-License-Identifier: BSD-3-Clause */
#include "run/vhost.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/alloc.h"
#include "base/rcu.h"
#include "machine/machine.h"
#include "mem/guard.h"
#include "run/queue.h"
#include "run/next.h"
#include "run/owner.h"
#include "run/rundir.h"
#include "run/sys.h"
#include "uapi/vfio.h"

#define DIR_SIZE       3800 /* leaves room for the longest name below it in a path */
#define MAX_PROCESSES  4096 /* that use the virtual host in one run: counter blocks */
#define ADOPT_WAIT_MS  250

char run_dir[DIR_SIZE];
__thread struct run_thread run_self;
_Atomic(struct machine *) vhost_machine;

static struct {
	char log_patterns[512];
	/* claim_lock */
	uint64_t owner;	 /* of the machine: the process that made it or took it over */
	int lock_fd;	 /* claims/devices, or -1 */
	int log_fd;	 /* where NESTBOX_LOG goes, or -1 */
	unsigned int locked[NB_DESC_MAX_FUNCTIONS];
	bool failed;	 /* making the machine did not work and was reported */
	/* A fork caught other threads inside: the copy's locks are in no known state. Set in the child, before it runs. */
	bool poisoned;
	_Atomic unsigned int inside; /* threads in the virtual host */
	_Atomic bool forking;	     /* written under claim_lock */
	unsigned int inside_at_fork;
} vh = {.lock_fd = -1, .log_fd = -1};

/*
 * `inside` and `forking` are each written by one side and then read by the other, both sequentially consistent: either the fork
 * counts us, or we see it and stay out until it is done, which is when it gives claim_lock back.
 */
void vhost_enter(void)
{
	if (run_self.depth++ != 0)
		return;
	while (atomic_fetch_add(&vh.inside, 1), atomic_load(&vh.forking)) {
		atomic_fetch_sub(&vh.inside, 1);
		claim_lock();
		claim_unlock();
	}
	signals_unblock();
}

void vhost_leave(void)
{
	if (--run_self.depth == 0)
		atomic_fetch_sub_explicit(&vh.inside, 1, memory_order_release);
}

static void say_to(int fd, const char *fmt, va_list ap)
{
	char line[512] = "nestbox: ";
	size_t len = strlen(line);
	int n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);

	if (n < 0)
		return;
	len += (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	sys3(SYS_write, (unsigned int)fd, (uintptr_t)line, len);
}

void run_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_to(vh.log_fd >= 0 ? vh.log_fd : 2, fmt, ap);
	va_end(ap);
}

int run_keep_fd(int fd)
{
	/* High, so that a program which expects the lowest free number gets the one that it would have got. */
	static const int from[] = {960, 480, 200, 3};
	int high = -EMFILE;
	size_t i;

	if (fd < 0)
		return fd;
	for (i = 0; i < sizeof(from) / sizeof(from[0]) && high < 0; i++)
		high = (int)sys3(SYS_fcntl, (unsigned int)fd, F_DUPFD_CLOEXEC, from[i]);
	if (high >= 0)
		fd_mark_set(high, FD_INTERNAL);
	return high;
}

static int open_in_dir(const char *name, int flags)
{
	char path[DIR_SIZE + 64];

	snprintf(path, sizeof(path), "%s/%s", run_dir, name);
	return sys_open(path, flags | O_CLOEXEC);
}

static int read_desc(struct nb_desc *d)
{
	int fd = open_in_dir(NB_RUN_HOST, O_RDONLY);
	size_t got = 0;
	long n = fd;

	if (fd < 0)
		return fd;
	while (got < sizeof(*d) &&
	       (n = sys3(SYS_read, (unsigned int)fd, (uintptr_t)d + got, sizeof(*d) - got)) > 0)
		got += (size_t)n;
	sys_close(fd);
	if (n < 0)
		return (int)n;
	return got == sizeof(*d) && d->magic == NB_DESC_MAGIC && d->size == sizeof(*d) ? 0 : -EINVAL;
}

/* A block of counters of our own: the first that no other process of this run has claimed. Null: count in private. */
static struct nb_counters *claim_counters(void)
{
	const uint64_t size = sizeof(struct nb_counters);
	uint64_t first, skip;
	unsigned int n;
	char name[64];
	int fd = -1;
	long map;

	for (n = 0; n < MAX_PROCESSES && fd < 0; n++) {
		snprintf(name, sizeof(name), NB_RUN_CLAIMS "/" NB_RUN_COUNTERS ".%u", n);
		fd = open_in_dir(name, O_WRONLY | O_CREAT | O_EXCL);
		if (fd < 0 && fd != -EEXIST)
			return NULL;
	}
	if (fd < 0)
		return NULL;
	sys_close(fd);
	first = (n - 1) * size;
	fd = open_in_dir(NB_RUN_COUNTERS, O_RDWR);
	if (fd < 0)
		return NULL;
	/* Grow by writing our last byte: that cannot shrink the file behind another process that grows it too. */
	if (n > 1 && sys4(SYS_pwrite64, (unsigned int)fd, (uintptr_t) "", 1, first + size - 1) != 1) {
		sys_close(fd);
		return NULL;
	}
	skip = first & 4095;
	map = sys6(SYS_mmap, 0, size + skip, PROT_READ | PROT_WRITE, MAP_SHARED, (unsigned int)fd, first - skip);
	sys_close(fd);
	return map < 0 && map >= -4095 ? NULL : (struct nb_counters *)(uintptr_t)((uint64_t)map + skip);
}

static void host_log(void *opaque, const char *line)
{
	(void)opaque;
	if (vh.log_patterns[0])
		run_say("%s", line);
}

/* What BIND's descriptor number means: looked up on the way in, see bind_device(). */
static int resolve_iommufd(void *opaque, int fd, struct iommufd_file **out)
{
	(void)opaque;
	if (fd != run_self.bind_fd)
		return -EBADF;
	if (run_self.bind_error)
		return run_self.bind_error;
	*out = run_self.bind_file;
	return 0;
}

/* What a node is made of here (a memfd, a socket) is nobody's memory to map. */
static bool is_node(void *opaque, int fd)
{
	enum node_kind kind;
	unsigned int index;
	struct stat st;

	(void)opaque;
	return sys_fstat(fd, &st) == 0 && file_identify(fd, &st, &kind, &index);
}

static int make_machine(struct machine **out)
{
	struct nb_diag diag = {""};
	struct machine_cfg cfg = {
		.resolve_iommufd = resolve_iommufd,
		.is_node = is_node,
		.log = host_log,
		.queue_fd = queue_fd_open,
		.queue_fd_abort = queue_fd_abort,
		.queue_ready = queue_fd_ready,
	};
	struct nb_desc *desc = nb_zalloc(sizeof(*desc));
	struct machine *m = NULL;
	char path[DIR_SIZE + 64];
	int err, fd;

	if (!desc)
		return -ENOMEM;
	err = read_desc(desc);
	if (err) {
		run_say("cannot read %s/%s: %s", run_dir, NB_RUN_HOST, strerror(-err));
		goto out;
	}
	snprintf(path, sizeof(path), "%s/" NB_RUN_CLAIMS, run_dir);
	sys2(SYS_mkdir, (uintptr_t)path, 0700);
	cfg.desc = desc;
	cfg.counters = claim_counters();
	fd = open_in_dir(NB_RUN_CLAIMS "/devices", O_RDWR | O_CREAT);
	vh.lock_fd = run_keep_fd(fd);
	if (fd >= 0)
		sys_close(fd);
	if (vh.log_fd < 0 && vh.log_patterns[0])
		vh.log_fd = run_keep_fd(2);
	/* First, so that no sigaction() of the program slips in between: without a handler of ours it is passed on. */
	guard_use_sigaction(NEXT(sigaction));
	signals_take();
	cfg.trace_patterns = vh.log_patterns;
	cfg.trace_fd = vh.log_fd;
	err = machine_create(&cfg, &m, &diag);
	if (err) {
		run_say("cannot make the virtual host: %s", diag.msg[0] ? diag.msg : strerror(-err));
		goto out;
	}
	*out = m;
out:
	nb_free(desc);
	return err;
}

/* Under claim_lock, which also makes it the only one. */
static int get_host(const void **host)
{
	struct machine *m = atomic_load(&vhost_machine);
	uint64_t all = ~UINT64_C(0), old;
	int err;

	if (m && vh.owner == owner_self()) {
		*host = m;
		return 0;
	}
	if (vh.failed)
		return -ENODEV;
	/*
	 * What a fork left us of a machine whose owner goes on is no use: make another and let the copy be. A
	 * program's signal handler must not find the making half done: none runs meanwhile but for faults.
	 */
	all &= ~((UINT64_C(1) << (SIGSEGV - 1)) | (UINT64_C(1) << (SIGBUS - 1)));
	vhost_enter();
	sys4(SYS_rt_sigprocmask, SIG_BLOCK, (uintptr_t)&all, (uintptr_t)&old, sizeof(all));
	vh.lock_fd = -1;
	memset(vh.locked, 0, sizeof(vh.locked));
	err = make_machine(&m);
	if (!err) {
		vh.owner = owner_self();
		vh.poisoned = false;
		atomic_store_explicit(&vhost_machine, m, memory_order_release);
		err = control_start(m, run_dir);
		if (err)
			NB_TRACE(machine_trace(m), run_no_control, -err);
		err = 0;
		*host = m;
	} else {
		vh.failed = true;
		err = -ENODEV;
	}
	sys4(SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&old, 0, sizeof(old));
	vhost_leave();
	return err;
}

static bool adopt_host(const void *host)
{
	struct machine *m = atomic_load(&vhost_machine);
	struct timespec ms = {.tv_nsec = 1000000};
	unsigned int waited;

	if (!m || host != m || vh.poisoned)
		return false;
	for (waited = 0; vh.owner != owner_self() && owner_alive(vh.owner); waited++) {
		if (waited == ADOPT_WAIT_MS)
			return false;
		sys2(SYS_nanosleep, (uintptr_t)&ms, 0);
	}
	if (vh.owner != owner_self()) {
		vh.owner = owner_self();
		vhost_enter();
		machine_threads(m, HW_THREADS_AGAIN);
		if (control_start(m, run_dir))
			NB_TRACE(machine_trace(m), run_no_control, 0);
		vhost_leave();
	}
	return true;
}

static int open_state(const struct run_file *f, void **obj)
{
	struct host *h = machine_host(atomic_load(&vhost_machine));
	struct iommufd_file *iommufd = NULL;
	struct vfio_file *vfio = NULL;
	int err;

	if (f->kind == NODE_QUEUE)
		return -EPERM; /* what was in it went with the process that made it */
	vhost_enter();
	err = f->kind == NODE_IOMMU ? iommufd_open(h, &iommufd) : vfio_open(h, f->index, &vfio);
	vhost_leave();
	if (!err)
		*obj = f->kind == NODE_IOMMU ? (void *)iommufd : (void *)vfio;
	return err;
}

/*
 * One process at a time has a device: a byte of claims/devices each, locked by open file description, so that the lock goes
 * with the process and its fork's children and needs no cleaning up.
 */
static int lock_device(unsigned int index, short type)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = index, .l_len = 1};

	if (vh.lock_fd < 0)
		return 0; /* no lock file to be had: go without */
	return (int)sys3(SYS_fcntl, (unsigned int)vh.lock_fd, F_OFD_SETLK, (uintptr_t)&fl);
}

static void unlock_file(struct run_file *f)
{
	claim_lock();
	if (f->locked && vh.locked[f->index] && --vh.locked[f->index] == 0)
		lock_device(f->index, F_UNLCK);
	f->locked = false;
	claim_unlock();
}

static void close_state(struct run_file *f, void *obj)
{
	vhost_enter();
	if (f->kind == NODE_IOMMU)
		iommufd_close(obj);
	else if (f->kind == NODE_VFIO)
		vfio_close(obj);
	else
		queue_fd_close(obj);
	NB_TRACE(machine_trace(atomic_load(&vhost_machine)), run_close, f->fd, f->kind);
	vhost_leave();
	unlock_file(f);
}

static const char *kind_name(enum node_kind kind)
{
	return kind == NODE_IOMMU ? "/dev/iommu" : kind == NODE_VFIO ? "vfio device" : "queue of faults or events";
}

static void on_refused(const struct run_file *f, int fd, unsigned int pid, const char *why)
{
	struct machine *m = atomic_load(&vhost_machine);

	run_say("descriptor %d (%s), process %u: %s (first used in process %u)", fd,
		kind_name(f->kind), (unsigned int)sys0(SYS_getpid), why, pid);
	if (m)
		NB_TRACE(machine_trace(m), run_refused, fd, pid);
}

static void on_opened(const struct run_file *f)
{
	NB_TRACE(machine_trace(atomic_load(&vhost_machine)), run_open, f->fd, f->kind);
}

/*
 * Threads of the models count as nobody in `inside`: they are held back. That is done without claim_lock, as they take locks of ours to make a queue
 * readable; a machine that appears meanwhile is held in another round.
 */
static void fork_prepare(void)
{
	for (;;) {
		run_self.held = atomic_load(&vhost_machine);
		if (run_self.held)
			machine_threads(run_self.held, HW_THREADS_HOLD);
		fdtable_fork_prepare();
		if (run_self.held == atomic_load(&vhost_machine))
			break;
		fdtable_fork_parent();
		if (run_self.held)
			machine_threads(run_self.held, HW_THREADS_GO);
	}
	atomic_store(&vh.forking, true);
	vh.inside_at_fork = atomic_load(&vh.inside) - (run_self.depth != 0);
}

static void fork_parent(void)
{
	atomic_store(&vh.forking, false);
	fdtable_fork_parent();
	if (run_self.held)
		machine_threads(run_self.held, HW_THREADS_GO);
}

static void fork_child(void)
{
	atomic_store(&vh.forking, false);
	fdtable_fork_child();
	if (run_self.held)
		machine_threads(run_self.held, HW_THREADS_LOST);
	if (vh.inside_at_fork)
		vh.poisoned = true;
	atomic_store(&vh.inside, run_self.depth != 0);
	control_forget();
}

/*
 * Handlers of fork run in reverse order of registration, and our locks are outside those of the rooms below: theirs come
 * first, so that ours are taken first.
 */
static void on_first(void)
{
	nb_rcu_synchronize();
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static const struct state_ops state_ops = {
	.first = on_first,
	.host = get_host,
	.adopt = adopt_host,
	.open = open_state,
	.close = close_state,
	.refused = on_refused,
	.opened = on_opened,
};

/*
 * BIND names its iommufd by number. The number is resolved here, with our locks, and handed to the host's callback, which
 * runs under the host's. A number that changes in between is refused there.
 */
static long bind_device(struct run_file *f, void *obj, uint64_t arg)
{
	struct vfio_device_bind_iommufd bind = {.iommufd = -1};
	struct run_file *iommufd = NULL;
	bool took = false;
	int err = 0;
	long r;

	if (guard_copy(&bind, (const void *)(uintptr_t)arg, offsetof(struct vfio_device_bind_iommufd, out_devid)))
		return -EFAULT;
	claim_lock();
	if (!f->locked) {
		err = f->index < NB_DESC_MAX_FUNCTIONS ? 0 : -ENODEV;
		if (!err && vh.locked[f->index] == 0)
			err = lock_device(f->index, F_WRLCK);
		if (!err) {
			vh.locked[f->index]++;
			f->locked = took = true;
		}
	}
	claim_unlock();
	if (err) {
		/* Linux: the device is open elsewhere. */
		host_log(NULL, "BIND_IOMMUFD: another process has the device");
		return -EINVAL;
	}
	run_self.bind_fd = bind.iommufd;
	run_self.bind_file = NULL;
	iommufd = bind.iommufd >= 0 ? file_get(bind.iommufd) : NULL;
	if (iommufd && iommufd->kind == NODE_IOMMU)
		err = file_use(iommufd, bind.iommufd, &run_self.bind_file);
	else if (iommufd || (bind.iommufd >= 0 && sys2(SYS_fcntl, bind.iommufd, F_GETFD) >= 0))
		err = -EBADFD;
	else
		err = -EBADF;
	run_self.bind_error = err;
	r = vfio_ioctl(obj, VFIO_DEVICE_BIND_IOMMUFD, arg);
	run_self.bind_fd = -1;
	if (iommufd)
		file_put(iommufd);
	if (r && took)
		unlock_file(f);
	return r;
}

long vhost_ioctl(struct run_file *f, int fd, unsigned int cmd, uint64_t arg)
{
	void *obj;
	long r = file_use(f, fd, &obj);

	if (r)
		return r;
	if (f->kind == NODE_QUEUE)
		return -ENOTTY;
	vhost_enter();
	if (f->kind == NODE_IOMMU)
		r = iommufd_ioctl(obj, cmd, arg);
	else if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		r = bind_device(f, obj, arg);
	else
		r = vfio_ioctl(obj, cmd, arg);
	vhost_leave();
	return r;
}

ssize_t vhost_pread(struct run_file *f, int fd, void *buf, size_t len, uint64_t off)
{
	void *obj;
	ssize_t r = file_use(f, fd, &obj);

	if (r)
		return r;
	if (f->kind == NODE_IOMMU)
		return -EINVAL; /* /dev/iommu has no read */
	vhost_enter();
	r = f->kind == NODE_VFIO ? vfio_pread(obj, buf, len, off) : host_queue_read(obj, buf, len, off);
	vhost_leave();
	return r;
}

ssize_t vhost_pwrite(struct run_file *f, int fd, const void *buf, size_t len, uint64_t off)
{
	void *obj;
	ssize_t r = file_use(f, fd, &obj);

	if (r)
		return r;
	if (f->kind == NODE_IOMMU)
		return -EINVAL;
	vhost_enter();
	r = f->kind == NODE_VFIO ? vfio_pwrite(obj, buf, len, off) : host_queue_write(obj, buf, len, off);
	vhost_leave();
	return r;
}

int vhost_mmap(struct run_file *f, int fd, uint64_t off, size_t len, int prot, int flags, int *map_fd,
	       uint64_t *map_off, struct iommufd_mapping **m)
{
	void *obj;
	int err = file_use(f, fd, &obj);

	*m = NULL;
	if (err)
		return err;
	if (f->kind == NODE_QUEUE)
		return -ENODEV; /* not a file that maps */
	vhost_enter();
	if (f->kind == NODE_VFIO)
		err = vfio_mmap(obj, off, len, prot, flags, map_fd, map_off);
	else /* of a length as the kernel would make it */
		err = iommufd_mmap(obj, off, (len + 4095) & ~(size_t)4095, prot, flags, map_fd, map_off, m);
	vhost_leave();
	return err;
}

void vhost_mapped(struct iommufd_mapping *m, const void *va)
{
	vhost_enter();
	iommufd_mapped(m, (uintptr_t)va);
	vhost_leave();
}

/*
 * In a fork's child the machine is a copy of which nobody may be the owner yet. It follows what the child does to its memory all the same, in
 * case the child takes it over; only a copy that may hold somebody's lock is left alone.
 */
void vhost_revoke_slow(uint64_t va, uint64_t len)
{
	if (vh.poisoned)
		return;
	vhost_enter();
	host_revoke(machine_host(atomic_load(&vhost_machine)), va, len);
	vhost_leave();
}

void vhost_init(void)
{
	const char *dir = getenv(NB_RUN_ENV_DIR), *log = getenv(NB_RUN_ENV_LOG);
	struct node_id id;
	struct stat st;
	size_t len = dir ? strnlen(dir, DIR_SIZE) : 0;
	char path[DIR_SIZE + 64];

	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (len < 2 || len >= DIR_SIZE || dir[0] != '/')
		return;
	snprintf(path, sizeof(path), "%.*s/%s", (int)len, dir, NB_RUN_HOST);
	if (sys4(SYS_newfstatat, (unsigned int)AT_FDCWD, (uintptr_t)path, (uintptr_t)&st, 0))
		return; /* a run that is over, or another root directory */
	if (log && (size_t)snprintf(vh.log_patterns, sizeof(vh.log_patterns), "%s", log) >= sizeof(vh.log_patterns)) {
		/* Half a pattern would match nothing, and that is an error. */
		char *comma = strrchr(vh.log_patterns, ',');

		*(comma ? comma : vh.log_patterns) = 0;
	}
	id = (struct node_id){.dev = st.st_dev,
			      .ino = st.st_ino,
			      .ctime_ns = (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec};
	fdtable_init(&id, &state_ops);
	memcpy(run_dir, dir, len); /* last: the hooks look at it */
	run_dir[len] = 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library over the real host: `nestbox run -- real CASE`. A device does DMA into memory of this process while the process
 * takes that memory away, forks, blocks signals, or is busy elsewhere.
 */
#include "prog.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "real.h"

#include "dev/dmatest_regs.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define DMATEST	    1 /* vfio1 of host spr */
#define IOVA	    UINT64_C(0x10000000)
#define CONFIG	    (UINT64_C(7) << 40)
#define BAR(n)	    ((uint64_t)(n) << 40)
#define PAGE	    4096u
#define COMMAND_REG 4

struct setup {
	int iommu, dev;
	uint32_t ioas;
};

static struct setup start(void)
{
	struct setup s = {.iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC),
			  .dev = open("/dev/vfio/devices/vfio1", O_RDWR | O_CLOEXEC)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = s.iommu};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	uint16_t command = 6; /* memory, bus master */

	CHECK(s.iommu >= 0 && s.dev >= 0);
	CHECK(ioctl(s.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0);
	CHECK(ioctl(s.iommu, IOMMU_IOAS_ALLOC, &alloc) == 0);
	s.ioas = attach.pt_id = alloc.out_ioas_id;
	CHECK(ioctl(s.dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) == 0);
	CHECK(pwrite(s.dev, &command, 2, CONFIG + COMMAND_REG) == 2);
	return s;
}

static void map(const struct setup *s, void *p, size_t len, uint64_t iova)
{
	struct iommu_ioas_map m = {.size = sizeof(m),
				   .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
				   .ioas_id = s->ioas,
				   .user_va = (uintptr_t)p,
				   .length = len,
				   .iova = iova};

	CHECK(ioctl(s->iommu, IOMMU_IOAS_MAP, &m) == 0);
}

static void unmap(const struct setup *s, size_t len, uint64_t iova)
{
	struct iommu_ioas_unmap u = {.size = sizeof(u), .ioas_id = s->ioas, .iova = iova, .length = len};

	CHECK(ioctl(s->iommu, IOMMU_IOAS_UNMAP, &u) == 0);
}

static void put64(const struct setup *s, unsigned int reg, uint64_t v)
{
	CHECK(pwrite(s->dev, &v, 8, BAR(0) + reg) == 8);
}

static uint32_t get32(const struct setup *s, unsigned int reg)
{
	uint32_t v = 0;

	CHECK(pread(s->dev, &v, 4, BAR(0) + reg) == 4);
	return v;
}

/* Fill by DMA. What the device says of it: DMATEST_ERROR_*. */
static uint32_t fill(const struct setup *s, uint64_t iova, uint64_t len, uint8_t byte)
{
	uint32_t cmd = DMATEST_CMD_FILL;

	put64(s, DMATEST_DST, iova);
	put64(s, DMATEST_LENGTH, len);
	put64(s, DMATEST_PATTERN, UINT64_C(0x0101010101010101) * byte);
	CHECK(pwrite(s->dev, &cmd, 4, BAR(0) + DMATEST_COMMAND) == 4);
	CHECK(get32(s, DMATEST_STATUS) != DMATEST_STATUS_IDLE);
	return get32(s, DMATEST_ERROR);
}

static char *pages(unsigned int n)
{
	char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static bool all(const char *p, char byte)
{
	size_t i;

	for (i = 0; i < PAGE; i++)
		if (p[i] != byte)
			return false;
	return true;
}

/* Taken away in every way that there is: DMA fails, and what is there afterwards is not written to. */
static void taken_away(void)
{
	struct setup s = start();
	char *p, *q;
	unsigned int way;

	for (way = 0; way < 5; way++) {
		p = pages(3);
		map(&s, p, 3 * PAGE, IOVA);
		CHECK(fill(&s, IOVA + PAGE, PAGE, 0x11) == DMATEST_ERROR_NONE && all(p + PAGE, 0x11));
		q = p + PAGE;
		switch (way) {
		case 0:
			CHECK(munmap(q, PAGE) == 0);
			CHECK(fill(&s, IOVA + PAGE, PAGE, 0x22) == DMATEST_ERROR_DST_DMA);
			CHECK(mmap(q, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
				   0) == q);
			break;
		case 1:
			CHECK(mmap(q, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == q);
			break;
		case 2: /* moved away, and something else put there */
			CHECK(mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, pages(1)) != MAP_FAILED);
			CHECK(mmap(q, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
			break;
		case 3: /* overwritten by a move */
			CHECK(mremap(pages(1), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
			break;
		default: /* by a system call that no hook sees: nothing there, and nothing crashes */
			CHECK(syscall(SYS_munmap, q, PAGE) == 0);
			CHECK(fill(&s, IOVA + PAGE, PAGE, 0x22) == DMATEST_ERROR_DST_DMA);
			unmap(&s, 3 * PAGE, IOVA);
			continue;
		}
		CHECK(fill(&s, IOVA + PAGE, PAGE, 0x33) == DMATEST_ERROR_DST_DMA);
		if (way != 2)
			CHECK(all(q, 0));
		CHECK(fill(&s, IOVA, PAGE, 0x44) == DMATEST_ERROR_NONE && all(p, 0x44)); /* the neighbours stay */
		CHECK(fill(&s, IOVA + 2 * PAGE, PAGE, 0x55) == DMATEST_ERROR_NONE && all(p + 2 * PAGE, 0x55));
		unmap(&s, 3 * PAGE, IOVA);
		munmap(p, 3 * PAGE);
	}
}

/* A file that is cut short under its mapping: SIGBUS, in the middle of a copy. */
static void cut_short(void)
{
	struct setup s = start();
	int fd = memfd_create("file", 0);
	char *p;

	CHECK(ftruncate(fd, 2 * PAGE) == 0);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map(&s, p, 2 * PAGE, IOVA);
	CHECK(fill(&s, IOVA, 2 * PAGE, 0x11) == DMATEST_ERROR_NONE);
	CHECK(ftruncate(fd, PAGE) == 0);
	CHECK(fill(&s, IOVA + PAGE - 64, 128, 0x22) == DMATEST_ERROR_DST_DMA);
	CHECK(p[PAGE - 1] == 0x22 && p[0] == 0x11);
	CHECK(ftruncate(fd, 2 * PAGE) == 0); /* and back */
	CHECK(fill(&s, IOVA + PAGE, PAGE, 0x33) == DMATEST_ERROR_NONE && all(p + PAGE, 0x33));
}

/* Memory of the device itself as target, through a mapping of its BAR. */
static void peer(void)
{
	struct setup s = start();
	char *bar = mmap(NULL, DMATEST_BAR_LOCAL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s.dev, BAR(2));
	char byte = 0, two[2][2];
	struct iovec iov[2] = {{two[0], 2}, {two[1], 2}};

	CHECK(preadv(s.dev, iov, 2, CONFIG) == 4 && (uint8_t)two[0][0] == (DMATEST_PCI_VENDOR & 0xff) &&
	      (uint8_t)two[1][0] == (DMATEST_PCI_DEVICE & 0xff));
	CHECK(bar != MAP_FAILED);
	map(&s, bar, DMATEST_BAR_LOCAL_SIZE, IOVA);
	CHECK(fill(&s, IOVA + PAGE, PAGE, 0x5a) == DMATEST_ERROR_NONE && all(bar + PAGE, 0x5a));
	CHECK(pread(s.dev, &byte, 1, BAR(2) + PAGE) == 1 && byte == 0x5a);
	CHECK(munmap(bar, DMATEST_BAR_LOCAL_SIZE) == 0);
	CHECK(fill(&s, IOVA + PAGE, PAGE, 0x66) == DMATEST_ERROR_DST_DMA);
	CHECK(pread(s.dev, &byte, 1, BAR(2) + PAGE) == 1 && byte == 0x5a);
}

static volatile sig_atomic_t hits;

static void on_segv(int sig)
{
	(void)sig;
	hits++;
	_exit(hits == 1 ? 7 : 8);
}

static void *masked_fill(void *arg)
{
	const struct setup *s = arg;
	sigset_t all_signals;

	sigfillset(&all_signals);
	CHECK(pthread_sigmask(SIG_SETMASK, &all_signals, NULL) == 0);
	CHECK(fill(s, IOVA, PAGE, 0x77) == DMATEST_ERROR_DST_DMA);
	return NULL;
}

/* Bad DMA with the program's handler in place and every signal blocked; the handler still gets what is its own. */
static void handlers(void)
{
	struct setup s = start();
	char *p = pages(1);
	pthread_t thread;
	pid_t pid;

	CHECK(signal(SIGSEGV, on_segv) == SIG_DFL);
	map(&s, p, PAGE, IOVA);
	CHECK(syscall(SYS_munmap, p, PAGE) == 0);
	masked_fill(&s);
	CHECK(pthread_create(&thread, NULL, masked_fill, &s) == 0 && pthread_join(thread, NULL) == 0);
	CHECK(hits == 0);
	pid = fork();
	if (pid == 0) {
		*(volatile char *)p = 1;
		_exit(1);
	}
	wait_for(pid, 7);
}

/* Into the background with a bound device and mapped memory. */
static void background(void)
{
	int out[2];
	char byte = 0;
	pid_t pid;

	CHECK(pipe(out) == 0);
	pid = fork();
	if (pid == 0) {
		struct setup s = start();
		char *p = pages(2);

		map(&s, p, 2 * PAGE, IOVA);
		CHECK(fill(&s, IOVA, PAGE, 0x11) == DMATEST_ERROR_NONE);
		CHECK(daemon(1, 1) == 0);
		CHECK(munmap(p + PAGE, PAGE) == 0);
		CHECK(fill(&s, IOVA, PAGE, 0x22) == DMATEST_ERROR_NONE && all(p, 0x22));
		CHECK(fill(&s, IOVA + PAGE, PAGE, 0x22) == DMATEST_ERROR_DST_DMA);
		CHECK(write(out[1], "k", 1) == 1);
		_exit(0);
	}
	wait_for(pid, 0);
	close(out[1]);
	CHECK(read(out[0], &byte, 1) == 1 && byte == 'k');
}

static _Atomic bool stop;

static void *churn(void *arg)
{
	(void)arg;
	while (!stop) {
		char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		void *heap = malloc(300000);

		CHECK(p != MAP_FAILED && heap);
		p[5 * PAGE] = 1;
		CHECK(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + PAGE);
		free(heap);
		CHECK(munmap(p, 64 * PAGE) == 0);
	}
	return NULL;
}

static void *mapper(void *arg)
{
	const struct setup *s = arg;
	unsigned int i;

	for (i = 0; !stop; i++) {
		char *p = pages(16);
		uint64_t iova = IOVA * 2 + (i % 64) * 16 * PAGE;

		map(s, p, 16 * PAGE, iova);
		munmap(p, 16 * PAGE); /* under the live mapping */
		unmap(s, 16 * PAGE, iova);
	}
	return NULL;
}

/* DMA, mapping and memory coming and going, all at once: no deadlock, no lost mapping, and forks in between. */
static void all_at_once(void)
{
	struct setup s = start();
	pthread_t thread[3];
	unsigned int i;
	char *p = pages(16);

	map(&s, p, 16 * PAGE, IOVA);
	CHECK(pthread_create(&thread[0], NULL, churn, NULL) == 0);
	CHECK(pthread_create(&thread[1], NULL, churn, NULL) == 0);
	CHECK(pthread_create(&thread[2], NULL, mapper, &s) == 0);
	for (i = 0; i < 3000; i++) {
		CHECK(fill(&s, IOVA, 16 * PAGE, (uint8_t)i) == DMATEST_ERROR_NONE);
		CHECK(all(p + 15 * PAGE, (char)i));
		if (i % 100 == 50) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(munmap(p, PAGE));
			wait_for(pid, 0);
		}
	}
	stop = true;
	for (i = 0; i < 3; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
}

/* A process that only inherits is as good as one that opens; exit and close give the device back. */
static void give_back(void)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct setup s = start();

			if (i != 1) { /* once by exit, else by close */
				CHECK(close(s.dev) == 0 && close(s.iommu) == 0);
				start();
			}
			_exit(0);
		}
		wait_for(pid, 0);
	}
}

/*
 * The host holds a duplicate of an eventfd, since the program may close its own. A program that closes every number that it
 * did not open does not hit it: an interrupt would go into whatever file has the number next.
 */
static void own_numbers(void)
{
	/* struct vfio_irq_set and one descriptor behind it */
	int32_t irq[6] = {sizeof(irq), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			  VFIO_PCI_MSIX_IRQ_INDEX, 0, 1};
	uint32_t control = DMATEST_CONTROL_INT_EN;
	struct setup s = start();
	char *p = pages(1);
	uint64_t n = 0;
	int ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), fd;

	irq[5] = ev;
	CHECK(ev >= 0 && ioctl(s.dev, VFIO_DEVICE_SET_IRQS, irq) == 0);
	map(&s, p, PAGE, IOVA);
	for (fd = 3; fd < 1024; fd++)
		if (fd != s.iommu && fd != s.dev && fd != ev)
			close(fd);
	CHECK(pwrite(s.dev, &control, 4, BAR(0) + DMATEST_CONTROL) == 4);
	CHECK(fill(&s, IOVA, PAGE, 1) == DMATEST_ERROR_NONE);
	CHECK(read(ev, &n, sizeof(n)) == sizeof(n) && n == 1);
}

/* What our device nodes are made of is no memory: IOMMU_IOAS_MAP_FILE refuses them as Linux refuses any device. */
static void nodes_are_no_memory(void)
{
	struct setup s = start();
	struct iommu_ioas_map_file m = {.size = sizeof(m),
					.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
						 IOMMU_IOAS_MAP_READABLE,
					.ioas_id = s.ioas,
					.length = PAGE,
					.iova = IOVA};
	const int fds[] = {s.iommu, s.dev, open("/dev/iommu", O_RDWR | O_CLOEXEC), dup(s.dev)};
	unsigned int i;

	for (i = 0; i < 4; i++) {
		m.fd = fds[i];
		CHECK_ERR(ioctl(s.iommu, IOMMU_IOAS_MAP_FILE, &m), EINVAL);
	}
	m.fd = memfd_create("memory", MFD_CLOEXEC);
	CHECK(m.fd >= 0 && ftruncate(m.fd, PAGE) == 0);
	CHECK(ioctl(s.iommu, IOMMU_IOAS_MAP_FILE, &m) == 0);
}

int main(int argc, char **argv)
{
	static const struct prog_case cases[] = {
		{"taken-away", taken_away}, {"cut-short", cut_short},	  {"peer", peer},	    {"handlers", handlers},
		{"background", background}, {"all-at-once", all_at_once}, {"give-back", give_back},
		{"own-numbers", own_numbers}, {"faults", faults}, {"fault-thread", fault_thread}, {"fault-exit", fault_exit},
		{"nodes", nodes_are_no_memory},
		{"cmdqv", cmdqv}, {"cmdqv-forks", cmdqv_forks}, {"cmdqv-daemon", cmdqv_daemon},
		{0},
	};
	const struct prog_case *c;

	for (c = cases; argc == 2 && c->name; c++) {
		if (strcmp(c->name, argv[1]) == 0) {
			c->run();
			return 0;
		}
	}
	return 2;
}

void wait_for(pid_t pid, int want)
{
	int status = 0;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == want);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors: copies, reuse, closing, passing, transfers. */
#include "prog.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

static void copies(void)
{
	int a = open_iommu(), b = dup(a), c = fcntl(a, F_DUPFD_CLOEXEC, 100), d = dup2(a, 50), other = open_iommu();

	CHECK(b > a && c >= 100 && d == 50);
	CHECK(ioctl(a, FAKE_SET, 7) == 0);
	CHECK(ioctl(b, FAKE_GET) == 7 && ioctl(c, FAKE_GET) == 7 && ioctl(d, FAKE_GET) == 7);
	CHECK(ioctl(other, FAKE_GET) == 0); /* an open of its own */
	CHECK(close(a) == 0);
	CHECK(ioctl(c, FAKE_GET) == 7);
	CHECK(close(b) == 0 && close(d) == 0);
	CHECK(ioctl(c, FAKE_GET) == 7 && ioctl(c, FAKE_OPEN) == 2);
	CHECK(close(c) == 0);
	CHECK(ioctl(other, FAKE_OPEN) == 1); /* the last copy took the state along */
	CHECK_ERR(ioctl(c, FAKE_GET), EBADF);
}

static void reuse(void)
{
	int keep = open_iommu(), a = open_iommu(), b, pipes[2];
	char byte = 'x';

	CHECK(ioctl(keep, FAKE_GET) == 0);
	CHECK(ioctl(a, FAKE_SET, 7) == 0);
	CHECK(close(a) == 0);
	CHECK(pipe(pipes) == 0);
	CHECK(pipes[0] == a); /* the number is a pipe now, and behaves like one */
	CHECK(write(pipes[1], &byte, 1) == 1 && read(a, &byte, 1) == 1);
	CHECK_ERR(ioctl(a, FAKE_GET), ENOTTY);
	CHECK(close(a) == 0);
	b = open_iommu();
	CHECK(b == a && ioctl(b, FAKE_GET) == 0); /* and a new file after that */
	/* A close that no hook sees, then a copy at that number. */
	CHECK(read(b, &byte, 1) == -1 && errno == EINVAL);
	CHECK(dup2(open("/dev/null", O_RDWR), b) == b);
	CHECK(write(b, "yz", 2) == 2);
	CHECK(ioctl(keep, FAKE_OPEN) == 1);
	fclose(fdopen(b, "w"));
	CHECK(dup(keep) == b && ioctl(b, FAKE_SET, 9) == 0 && ioctl(keep, FAKE_GET) == 9);
}

/* A number known as foreign becomes ours by a copy. */
static void foreign_then_ours(void)
{
	int iommu = open_iommu(), dev = open_device(0), null = open("/dev/null", O_RDWR), copy;
	uint32_t v = 0x12345678, w = 0;

	CHECK(do_bind(dev, iommu) == 0);
	CHECK(pread(null, &w, 4, 0) == 0); /* remembered as foreign */
	CHECK(dup2(dev, null) == null);
	CHECK(pwrite(null, &v, 4, 16) == 4 && pread(dev, &w, 4, 16) == 4 && w == v);
	copy = fcntl(dev, F_DUPFD, 0);
	w = 0;
	CHECK(pread(copy, &w, 4, 16) == 4 && w == v); /* first use of a copy need not be an ioctl */
	/* closed by stdio, which no hook sees */
	null = open("/dev/null", O_RDWR);
	CHECK(pread(null, &w, 4, 0) == 0);
	fclose(fdopen(null, "r"));
	copy = dup(dev);
	w = 0;
	CHECK(copy == null && pread(copy, &w, 4, 16) == 4 && w == v);
}

static int pass(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
}

static int take(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fd;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static int pass_lie(int sock, int fd)
{
	char byte = 0;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_controllen = CMSG_SPACE(sizeof(int))};
	struct cmsghdr *c;
	/* the last bytes before unmapped memory */
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED && munmap(p + 4096, 4096) == 0);
	msg.msg_control = p + 4096 - CMSG_SPACE(sizeof(int));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = 1 << 20;
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
}

static void scm_rights_to_self(void)
{
	int iommu = open_iommu(), dev = open_device(1), sock[2], far;
	uint32_t v = 5, w = 0;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sock) == 0);
	CHECK(do_bind(dev, iommu) == 0 && pwrite(dev, &v, 4, 0) == 4);
	CHECK(pass(sock[0], dev) == 0);
	CHECK(close(dev) == 0); /* in flight, and nowhere else */
	CHECK(ioctl(iommu, FAKE_OPEN) == 2);
	far = take(sock[1]);
	CHECK(far >= 0);
	CHECK(pread(far, &w, 4, 0) == 4 && w == 5); /* still bound */
	CHECK(close(far) == 0);
	CHECK(ioctl(iommu, FAKE_OPEN) == 1); /* it arrived, so it can go */
	/* A message whose inner length is a lie is the kernel's to refuse. */
	CHECK(pass_lie(sock[0], iommu) == -1 && errno == EINVAL);
	/* Unused before it is sent: no state, nothing to keep. */
	dev = open_device(1);
	CHECK(pass(sock[0], dev) == 0 && close(dev) == 0);
	far = take(sock[1]);
	CHECK(do_bind(far, iommu) == 0);
}

static void identity(void)
{
	int iommu = open_iommu(), dev = open_device(1), flags;
	struct stat st, path_st;
	struct statx sx;

	CHECK(fstat(dev, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(511, 1));
	CHECK(stat("/dev/vfio/devices/vfio1", &path_st) == 0 && path_st.st_rdev == st.st_rdev && S_ISCHR(path_st.st_mode));
	CHECK(fstat(iommu, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == 10);
	CHECK(fstatat(dev, "", &st, AT_EMPTY_PATH) == 0 && S_ISCHR(st.st_mode));
	CHECK(statx(dev, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) == 0 && S_ISCHR(sx.stx_mode) &&
	      sx.stx_rdev_major == 511 && sx.stx_rdev_minor == 1);
	CHECK(fcntl(dev, F_GETFD) == FD_CLOEXEC);
	CHECK(close(dev) == 0);
	dev = open("/dev/vfio/devices/vfio1", O_RDWR | O_NONBLOCK);
	flags = fcntl(dev, F_GETFL);
	CHECK((flags & O_NONBLOCK) && (flags & O_ACCMODE) == O_RDWR && fcntl(dev, F_GETFD) == 0);
	CHECK(ftruncate(dev, 0) == -1);
	CHECK(do_bind(dev, iommu) == 0);
	CHECK_ERR(open("/dev/iommu", O_RDWR | O_DIRECTORY), ENOTDIR);
	CHECK_ERR(open("/dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_ERR(open("/dev/vfio/devices/vfio7", O_RDWR), ENOENT);
}

static void transfers(void)
{
	int iommu = open_iommu(), dev = open_device(0);
	struct iovec iov[2];
	volatile int many = 2000;
	uint64_t a = 1, b = 2, c = 0, d = 0;
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK_ERR(pread(dev, &a, 8, 0), EINVAL); /* before BIND */
	CHECK(do_bind(dev, iommu) == 0);
	CHECK_ERR(do_bind(dev, iommu), EINVAL);
	iov[0] = (struct iovec){&a, 8}, iov[1] = (struct iovec){&b, 8};
	CHECK(pwritev(dev, iov, 2, 32) == 16);
	CHECK(pread(dev, &c, 8, 40) == 8 && c == 2);
	iov[0] = (struct iovec){&c, 8}, iov[1] = (struct iovec){&d, 8};
	CHECK(preadv(dev, iov, 2, 32) == 16 && c == 1 && d == 2);
	/* The position belongs to the open file, as with the kernel's. */
	CHECK(lseek(dup(dev), 40, SEEK_SET) == 40);
	CHECK(read(dev, &d, 8) == 8 && d == 2 && lseek(dev, 0, SEEK_CUR) == 48);
	CHECK(write(dev, &a, 8) == 8 && pread(dev, &d, 8, 48) == 8 && d == 1);
	CHECK_ERR(pread(dev, &a, 8, -1), EINVAL);
	CHECK_ERR(pread(dev, bad, 8, 0), EFAULT);
	CHECK_ERR(preadv(dev, (struct iovec *)(void *)bad, 1, 0), EFAULT);
	CHECK_ERR(preadv(dev, iov, many, 0), EINVAL);
	CHECK(preadv(dev, iov, 0, 0) == 0);
	CHECK_ERR(read(iommu, &a, 8), EINVAL);
	CHECK_ERR(ioctl(dev, 0x3bff, 0), ENOTTY);
	CHECK_ERR(mmap(NULL, 4096, PROT_READ, MAP_SHARED, iommu, 0) == MAP_FAILED ? -1 : 0, ENXIO);
	errno = 77; /* a call that succeeds leaves it alone */
	CHECK(pread(dev, &d, 8, 48) == 8 && ioctl(dev, FAKE_GET) == 0 && errno == 77);
}

static void bind_errors(void)
{
	int iommu = open_iommu(), dev = open_device(0), again = open_device(0), null = open("/dev/null", O_RDWR);

	CHECK_ERR(do_bind(dev, 999), EBADF);
	CHECK_ERR(do_bind(dev, null), EBADFD);
	CHECK_ERR(do_bind(dev, dev), EBADFD);
	CHECK_ERR(ioctl(dev, FAKE_BIND, (void *)16), EFAULT);
	CHECK(do_bind(dev, iommu) == 0);
	CHECK_ERR(do_bind(again, iommu), EINVAL);
	CHECK(close(dev) == 0 && do_bind(again, iommu) == 0);
	/* Unnoticed closes are found at the next open. */
	fclose(fdopen(again, "r+"));
	dev = open_device(0);
	CHECK(do_bind(dev, iommu) == 0);
}

static void bar_mapping(void)
{
	int iommu = open_iommu(), dev = open_device(0);
	char *space = mmap(NULL, 0x8000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *bar, *twice;

	CHECK(do_bind(dev, iommu) == 0);
	bar = mmap(space + 0x2000, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, dev, FAKE_BAR2 + 0x1000);
	CHECK(bar == space + 0x2000);
	twice = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE, MAP_SHARED, dev, FAKE_BAR2);
	CHECK(twice != MAP_FAILED);
	strcpy(bar, "bar");
	CHECK(strcmp(twice + 0x1000, "bar") == 0);
	CHECK(mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, dev, 0) == MAP_FAILED && errno == EINVAL);
	/* A mapping outlives its descriptors. */
	CHECK(close(dev) == 0);
	strcpy(bar, "still");
	CHECK(strcmp(twice + 0x1000, "still") == 0);
}

/* Pages of an iommufd: the host knows as long as they are mapped. */
static void iommu_mapping(void)
{
	int iommu = open_iommu(), dev = open_device(0);
	char *space = mmap(NULL, 0x8000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p, *bar;

	CHECK(do_bind(dev, iommu) == 0);
	CHECK(mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, iommu, FAKE_PAGES) == MAP_FAILED && errno == ENXIO);
	CHECK(mmap(NULL, 0x2000, PROT_READ, MAP_PRIVATE, iommu, FAKE_PAGES) == MAP_FAILED && errno == ENXIO);
	CHECK(ioctl(iommu, FAKE_MAPPED) == 0);
	/* The length is in whole pages by the time that the host sees it. */
	p = mmap(NULL, 0x1001, PROT_READ | PROT_WRITE, MAP_SHARED, iommu, FAKE_PAGES);
	CHECK(p != MAP_FAILED && ioctl(iommu, FAKE_MAPPED) == 1);
	bar = mmap(NULL, 0x4000, PROT_READ, MAP_SHARED, dev, FAKE_BAR2);
	strcpy(p, "page");
	CHECK(strcmp(bar + 0x1000, "page") == 0);
	CHECK(munmap(p, 0x2000) == 0 && ioctl(iommu, FAKE_MAPPED) == 0);
	/* The system refuses what the host allowed: nothing is mapped. */
	CHECK(mmap(space + 1, 0x2000, PROT_READ, MAP_SHARED | MAP_FIXED, iommu, FAKE_PAGES) == MAP_FAILED && errno == EINVAL);
	CHECK(ioctl(iommu, FAKE_MAPPED) == 0);
	/* Something else takes the place. */
	p = mmap(space, 0x2000, PROT_READ, MAP_SHARED | MAP_FIXED, iommu, FAKE_PAGES);
	CHECK(p == space && ioctl(iommu, FAKE_MAPPED) == 1);
	CHECK(mmap(space, 0x8000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == space);
	CHECK(ioctl(iommu, FAKE_MAPPED) == 0);
}

/* What the library opened for itself is not the program's to close. */
static void close_all(void)
{
	int iommu = open_iommu(), fd;

	CHECK(ioctl(iommu, FAKE_SET, 3) == 0); /* lock file, socket and log are open now */
	for (fd = 3; fd < 1024; fd++)
		if (fd != iommu)
			close(fd);
	CHECK(ioctl(iommu, FAKE_GET) == 3);
	for (fd = 3; fd < 1024; fd++)
		if (fd != iommu)
			CHECK(dup2(2, fd) == fd || errno == EBUSY);
	CHECK(ioctl(iommu, FAKE_GET) == 3);
	closefrom(iommu + 1);
	CHECK(ioctl(iommu, FAKE_GET) == 3);
	fd = open_device(0);
	CHECK(do_bind(fd, iommu) == 0);
	closefrom(3);
	CHECK_ERR(fcntl(iommu, F_GETFD), EBADF);
	iommu = open_iommu();
	CHECK(ioctl(iommu, FAKE_GET) == 0 && ioctl(iommu, FAKE_OPEN) == 1);
}

static void stdio(void)
{
	FILE *f = fopen("/dev/iommu", "r+e");

	CHECK(f);
	CHECK(ioctl(fileno(f), FAKE_SET, 4) == 0 && ioctl(fileno(f), FAKE_GET) == 4);
	fclose(f);
	CHECK(ioctl(open_iommu(), FAKE_OPEN) == 1);
}

const struct prog_case fd_cases[] = {
	{"copies", copies},
	{"reuse", reuse},
	{"foreign-then-ours", foreign_then_ours},
	{"scm-rights-to-self", scm_rights_to_self},
	{"identity", identity},
	{"transfers", transfers},
	{"bind-errors", bind_errors},
	{"bar-mapping", bar_mapping},
	{"iommu-mapping", iommu_mapping},
	{"close-all", close_all},
	{"stdio", stdio},
	{0},
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* The descriptor of a fault queue: what programs do with one, and who may. */
#include "prog.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int open_queue(int iommu)
{
	int fd = ioctl(iommu, FAKE_FAULT, 0);

	CHECK(fd >= 0);
	return fd;
}

static short polled(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI};

	CHECK(poll(&p, 1, 0) == 1); /* always writable */
	return p.revents;
}

static void queue(void)
{
	int iommu = open_iommu(), q = open_queue(iommu), ep = epoll_create1(EPOLL_CLOEXEC), copy, dev;
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	char a[8] = "", b[8] = "", ab[] = "abcd", *volatile nowhere = NULL;
	struct iovec out[2] = {{ab, 2}, {ab + 2, 2}}, in[2] = {{a, 8}, {b, 8}};
	struct stat st;
	struct statx sx;

	/* As Linux's: the lowest number, close-on-exec, an inode without a type, a stream. */
	copy = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK(copy > q && ep > q && close(copy) == 0);
	CHECK(fcntl(q, F_GETFD) == FD_CLOEXEC);
	CHECK(fstat(q, &st) == 0 && st.st_mode == 0600 && st.st_rdev == 0);
	CHECK(statx(q, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) == 0 && sx.stx_mode == 0600);
	CHECK_ERR(lseek(q, 0, SEEK_SET), ESPIPE);
	CHECK_ERR(pread(q, a, 8, 0), ESPIPE);
	CHECK_ERR(pwrite(q, a, 8, 8), ESPIPE);
	CHECK_ERR(preadv(q, in, 2, 0), ESPIPE);
	CHECK_ERR(pread(q, a, 8, -1), EINVAL);
	CHECK_ERR(ioctl(q, FAKE_GET, 0), ENOTTY);
	dev = open_device(0);
	CHECK_ERR(do_bind(dev, q), EBADFD);
	CHECK(close(dev) == 0);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, q, 0) == MAP_FAILED && errno == ENODEV);
	/* Nothing there: a read is empty and does not block. */
	CHECK(read(q, a, 8) == 0);
	CHECK(polled(q) == POLLOUT);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, q, &ev) == 0);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
	CHECK(write(q, "x", 1) == 1);
	CHECK(epoll_wait(ep, &ev, 1, 1000) == 1 && (ev.events & EPOLLIN));
	CHECK(polled(q) == (POLLIN | POLLOUT));
	CHECK_ERR(read(q, nowhere, 8), EFAULT);
	CHECK(polled(q) == (POLLIN | POLLOUT));
	CHECK(read(q, a, 8) == 1 && a[0] == 'x');
	CHECK(polled(q) == POLLOUT);
	CHECK(read(q, a, 8) == 0);
	/* Vectors, and a second edge. */
	CHECK(writev(q, out, 2) == 4);
	CHECK(epoll_wait(ep, &ev, 1, 1000) == 1);
	CHECK(readv(q, in, 2) == 4 && memcmp(a, "abcd", 4) == 0);
	CHECK(polled(q) == POLLOUT);
	/* Copies are the same file; it goes with the last. */
	copy = dup(q);
	CHECK(copy >= 0 && write(copy, "y", 1) == 1 && polled(q) == (POLLIN | POLLOUT));
	CHECK(fstat(copy, &st) == 0 && st.st_mode == 0600);
	CHECK(ioctl(iommu, FAKE_OPEN, 0) == 2);
	CHECK(close(q) == 0 && ioctl(iommu, FAKE_OPEN, 0) == 2);
	CHECK(read(copy, a, 8) == 1 && a[0] == 'y');
	CHECK(close(copy) == 0 && ioctl(iommu, FAKE_OPEN, 0) == 1);
	CHECK_ERR(read(copy, a, 8), EBADF);
	/* A call that failed after all leaves no number behind. */
	copy = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK(close(copy) == 0);
	CHECK_ERR(ioctl(iommu, FAKE_ABORT, 0), EFAULT);
	CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) == copy);
}

static void send_fd(int s, int fd)
{
	union {
		struct cmsghdr c;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = {.c = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
	char byte = 'f';
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)};

	memcpy(CMSG_DATA(&u.c), &fd, sizeof(fd));
	CHECK(sendmsg(s, &m, 0) == 1);
}

static int receive_fd(int s)
{
	union {
		struct cmsghdr c;
		char buf[CMSG_SPACE(sizeof(int))];
	} u;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)};
	int fd;

	CHECK(recvmsg(s, &m, MSG_CMSG_CLOEXEC) == 1 && m.msg_controllen >= CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(&u.c), sizeof(fd));
	return fd;
}

/* A fork's child, and a process that never saw it made: refused, told why, and nothing blocks. Sockets stay sockets. */
/* The other kind takes no writes: it is never ready for one. */
static void event_queue(void)
{
	int iommu = open_iommu(), q = ioctl(iommu, FAKE_FAULT, 1);
	struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT | POLLPRI};
	char a[8];

	CHECK(q >= 0 && poll(&p, 1, 0) == 0);
	CHECK(write(q, "ab", 2) == 2); /* the host's business: the fake one puts it into the queue */
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	CHECK(read(q, a, sizeof(a)) == 2 && poll(&p, 1, 0) == 0);
	CHECK(close(q) == 0);
}

static void queue_of_another(void)
{
	int iommu = open_iommu(), q = open_queue(iommu), s[2], sent;
	char byte = 0;
	struct stat st;
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	/* To oneself, with no number left in between. */
	CHECK(write(q, "w", 1) == 1);
	send_fd(s[0], q);
	CHECK(close(q) == 0);
	q = receive_fd(s[1]);
	CHECK(read(q, &byte, 1) == 1 && byte == 'w');
	CHECK(close(q) == 0 && ioctl(iommu, FAKE_OPEN, 0) == 1);
	q = open_queue(iommu);
	CHECK(fstat(s[0], &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK(write(s[0], "z", 1) == 1 && read(s[1], &byte, 1) == 1 && byte == 'z');
	pid = fork();
	if (pid == 0) {
		char num[2][16];

		CHECK_ERR(read(q, &byte, 1), EPERM);
		CHECK_ERR(write(q, &byte, 1), EPERM);
		snprintf(num[0], sizeof(num[0]), "%d", s[1]);
		snprintf(num[1], sizeof(num[1]), "%d", open_iommu());
		execl("/proc/self/exe", "prog", "queue-by-message", num[0], num[1], (char *)NULL);
		_exit(3);
	}
	/* Under way in a message it is open. */
	sent = dup(q);
	send_fd(s[0], sent);
	CHECK(close(sent) == 0);
	wait_for(pid, 0);
	CHECK(write(q, "x", 1) == 1 && read(q, &byte, 1) == 1);
	CHECK(ioctl(iommu, FAKE_OPEN, 0) == 2);
}

/* The helper: nothing is known of the other process's state in this image. */
static void queue_by_message(void)
{
	int q = receive_fd(atoi(prog_argv[1])), iommu = open_iommu();
	struct stat st;
	char byte;

	CHECK(ioctl(iommu, FAKE_SET, 1) == 0); /* has met the virtual host */
	CHECK(fstat(q, &st) == 0 && st.st_mode == 0600);
	CHECK_ERR(read(q, &byte, 1), EPERM);
	CHECK(close(q) == 0);
}

/* Into the background: the queue goes along, readable as it was. */
static void queue_daemon(void)
{
	int out[2];
	char byte = 0;
	pid_t pid;

	CHECK(pipe(out) == 0);
	pid = fork();
	if (pid == 0) {
		int iommu = open_iommu(), q = open_queue(iommu);

		CHECK(write(q, "x", 1) == 1);
		CHECK(daemon(1, 1) == 0);
		CHECK(polled(q) == (POLLIN | POLLOUT));
		CHECK(read(q, &byte, 1) == 1 && byte == 'x' && polled(q) == POLLOUT);
		CHECK(close(q) == 0 && ioctl(iommu, FAKE_OPEN, 0) == 1);
		CHECK(write(out[1], "k", 1) == 1);
		_exit(0);
	}
	wait_for(pid, 0);
	close(out[1]);
	CHECK(read(out[0], &byte, 1) == 1 && byte == 'k');
}

/* The program closes every number it can; the queue's own copies stay, so that it can still be told. */
static void queue_own_numbers(void)
{
	int iommu = open_iommu(), q = open_queue(iommu), fd;
	char byte;

	for (fd = 3; fd < 2048; fd++)
		if (fd != iommu && fd != q)
			close(fd);
	CHECK(write(q, "x", 1) == 1 && polled(q) == (POLLIN | POLLOUT));
	CHECK(read(q, &byte, 1) == 1 && polled(q) == POLLOUT);
	CHECK(close_range(3, ~0u, 0) == 0);
	iommu = open_iommu();
	CHECK(ioctl(iommu, FAKE_OPEN, 0) == 1);
}

const struct prog_case fault_cases[] = {
	{"queue", queue}, {"event-queue", event_queue}, {"queue-of-another", queue_of_another}, {"queue-by-message", queue_by_message},
	{"queue-daemon", queue_daemon}, {"queue-own-numbers", queue_own_numbers}, {0},
};

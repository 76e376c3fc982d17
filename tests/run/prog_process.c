/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes: fork, exec, going into the background, two users, sandboxes, the control socket. */
#include "prog.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

static void exec_self(const char *name, int a, int b)
{
	char one[16], two[16];

	snprintf(one, sizeof(one), "%d", a);
	snprintf(two, sizeof(two), "%d", b);
	execl("/proc/self/exe", "prog", name, one, two, (char *)NULL);
	_exit(3);
}

static void keep_over_exec(int fd)
{
	CHECK(fcntl(fd, F_SETFD, 0) == 0);
}

/* The helper of the two below: descriptors came as numbers, and look and work right from the start. */
static void use_inherited(void)
{
	int iommu = atoi(prog_argv[1]), dev = atoi(prog_argv[2]);
	struct stat st;
	uint32_t v = 9, w = 0;

	CHECK(fstat(dev, &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(do_bind(dev, iommu) == 0);
	CHECK(pwrite(dev, &v, 4, 8) == 4 && pread(dev, &w, 4, 8) == 4 && w == 9);
}

static void opened_by_launcher(void)
{
	int iommu = open_iommu(), dev = open_device(0);
	pid_t pid;

	keep_over_exec(iommu);
	keep_over_exec(dev);
	pid = fork();
	if (pid == 0)
		exec_self("use-inherited", iommu, dev);
	wait_for(pid, 0);
	/* The user is gone, its state too: the next may have a turn. */
	CHECK(do_bind(dev, iommu) == 0);
}

static void exec_in_place(void)
{
	int iommu = open_iommu(), dev = open_device(0);

	keep_over_exec(iommu);
	keep_over_exec(dev);
	CHECK(do_bind(dev, iommu) == 0 && ioctl(iommu, FAKE_SET, 1) == 0);
	exec_self("use-inherited", iommu, dev); /* the old image's state is gone with it */
}

/* Without the library a descriptor is a file like any other, and stays usable for those who have it. */
static void exec_without_library(void)
{
	int iommu = open_iommu(), status;
	char cmd[128];
	pid_t pid;

	keep_over_exec(iommu);
	CHECK(ioctl(iommu, FAKE_SET, 6) == 0);
	snprintf(cmd, sizeof(cmd), "exec 9>&%d; exec 9>&-; test -e /dev/null && ! test -e /dev/iommu", iommu);
	pid = fork();
	if (pid == 0) {
		char *const env[] = {NULL};

		execle("/bin/sh", "sh", "-c", cmd, (char *)NULL, env);
		_exit(3);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(ioctl(iommu, FAKE_GET) == 6);
}

static void two_users(void)
{
	int iommu = open_iommu(), other = open_iommu();
	pid_t pid;

	CHECK(ioctl(iommu, FAKE_SET, 5) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK_ERR(ioctl(iommu, FAKE_GET), EPERM); /* the parent's */
		CHECK(ioctl(other, FAKE_SET, 8) == 0);	   /* nobody's so far */
		CHECK(ioctl(open_iommu(), FAKE_GET) == 0);
		_exit(0);
	}
	wait_for(pid, 0);
	CHECK(ioctl(iommu, FAKE_GET) == 5);
	CHECK(ioctl(other, FAKE_GET) == 0); /* the child took its state along */
}

static void two_processes_one_device(void)
{
	int to[2], from[2], iommu, dev;
	char byte;
	pid_t pid;

	CHECK(pipe(to) == 0 && pipe(from) == 0);
	pid = fork();
	if (pid == 0) {
		dev = open_device(0);
		CHECK(do_bind(dev, open_iommu()) == 0);
		CHECK(write(from[1], "b", 1) == 1 && read(to[0], &byte, 1) == 1);
		_exit(0);
	}
	CHECK(read(from[0], &byte, 1) == 1);
	iommu = open_iommu();
	dev = open_device(0);
	CHECK_ERR(do_bind(dev, iommu), EINVAL);
	CHECK(do_bind(open_device(1), iommu) == 0); /* another device is free */
	CHECK(write(to[1], "x", 1) == 1);
	wait_for(pid, 0);
	CHECK(do_bind(dev, iommu) == 0);
	/* What was closed, and what was never bound after all, is free. */
	CHECK(close(dev) == 0);
	dev = open_device(0);
	CHECK_ERR(do_bind(dev, 999), EBADF);
	pid = fork();
	if (pid == 0) {
		CHECK(do_bind(open_device(0), open_iommu()) == 0);
		_exit(0);
	}
	wait_for(pid, 0);
	CHECK(do_bind(dev, iommu) == 0 && close(dev) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK(do_bind(open_device(0), open_iommu()) == 0);
		_exit(0);
	}
	wait_for(pid, 0);
}

/* A parent that exits right after fork: daemon(3). The child goes on with what it had. */
static void daemonise(void)
{
	int iommu = open_iommu(), dev = open_device(0), done[2];
	uint32_t v = 77, w = 0;
	char byte = 0;
	pid_t pid;

	CHECK(pipe(done) == 0);
	CHECK(do_bind(dev, iommu) == 0 && pwrite(dev, &v, 4, 0) == 4 && ioctl(iommu, FAKE_SET, 5) == 0);
	pid = fork(); /* so that the case can wait for the daemon */
	if (pid == 0) {
		/* state of ours is the parent's: make our own and take that into the background */
		iommu = open_iommu();
		dev = open_device(1);
		CHECK(do_bind(dev, iommu) == 0 && pwrite(dev, &v, 4, 0) == 4 && ioctl(iommu, FAKE_SET, 6) == 0);
		CHECK(daemon(0, 1) == 0);
		CHECK(ioctl(iommu, FAKE_GET) == 6);
		CHECK(pread(dev, &w, 4, 0) == 4 && w == 77);
		CHECK(write(done[1], "d", 1) == 1);
		/* and it still owns the device while it lives */
		sleep(1);
		_exit(0);
	}
	wait_for(pid, 0);
	CHECK(read(done[0], &byte, 1) == 1 && byte == 'd');
	CHECK(ioctl(iommu, FAKE_GET) == 5);
	CHECK_ERR(do_bind(open_device(1), iommu), EINVAL);
	sleep(2);
	CHECK(do_bind(open_device(1), iommu) == 0);
}

/*
 * The parent used the file after the fork: the child's copy is out of date for good, whether the parent has closed the file
 * since or is gone altogether.
 */
static void stale_copy_of(bool parent_exits)
{
	int go[2], back[2], iommu;
	char byte = 0;
	pid_t pid;

	CHECK(pipe(go) == 0 && pipe(back) == 0);
	pid = fork();
	if (pid == 0) {
		iommu = open_iommu();
		CHECK(ioctl(iommu, FAKE_SET, 5) == 0);
		if (fork() == 0) {
			CHECK(read(go[0], &byte, 1) == 1);
			CHECK_ERR(ioctl(iommu, FAKE_GET), EPERM);
			CHECK_ERR(ioctl(iommu, FAKE_GET), EPERM);
			CHECK(ioctl(open_iommu(), FAKE_GET) == 0); /* a new one is fine */
			CHECK(write(back[1], "k", 1) == 1);
			_exit(0);
		}
		CHECK(ioctl(iommu, FAKE_SET, 6) == 0);
		if (!parent_exits)
			CHECK(close(iommu) == 0); /* nobody's now */
		CHECK(write(go[1], "g", 1) == 1);
		if (!parent_exits)
			CHECK(wait(NULL) > 0);
		_exit(0);
	}
	wait_for(pid, 0);
	close(back[1]);
	CHECK(read(back[0], &byte, 1) == 1 && byte == 'k');
}

static void stale_copy(void)
{
	stale_copy_of(false);
	stale_copy_of(true);
}

static void *sleeper(void *arg)
{
	ioctl((int)(intptr_t)arg, FAKE_SLEEP, 300);
	return NULL;
}

/* A fork while another thread is inside the host: the copy may hold locks, so nobody touches it. */
static void fork_amid_call(void)
{
	int iommu, out[2];
	pthread_t thread;
	char byte = 0;
	pid_t pid;

	CHECK(pipe(out) == 0);
	pid = fork();
	if (pid == 0) {
		void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		iommu = open_iommu();
		CHECK(ioctl(iommu, FAKE_SET, 5) == 0);
		CHECK(pthread_create(&thread, NULL, sleeper, (void *)(intptr_t)iommu) == 0);
		usleep(100000);
		if (fork() > 0)
			_exit(0);
		CHECK(munmap(p, 4096) == 0); /* does not wait for a lock that nobody gives back */
		CHECK_ERR(ioctl(iommu, FAKE_GET), EPERM);
		CHECK(ioctl(open_iommu(), FAKE_GET) == 0);
		CHECK(write(out[1], "k", 1) == 1);
		_exit(0);
	}
	wait_for(pid, 0);
	close(out[1]);
	CHECK(read(out[0], &byte, 1) == 1 && byte == 'k');
}

static _Atomic bool stop_filling;

static void *filler(void *arg)
{
	volatile int pause;

	while (!stop_filling) {
		CHECK(ioctl((int)(intptr_t)arg, FAKE_FILL, 4096) == 0);
		for (pause = 0; pause < 20000; pause++) /* as long outside as inside */
			;
	}
	return NULL;
}

/* The same, many times and at no particular moment. */
static void fork_race(void)
{
	int iommu = open_iommu(), i;
	pthread_t thread[2];

	CHECK(ioctl(iommu, FAKE_GET) == 0);
	for (i = 0; i < 2; i++)
		CHECK(pthread_create(&thread[i], NULL, filler, (void *)(intptr_t)iommu) == 0);
	for (i = 0; i < 2500; i++) {
		void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pid_t pid = fork();

		if (pid == 0) {
			alarm(10); /* SIGALRM rather than a hang */
			_exit(munmap(p, 4096));
		}
		wait_for(pid, 0);
		CHECK(munmap(p, 4096) == 0);
	}
	stop_filling = true;
	for (i = 0; i < 2; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
}

/* A vfork's child closes what it does not want to hand on; that must not touch us. */
static void vfork_closes(void)
{
	int iommu = open_iommu();
	pid_t pid;

	CHECK(ioctl(iommu, FAKE_SET, 5) == 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	pid = vfork();
#pragma GCC diagnostic pop
	if (pid == 0) {
		close(iommu);
		execl("/bin/true", "true", (char *)NULL);
		_exit(3);
	}
	wait_for(pid, 0);
	CHECK(ioctl(iommu, FAKE_GET) == 5);
	CHECK(close(iommu) == 0);
	CHECK(ioctl(open_iommu(), FAKE_OPEN) == 1);
}

static void forbid(const int *calls, size_t n, unsigned int action)
{
	struct sock_filter code[64];
	struct sock_fprog fprog = {.filter = code};
	unsigned short at = 0;
	size_t i;

	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (i = 0; i < n; i++) {
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)calls[i], 0, 1);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	fprog.len = at;
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog) == 0);
}

/* Locked in before the first use: no threads, no sockets. There is no control socket then, and nothing else is missing. */
static void sandbox_before(void)
{
	static const int calls[] = {SYS_socket, SYS_bind,  SYS_clone,	SYS_clone3, SYS_execve,
				    SYS_fork,	SYS_vfork, SYS_membarrier};
	int iommu, dev;

	forbid(calls, sizeof(calls) / sizeof(calls[0]), SECCOMP_RET_ERRNO | EPERM);
	iommu = open_iommu();
	dev = open_device(0);
	CHECK(do_bind(dev, iommu) == 0 && ioctl(iommu, FAKE_SET, 5) == 0 && ioctl(iommu, FAKE_GET) == 5);
	CHECK(ioctl(iommu, FAKE_LOAD, 4096) == -1 && errno == EFAULT);
}

/* Locked in after the first use, and killed for anything that opens a file. */
static void sandbox_after(void)
{
	static const int calls[] = {SYS_open, SYS_openat, SYS_openat2, SYS_socket, SYS_clone, SYS_clone3, SYS_memfd_create};
	int iommu = open_iommu(), dev = open_device(0);
	uint32_t v = 4;
	void *p;

	CHECK(do_bind(dev, iommu) == 0);
	forbid(calls, sizeof(calls) / sizeof(calls[0]), SECCOMP_RET_KILL_PROCESS);
	CHECK(ioctl(iommu, FAKE_SET, 5) == 0 && ioctl(iommu, FAKE_GET) == 5);
	CHECK(pwrite(dev, &v, 4, 0) == 4 && pread(dev, &v, 4, 0) == 4);
	p = mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, dev, FAKE_BAR2);
	CHECK(p != MAP_FAILED && munmap(p, 0x1000) == 0);
	CHECK(ioctl(iommu, FAKE_LOAD, 4096) == -1 && errno == EFAULT);
}

static void ask(const char *line, char *answer, size_t size)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t len = 0;
	ssize_t n;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/control.%d", getenv("NESTBOX_RUN"), (int)getpid());
	CHECK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	CHECK(write(fd, line, strlen(line)) == (ssize_t)strlen(line));
	shutdown(fd, SHUT_WR);
	while ((n = read(fd, answer + len, size - 1 - len)) > 0)
		len += (size_t)n;
	answer[len] = 0;
	close(fd);
}

static void control(void)
{
	static const char *const bad[] = {
		"walk\n",	      "walk 0100 - 1000\n", "walk 0100 - 1000 q\n", "walk xx - 1000 r\n", "walk 0100 -5 0 r\n",
		"walk 0100 1048576 0 r\n", "walk 1:2:3 - 0 r\n", "walk 01:20.0 - 0 r\n", "walk 0100 - 1ffffffffffffffff r\n",
		"walk 0100 - 0 r w\n", "hello\n", "\n",
	};
	char text[65536];
	size_t i;

	CHECK(ioctl(open_iommu(), FAKE_GET) == 0);
	ask("walk 0100 - fffff000 rw\n", text, sizeof(text));
	CHECK(strncmp(text, "rid 0100 pasid ", 15) == 0 && strstr(text, "addr fffff000 access 3"));
	ask("walk 0000:01:00.0 17 0x1000 x\n", text, sizeof(text));
	CHECK(strcmp(text, "rid 0100 pasid 11 addr 1000 access 4\n") == 0);
	ask("walk 01:00.0 0x5 1000 r", text, sizeof(text));
	CHECK(strcmp(text, "rid 0100 pasid 5 addr 1000 access 1\n") == 0);
	ask("walk 02:00.0 - 0 r\n", text, sizeof(text));
	CHECK(strncmp(text, "error: ", 7) == 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask(bad[i], text, sizeof(text));
		CHECK(strncmp(text, "error: ", 7) == 0);
	}
	memset(text, 'a', 4096);
	text[4096] = 0;
	ask(text, text, sizeof(text)); /* too long: hung up on */
	ask("counters\n", text, sizeof(text));
	CHECK(strstr(text, "run.open 1\n"));
}

/* Counts of several processes add up; prog_run.py reads the file afterwards. */
static void counters(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		CHECK(ioctl(open_iommu(), FAKE_GET) == 0);
		CHECK(ioctl(open_iommu(), FAKE_GET) == 0);
		_exit(0);
	}
	CHECK(ioctl(open_iommu(), FAKE_GET) == 0);
	wait_for(pid, 0);
}

static void *racer(void *arg)
{
	int iommu = open_iommu(), dev = (int)(intptr_t)arg, i;

	for (i = 0; i < 200; i++) {
		int fd = dup(i & 1 ? iommu : dev);

		CHECK(fd >= 0);
		CHECK(ioctl(fd, FAKE_SET, i) == 0);
		CHECK(close(fd) == 0);
		fd = open_iommu();
		CHECK(ioctl(fd, FAKE_GET) == 0);
		CHECK(ioctl(iommu, FAKE_FILL, 65536) == 0);
		CHECK(close(fd) == 0);
	}
	CHECK(close(iommu) == 0);
	return NULL;
}

/* First use from many threads at once, and copies that come and go. */
static void threads(void)
{
	pthread_t thread[8];
	int dev = open_device(0), i;

	for (i = 0; i < 8; i++)
		CHECK(pthread_create(&thread[i], NULL, racer, (void *)(intptr_t)dev) == 0);
	for (i = 0; i < 8; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(ioctl(dev, FAKE_OPEN) == 1);
}

/* Without /proc, as in a bare chroot: descriptors are looked for one by one. */
static void no_proc(void)
{
	int iommu = open_iommu(), dev = open_device(0), spare = open_device(0), copy, i;
	char dir[] = "/tmp/nestbox-test-XXXXXX";

	CHECK(ioctl(iommu, FAKE_GET) == 0 && ioctl(dev, FAKE_SET, 4) == 0);
	CHECK(mkdtemp(dir) && chdir(dir) == 0 && rmdir(dir) == 0);
	if (chroot(".")) {
		CHECK(errno == EPERM); /* not root: nothing to be seen here */
		return;
	}
	CHECK_ERR(access("/proc", F_OK), ENOENT);
	copy = fcntl(dev, F_DUPFD, 900);
	CHECK(copy >= 900 && close(dev) == 0 && ioctl(copy, FAKE_GET) == 4 && ioctl(iommu, FAKE_OPEN) == 2);
	CHECK(close(copy) == 0 && ioctl(iommu, FAKE_OPEN) == 1);
	CHECK(do_bind(spare, iommu) == 0);
	for (i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			CHECK_ERR(ioctl(iommu, FAKE_GET), EPERM);
			_exit(0);
		}
		wait_for(pid, 0);
	}
}

const struct prog_case process_cases[] = {
	{"use-inherited", use_inherited},
	{"opened-by-launcher", opened_by_launcher},
	{"exec-in-place", exec_in_place},
	{"exec-without-library", exec_without_library},
	{"two-users", two_users},
	{"two-processes-one-device", two_processes_one_device},
	{"daemonise", daemonise},
	{"stale-copy", stale_copy},
	{"fork-amid-call", fork_amid_call},
	{"fork-race", fork_race},
	{"vfork-closes", vfork_closes},
	{"sandbox-before", sandbox_before},
	{"sandbox-after", sandbox_after},
	{"control", control},
	{"counters", counters},
	{"no-proc", no_proc},
	{"threads", threads},
	{0},
};

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox run`: start a program with the virtual host preloaded, wait for it, tell what it came to.
 *
 * The launcher waits for every process of the run, also for those that the program left in the background: they use
 * the run directory. Signals are taken one at a time with sigwaitinfo(2) and handed on, so the directory is removed
 * whatever happens but SIGKILL (and then by the next launcher).
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/command.h"
#include "cli/disk.h"
#include "cli/rundir.h"
#include "cli/summary.h"
#include "machine/desc_yaml.h"
#include "run/rundir.h"

static const char help[] =
	"usage: nestbox run [OPTION...] [--] COMMAND [ARGUMENT...]\n\n"
	"Runs COMMAND on a virtual host: it finds /dev/iommu, /dev/vfio/devices/* and the sysfs entries of a\n"
	"machine with nesting IOMMUs. Any program will do; QEMU must be 11.1 or newer.\n\n"
	"  --host NAME|FILE   built-in host, or a description in YAML (default: spr)\n"
	"  --log PATTERNS     log events to stderr, e.g. 'hw.fault,host.*'; also why calls were refused\n"
	"  --summary FILE     write the run's figures as JSON\n"
	"  --guest-log FILE   the guest's console: lines \"NB: key=value\" in it go into the summary\n"
	"  --force            run a QEMU that is too old; no failure when nesting is dropped\n\n"
	"The exit status is the command's; 128 + N when signal N ended it; 125, 126 or 127 when it did not start;\n"
	"123 when all went well but the nesting that was asked for was dropped.\n"
	"The manual is nestbox-run(1).\n";

struct options {
	const char *host, *log, *summary, *guest_log;
	bool force;
	char **command;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	enum { HELP = 'h', HOST = 256, LOG, SUMMARY, GUEST_LOG, FORCE };
	static const struct option longopts[] = {
		{"help", no_argument, NULL, HELP},
		{"host", required_argument, NULL, HOST},
		{"log", required_argument, NULL, LOG},
		{"summary", required_argument, NULL, SUMMARY},
		{"guest-log", required_argument, NULL, GUEST_LOG},
		{"force", no_argument, NULL, FORCE},
		{NULL, 0, NULL, 0},
	};
	int c;

	*o = (struct options){.host = "spr"};
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:h", longopts, NULL)) != -1) {
		switch (c) {
		case HELP:
			fputs(help, stdout);
			exit(CLI_OK);
		case HOST:
			o->host = optarg;
			break;
		case LOG:
			o->log = optarg;
			break;
		case SUMMARY:
			o->summary = optarg;
			break;
		case GUEST_LOG:
			o->guest_log = optarg;
			break;
		case FORCE:
			o->force = true;
			break;
		case ':':
			return cli_fail(CLI_USAGE, "%s needs a value (try nestbox run --help)", argv[optind - 1]);
		default:
			return cli_fail(CLI_USAGE, "run has no option %s (try nestbox run --help)", argv[optind - 1]);
		}
	}
	o->command = argv + optind;
	if (!o->command[0])
		return cli_fail(CLI_USAGE, "run needs a command (try nestbox run --help)");
	return 0;
}

static int check_patterns(const char *patterns, struct nb_diag *diag)
{
	struct nb_trace *tr = nb_trace_new(NULL);
	int err = tr ? nb_trace_log(tr, patterns, 2, diag) : nb_fail(diag, -ENOMEM, "out of memory");

	nb_trace_free(tr);
	return err;
}

/* In the build tree beside the command's directory, installed where the build was told. */
static int find_library(char path[PATH_MAX], struct nb_diag *diag)
{
	static const char *const places[] = {"../run/" NB_RUN_LIBRARY, NB_LIBRARY_FROM_BIN "/" NB_RUN_LIBRARY};
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	size_t i;

	if (n < 0)
		return nb_fail(diag, -errno, "cannot find myself: /proc/self/exe: %s", strerror(errno));
	exe[n] = 0;
	*strrchr(exe, '/') = 0;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char try[PATH_MAX];

		if ((size_t)snprintf(try, sizeof(try), "%s/%s", exe, places[i]) < sizeof(try) && realpath(try, path))
			break;
	}
	if (i == sizeof(places) / sizeof(places[0]))
		return nb_fail(diag, -ENOENT, "%s is neither in %s/../run nor in %s/%s; is nestbox installed whole?",
			       NB_RUN_LIBRARY, exe, exe, NB_LIBRARY_FROM_BIN);
	if (strpbrk(path, " :"))
		return nb_fail(diag, -EINVAL, "%s: the dynamic linker does not preload from a path with blanks or colons",
			       path);
	return 0;
}

static int set_environment(const struct options *o, const struct rundir *r, const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *preload = NULL;
	int err;

	if (asprintf(&preload, "%s%s%s", library, others && *others ? ":" : "", others ? others : "") < 0)
		return -ENOMEM;
	err = setenv("LD_PRELOAD", preload, 1) || setenv(NB_RUN_ENV_DIR, r->path, 1) ||
	      (o->log ? setenv(NB_RUN_ENV_LOG, o->log, 1) : unsetenv(NB_RUN_ENV_LOG));
	free(preload);
	return err ? -ENOMEM : 0;
}

/* The signals that the launcher takes: what asks it to end, and its children's. */
static void launcher_signals(sigset_t *set)
{
	static const int all[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
	size_t i;

	sigemptyset(set);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sigaddset(set, all[i]);
}

/* The program itself, or when it has ended what it left behind (our children now: we are their reaper). */
static void forward(pid_t pid, bool ended, int sig)
{
	char path[64];
	FILE *f;
	int child;

	if (!ended) {
		kill(pid, sig);
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		kill(child, sig);
	if (f)
		fclose(f);
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Until no process of the run is left. Returns the program's status. */
static int wait_for_all(pid_t pid, const sigset_t *set)
{
	bool ended = false;
	int result = 0;

	for (;;) {
		siginfo_t si;
		int status;
		pid_t got;

		while ((got = waitpid(-1, &status, WNOHANG)) > 0)
			if (got == pid) {
				ended = true;
				result = exit_status(status);
			}
		if (got < 0 && errno == ECHILD)
			return result;
		if (sigwaitinfo(set, &si) < 0 || si.si_signo == SIGCHLD)
			continue;
		/* What the terminal sends, it sends to the program as well. */
		if (si.si_code != SI_KERNEL)
			forward(pid, ended, si.si_signo);
	}
}

/* `mask` is the one that we were started with, and the program shall be. */
static int start_and_wait(const struct options *o, const struct command *c, const sigset_t *mask, int *result,
			  struct nb_diag *diag)
{
	sigset_t set;
	pid_t pid;
	int fds[2], err = 0;

	launcher_signals(&set);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would lose us the status */
	if (pipe2(fds, O_CLOEXEC))
		return nb_fail(diag, -errno, "cannot make a pipe: %s", strerror(errno));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		execv(c->path, o->command);
		if (errno == ENOEXEC && !c->elf)
			execvp(c->path, o->command); /* no search, the path has a '/': a script without "#!" */
		err = errno;
		_exit(write(fds[1], &err, sizeof(err)) == sizeof(err) ? CLI_CANNOT_RUN : CLI_NO_HOST);
	}
	close(fds[1]);
	if (pid < 0) {
		err = nb_fail(diag, -errno, "cannot start a process: %s", strerror(errno));
	} else {
		signal(SIGPIPE, SIG_IGN); /* a reader who left must not keep us from cleaning up */
		/* Ends when the program has been executed, or brings the reason why not. */
		if (read(fds[0], &err, sizeof(err)) == sizeof(err))
			err = nb_fail(diag, -err, "cannot execute %s: %s", c->path, strerror(err));
		else
			err = 0;
		*result = wait_for_all(pid, &set);
	}
	close(fds[0]);
	return err;
}

/* Opened before the run, so that a path that cannot be written is known before it. */
struct summary_file {
	const char *path;
	FILE *f;
	bool ours; /* was not there before */
};

static int open_summary(struct summary_file *sf, const char *path, struct nb_diag *diag)
{
	int fd;

	*sf = (struct summary_file){.path = path};
	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	sf->ours = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_WRONLY | O_CLOEXEC);
	sf->f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!sf->f)
		return nb_fail(diag, -errno, "cannot write the summary: %s: %s", path, strerror(errno));
	return 0;
}

static void drop_summary(struct summary_file *sf)
{
	if (sf->f)
		fclose(sf->f);
	if (sf->f && sf->ours)
		unlink(sf->path);
	sf->f = NULL;
}

static void report(const struct options *o, struct summary *s, const struct rundir *r, struct summary_file *sf)
{
	int err = rundir_counters(r, s->count);

	if (err)
		cli_warn("the run's counters cannot be read: %s", strerror(-err));
	if (o->guest_log) {
		err = summary_read_guest_log(s, o->guest_log);
		if (err)
			cli_warn("%s: %s", o->guest_log, strerror(-err));
	}
	if (summary_used(s))
		summary_print(s, stderr);
	if (sf->f) {
		if (ftruncate(fileno(sf->f), 0) && errno != EINVAL)
			cli_warn("%s: %s", sf->path, strerror(errno));
		summary_json(s, sf->f);
		if (fclose(sf->f))
			cli_warn("%s: %s", sf->path, strerror(errno));
		sf->f = NULL;
	}
}

static int run(const struct options *o, struct nb_desc *desc)
{
	struct summary s = {.host = desc, .checksum_ok = UNKNOWN, .boot_seconds = -1};
	struct command c;
	struct summary_file sf;
	struct rundir r = {.lock = -1};
	struct nb_diag why = {""};
	char library[PATH_MAX];
	sigset_t set, mask;
	int status, err;

	status = command_find(o->command, o->force, &c, &why);
	if (status)
		return cli_fail(status, "%s", why.msg);
	if (disk_files(desc, &why) || find_library(library, &why))
		return cli_fail(CLI_NO_HOST, "%s", why.msg);
	if (c.devices.viommu_after)
		cli_warn("%s comes after a vfio-pci device on the command line; QEMU then drops nesting for that "
			 "device without a word", c.devices.viommu_after);
	s.command = &c;

	/* From here on there is something to clean up, so nothing may end us by itself. */
	launcher_signals(&set);
	sigprocmask(SIG_BLOCK, &set, &mask);
	err = open_summary(&sf, o->summary, &why);
	if (!err)
		err = rundir_make(&r, desc, &why);
	if (!err)
		err = set_environment(o, &r, library) ? nb_fail(&why, -ENOMEM, "out of memory") : 0;
	if (err) {
		drop_summary(&sf);
		rundir_remove(&r);
		return cli_fail(CLI_NO_HOST, "%s", why.msg);
	}
	err = start_and_wait(o, &c, &mask, &s.exit_status, &why);
	if (err) {
		drop_summary(&sf);
		rundir_remove(&r);
		return cli_fail(CLI_CANNOT_RUN, "%s", why.msg);
	}
	report(o, &s, &r, &sf);
	rundir_remove(&r);
	/* A run that was to test nesting and did not must not look like a success. */
	return s.exit_status == 0 && summary_nesting_dropped(&s) && !o->force ? CLI_NOT_NESTED : s.exit_status;
}

int cmd_run(int argc, char **argv)
{
	struct nb_desc *desc;
	struct options o;
	struct nb_diag why = {"out of memory"};
	int status = parse_options(argc, argv, &o);

	if (status)
		return status;
	if (o.log && check_patterns(o.log, &why))
		return cli_fail(CLI_USAGE, "%s", why.msg);
	desc = nb_zalloc(sizeof(*desc));
	if (!desc || desc_yaml_find(o.host, desc, &why))
		status = cli_fail(CLI_NO_HOST, "%s", why.msg);
	else
		status = run(&o, desc);
	nb_free(desc);
	return status;
}

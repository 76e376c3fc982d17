/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The console protocol and the two ways out. Kernel messages are kept off the console while the scenario
 * runs, so that they cannot land inside a report line; they are shown when the run fails.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

enum { KLOG_READ_ALL = 3, KLOG_CONSOLE_LEVEL = 8 }; /* syslog(2) */

static int console = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void put(const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(console, text, size);

		if (n <= 0)
			return;
		text += n;
		size -= (size_t)n;
	}
}

void report_init(void)
{
	console = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
	klogctl(KLOG_CONSOLE_LEVEL, NULL, 1);
	put("\n", 1); /* the kernel's last line may be open */
}

static void report_line(const char *key, const char *fmt, va_list ap)
{
	char line[512];
	int n = snprintf(line, sizeof(line) - 1, "NB: %s=", key);

	n += vsnprintf(line + n, sizeof(line) - 1 - (size_t)n, fmt, ap);
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n] = '\n';

	pthread_mutex_lock(&lock);
	put(line, (size_t)n + 1);
	pthread_mutex_unlock(&lock);
}

void report(const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_line(key, fmt, ap);
	va_end(ap);
}

static _Noreturn void power_off(void)
{
	tcdrain(console);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void show_kernel_log(void)
{
	static char log[8192];
	int n = klogctl(KLOG_READ_ALL, log, sizeof(log));

	if (n > 0)
		put(log, (size_t)n);
}

void finish(void)
{
	report("done", "ok");
	power_off();
}

void fail(const char *fmt, ...)
{
	char reason[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	show_kernel_log();
	report("done", "fail reason=%s", reason);
	power_off();
}

/* Takes no lock: whoever holds it may be what hangs. */
static void watchdog_bark(int signo)
{
	static const char line[] = "\nNB: done=fail reason=the guest's watchdog ran out\n";

	(void)signo;
	show_kernel_log();
	put(line, sizeof(line) - 1);
	power_off();
}

void watchdog_start(unsigned int seconds)
{
	struct sigaction action = {.sa_handler = watchdog_bark};

	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
}

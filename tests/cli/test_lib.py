#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""libnestbox as others use it: its symbols, its header, its installation."""
import os
import re
import shutil
import subprocess

import clitest
from clitest import CliTest, SOURCE

USER = r"""
#include <nestbox/nestbox.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct { struct nb_host_opts o; uint64_t later[2]; } longer;
	struct nb_host_opts opts;
	struct nb_host *host;
	char why[64], text[20];
	uint64_t n;
	int fd;

	memset(&opts, 0, sizeof(opts));
	opts.size = sizeof(opts);
#define MUST(x) do { if (!(x)) { printf("line %d: %s\n", __LINE__, #x); return 1; } } while (0)
	MUST(strcmp(nb_version(), "0.1.0") == 0);
	MUST(nb_host_create("nosuch", &opts, &host, why, sizeof(why)) == -2 && strstr(why, "nosuch"));
	MUST(nb_host_create("/none.yaml", 0, &host, why, sizeof(why)) == -2 && strstr(why, "/none.yaml"));
	opts.flags = 1;
	MUST(nb_host_create("spr", &opts, &host, why, sizeof(why)) == -22);
	opts.flags = 0;
	opts.log = "nothing.*";
	MUST(nb_host_create("spr", &opts, &host, why, sizeof(why)) == -22 && strstr(why, "nothing.*"));
	opts.log = 0;
	opts.size = 2;
	MUST(nb_host_create("spr", &opts, &host, 0, 0) == -22);
	opts.size = 4; /* an older caller */
	opts.flags = 1;
	MUST(nb_host_create("spr", &opts, &host, why, sizeof(why)) == 0);
	nb_host_destroy(host);
	memset(&longer, 0, sizeof(longer));
	longer.o.size = sizeof(longer);
	longer.later[1] = 1;
	MUST(nb_host_create("spr", &longer.o, &host, why, sizeof(why)) == -7);
	longer.later[1] = 0;
	MUST(nb_host_create("spr", &longer.o, &host, why, sizeof(why)) == 0);
	MUST(nb_host_open(host, "/dev/null", O_RDWR) == -2);
	MUST(nb_host_open(host, "/dev/vfio/devices/vfio4", O_RDWR) == -2);
	MUST(nb_host_open(host, "/dev/vfio/devices/vfio00", O_RDWR) == -2);
	MUST(nb_host_open(host, "/dev/vfio/devices/vfio99999999999", O_RDWR) == -2);
	MUST((fd = nb_host_open(host, "/dev/iommu", O_RDWR)) > 1000);
	MUST(nb_host_ioctl(host, fd, 0x3b80, 0) == -14);
	MUST(nb_host_ioctl(host, fd, 0x1234, 0) == -25);
	MUST(nb_host_ioctl(host, 0, 0x3b80, 0) == -9);
	MUST(nb_host_pread(host, fd, text, 1, 0) == -22);
	MUST(nb_host_close(host, fd) == 0);
	MUST(nb_host_close(host, fd) == -9);
	MUST(nb_host_close(host, 3) == -9);
	MUST(nb_host_ioctl(host, fd, 0x3b80, 0) == -9);
	MUST(nb_host_counter(host, "hw.fault", &n) == 0 && n == 0);
	MUST(nb_host_counter(host, "hw.nothing", &n) == -2);
	MUST(nb_host_walk(host, 0, 0x0100, NB_HOST_NO_PASID, 0, 1, text, sizeof(text)) > 100);
	MUST(strlen(text) == sizeof(text) - 1);
	MUST(nb_host_walk(host, 0, 0x0101, NB_HOST_NO_PASID, 0, 1, text, sizeof(text)) == -2);
	MUST(nb_host_open(host, "/dev/vfio/devices/vfio3", O_RDWR) > 1000);
	nb_host_destroy(host);
	nb_host_destroy(0);
	puts("fine");
	return 0;
}
"""


class Lib(CliTest):
    def sh(self, *cmd, **kw):
        return subprocess.run(cmd, stdout=subprocess.PIPE, text=True, check=True, **kw).stdout

    def test_exported_mapped_and_declared_are_one_set(self):
        lib = os.path.join(clitest.BUILD, "src/machine/libnestbox.so")
        exported = {line.split()[-1].split("@")[0] for line in self.sh("nm", "-D", "--defined-only", lib).splitlines()
                    if line.split()[-2] != "A"}
        with open(os.path.join(SOURCE, "src/machine/libnestbox.map"), encoding="utf-8") as f:
            mapped = set(re.findall(r"(?m)^\t(\w+);", f.read()))
        with open(os.path.join(SOURCE, "include/nestbox/nestbox.h"), encoding="utf-8") as f:
            declared = set(re.findall(r"(?m)^NB_API [^(]*?(\w+)\(", f.read()))
        self.assertGreater(len(declared), 8)
        self.assertEqual(exported, mapped)
        self.assertEqual(mapped, declared)

    def test_header_alone(self):
        src = '#include "%s/include/nestbox/nestbox.h"\n' % SOURCE
        flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
        self.sh("cc", "-std=c11", *flags, self.file("t.c", src))
        if shutil.which("c++"):
            self.sh("c++", "-std=c++17", *flags, self.file("t.cc", src))

    def test_installed_and_used(self):
        dest = os.path.join(self.dir, "dest")
        env = dict(os.environ, DESTDIR=dest)
        self.sh("meson", "install", "-C", clitest.BUILD, "--no-rebuild", "--quiet", env=env)
        found = {}
        for root, _, files in os.walk(dest):
            for f in files:
                found[f] = os.path.join(root, f)
        for f in ("nestbox", "nestbox.h", "nestbox.pc", "libnestbox.so", "libnestbox-run.so", "nestbox.1", "nestbox-run.1",
                  "nestbox-host.5"):
            self.assertIn(f, found)
        self.assertFalse([f for f in found if f.endswith(".a")], "our rooms are no libraries of others")
        pc = os.path.dirname(found["nestbox.pc"])
        env = dict(os.environ, PKG_CONFIG_PATH=pc, PKG_CONFIG_SYSROOT_DIR=dest)
        flags = self.sh("pkg-config", "--cflags", "--libs", "nestbox", env=env).split()
        out = os.path.join(self.dir, "user")
        self.sh("cc", "-Wall", "-Wextra", "-Werror", "-o", out, self.file("user.c", USER), *flags)
        libdir = os.path.dirname(found["libnestbox.so"])
        got = subprocess.run([out], stdout=subprocess.PIPE, text=True, env=dict(self.env, LD_LIBRARY_PATH=libdir), check=False)
        self.assertEqual((got.returncode, got.stdout), (0, "fine\n"))
        # The installed command finds its installed library.
        got = subprocess.run([found["nestbox"], "run", "sh", "-c", "echo $LD_PRELOAD"], stdout=subprocess.PIPE, text=True,
                             env=self.env, check=True)
        self.assertEqual(got.stdout.strip(), os.path.realpath(found["libnestbox-run.so"]))


if __name__ == "__main__":
    clitest.main()

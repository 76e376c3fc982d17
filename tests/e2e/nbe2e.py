# SPDX-License-Identifier: BSD-3-Clause
"""Runs the test guest in an unmodified QEMU on nestbox's virtual host.

A Guest is one QEMU: started, talked to over QMP, watched through the "NB: KEY=VALUE" lines on its console, and
gone at the end together with its temporary folder, whatever happened.

Environment:
  NESTBOX        the nestbox binary (default: build/src/cli/nestbox)
  NB_GUEST_DIR   where the guest image is built (default: build/guest)
  NESTBOX_CACHE  what scripts/setup filled (default: as there)
  NB_PLAIN=1     run QEMU without nestbox, with QEMU's own NVMe in place of assigned ones: tests the tests
  NB_POKE        poke_qemu_kvm.so, for Arm (default: build/tests/e2e/poke_qemu_kvm.so)
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLAIN = os.environ.get("NB_PLAIN") == "1"
NESTBOX = os.environ.get("NESTBOX") or os.path.join(TREE, "build", "src", "cli", "nestbox")
GUEST_DIR = os.environ.get("NB_GUEST_DIR") or os.path.join(TREE, "build", "guest")
CACHE = os.environ.get("NESTBOX_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "nestbox")

NESTING_DROPPED = 123  # exit status of nestbox run
SKIP = 77  # meson's and automake's exit status for "cannot run here"

CASES = {}  # name: function

# The functions of the built-in host "spr", two behind each of its IOMMUs. The first two are everywhere.
NVME0, DMATEST0 = "0000:01:00.0", "0000:02:00.0"
NVME1, DMATEST1 = "0000:81:00.0", "0000:82:00.0"

NESTED = "intel-iommu,scalable-mode=on,fsts=on,caching-mode=on"


def case(name):
    def add(function):
        CASES[name] = function
        return function
    return add


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


class Qmp:
    """One command at a time; events are kept until someone waits for them."""

    def __init__(self, path, deadline):
        self.sock = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.sock.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise Failure("QEMU's QMP socket did not open")
                time.sleep(0.02)
        self.file = self.sock.makefile("r")
        self.events = []
        self._read(deadline)  # the greeting
        self.command("qmp_capabilities")

    def _read(self, deadline):
        self.sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            line = self.file.readline()
        except OSError:
            raise Failure("QEMU's QMP socket went silent")
        if not line:
            raise Failure("QEMU closed its QMP socket")
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def command(self, name, timeout=20, **arguments):
        deadline = time.monotonic() + timeout
        self.sock.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while True:
            message = self._read(deadline)
            if "error" in message:
                raise Failure("QMP %s: %s" % (name, message["error"]["desc"]))
            if "return" in message:
                return message["return"]

    def wait_event(self, name, timeout=20, **data):
        deadline = time.monotonic() + timeout
        while True:
            for event in self.events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self.events.remove(event)
                    return
            self._read(deadline)


class Guest:
    """
    nb          the guest's scenario with its parameters
    devices     QEMU arguments from the vIOMMU on; -device vfio-pci ones become NVMe models when plain
    iommu       the part of the kernel's command line that concerns the IOMMU
    wrap        a command that runs nestbox; launch one that runs QEMU, under nestbox
    owner       the user id that wrap changes to, if it does
    environment of nestbox, in addition to ours
    """

    arch, machine, cpu, host, iommu = "x86_64", "q35", "qemu64", "spr", "intel_iommu=on,sm_on iommu.strict=1"
    # On a busy machine a guest that is emulated misses timer ticks, and the kernel takes the timer for broken.
    kernel = "console=ttyS0 quiet panic=-1 no_timer_check"

    def __init__(self, nb, devices, iommu=None, machine=None, host=None, smp=1, args=(), nestbox_args=(), wrap=(),
                 launch=(), owner=None, reboot=False, timeout=120, environment=None):
        self.images = make_image(self.arch)
        self.deadline = time.monotonic() + timeout
        # Removes itself if the guest is never started, because something that it needs could not be made.
        self.folder = tempfile.TemporaryDirectory(prefix="nb-e2e-", ignore_cleanup_errors=True)
        self.dir = self.folder.name
        if owner is not None:
            os.chown(self.dir, owner, owner)
        self.serial, self.log = self.path("serial"), self.path("output")
        self.process = self._qmp = self.summary = None
        self.environment = {**os.environ, **(environment or {})}
        self.qemu = os.path.join(CACHE, "bin", "qemu-system-" + self.arch)
        self.wrap = list(wrap)
        self.nestbox = [] if PLAIN else [NESTBOX, "run", "--host", host or self.host, "--summary", self.path("summary.json"),
                                         "--guest-log", self.serial, *nestbox_args, "--"]
        self.launch = list(launch)
        self.options = ["-machine", machine or self.machine, "-accel", "tcg", "-cpu", self.cpu, "-m", "256", "-smp", str(smp),
                        "-nodefaults", "-display", "none", "-serial", "file:" + self.serial,
                        "-qmp", "unix:%s,server=on,wait=off" % self.path("qmp"),
                        "-append", "%s %s nb=%s,watchdog=%d" % (self.kernel, self.iommu if iommu is None else iommu, nb,
                                                                        timeout - 10)]
        self.options += [] if reboot else ["-no-reboot"]
        self.options += [*args, *self._devices(devices)]

    def path(self, name):
        return os.path.join(self.dir, name)

    def plain_disk(self, name):
        """A disk image for the NVMe model that stands in for the assigned function."""
        image = self.path(name + ".img")
        with open(image, "wb") as f:
            f.truncate(1 << 30)
        os.chmod(image, 0o666)  # whoever QEMU runs as
        return image

    def _devices(self, devices):
        if not PLAIN:
            return devices
        out = []
        for arg in devices:
            match = re.match(r"vfio-pci,host=([0-9a-f:.]+)(.*)", arg)
            if match:
                name = "d" + re.sub("[:.]", "", match.group(1))
                rest = re.sub(r",iommufd=[^,]*", "", match.group(2))
                arg = "nvme,drive=%s,serial=%s%s" % (name, name, rest)
                out[-1:-1] = ["-drive", "file=%s,if=none,id=%s,format=raw" % (self.plain_disk(name), name)]
            out.append(arg)
        while any(arg.startswith("iommufd,") for arg in out):
            at = next(i for i, arg in enumerate(out) if arg.startswith("iommufd,"))
            del out[at - 1:at + 1]
        return out

    def __enter__(self):
        command = [*self.wrap, *self.nestbox, *self.launch, self.qemu, "-kernel", os.path.join(self.images, "vmlinuz"),
                   "-initrd", os.path.join(self.images, "initramfs.gz"), *self.options]
        try:
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                start_new_session=True, env=self.environment)
        except OSError as e:
            raise Failure("%s: %s" % (command[0], e.strerror))
        return self

    def __exit__(self, kind, value, trace):
        self._kill()
        if self._qmp:
            self._qmp.sock.close()
        if kind and kind is not Skip:
            self._show()
        self.folder.cleanup()

    def _kill(self):
        """The whole session, kindly first: nestbox has a folder to remove."""
        for signo in signal.SIGTERM, signal.SIGKILL:
            try:
                os.killpg(self.process.pid, signo)
                self.process.wait(timeout=10)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                pass
        self.process.wait()

    def _show(self):
        print("command:", " ".join(self.process.args))
        for title, path in ("guest's console", self.serial), ("output", self.log):
            print("---- " + title)
            print(self._read(path)[-12000:].replace("\r", ""))

    @staticmethod
    def _read(path):
        try:
            with open(path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    @property
    def qmp(self):
        if not self._qmp:
            self._qmp = Qmp(self.path("qmp"), self.deadline)
        return self._qmp

    def lines(self):
        """The guest's reports so far, as (key, value)."""
        text = self._read(self.serial)
        return re.findall(r"^NB: ([^=\r\n]+)=([^\r\n]*)\r?$", text, re.M)

    def output(self):
        return self._read(self.log)

    def wait_line(self, key, value=None):
        while True:
            for k, v in self.lines():
                if k == key and value in (None, v):
                    return v
                if k == "done" and key != "done":
                    raise Failure("the guest ended (%s) before it said %s=%s" % (v, key, value or ""))
            self._check_time("the guest did not say %s=%s" % (key, value or ""))
            if self.process.poll() is not None:
                raise Failure("QEMU ended (status %d) before the guest said %s" % (self.process.returncode, key))
            time.sleep(0.02)

    def wait_count(self, key, count):
        """Until the guest has said key as often: it is started anew."""
        while [k for k, _ in self.lines()].count(key) < count:
            self._check_time("the guest did not say %s %d times" % (key, count))
            check(self.process.poll() is None, "QEMU ended")
            time.sleep(0.02)

    def _check_time(self, text):
        if time.monotonic() > self.deadline:
            raise Failure(text + " in time")

    def wait_exit(self, status=0):
        """Until nestbox (or a plain QEMU) is gone; then the summary can be read."""
        while self.process.poll() is None:
            # A guest that failed may hang on its way out.
            check(not self._verdict().startswith("fail"), "the guest says: " + self._verdict())
            self._check_time("QEMU did not end")
            time.sleep(0.05)
        check(self.process.returncode == status, "exit status %d" % self.process.returncode)
        if not PLAIN:
            with open(self.path("summary.json")) as f:
                self.summary = json.load(f)

    def finish(self):
        """The guest must power off by itself and be content."""
        self.wait_exit()
        check(self._verdict() == "ok", "the guest says: " + (self._verdict() or "nothing"))

    def _verdict(self):
        return ([v for k, v in self.lines() if k == "done"] or [""])[-1]

    def last(self, key):
        values = [v for k, v in self.lines() if k == key]
        check(values, "the guest did not say %s" % key)
        return values[-1]

    def expect_summary(self, key, condition, text):
        """condition takes the number that the summary has under key; there is none without nestbox."""
        if not PLAIN:
            check(key in self.summary, "the summary has no %s" % key)
            check(condition(self.summary[key]), "%s is %s: %s" % (key, self.summary[key], text))


def vfio(host, iommufd="iommufd0", **properties):
    """-device vfio-pci for a function of the host."""
    more = "".join(",%s=%s" % item for item in properties.items())
    return ["-device", "vfio-pci,host=%s,iommufd=%s%s" % (host, iommufd, more)]


def iommufd(name="iommufd0"):
    return ["-object", "iommufd,id=" + name]


def make_image(arch):
    """Builds what is not up to date; returns the folder."""
    made = subprocess.run([os.path.join(TREE, "scripts", "guest-image"), GUEST_DIR, arch], stderr=subprocess.PIPE, text=True)
    check(made.returncode == 0, made.stderr)
    return GUEST_DIR if arch == "x86_64" else os.path.join(GUEST_DIR, arch)


def prepare():
    """What every run needs; a missing guest is a reason to skip, a missing nestbox is not."""
    if not os.path.exists(os.path.join(CACHE, "guest.stamp")):
        raise Skip("no guest in %s; run scripts/setup guest" % CACHE)
    if not PLAIN:
        check(os.access(NESTBOX, os.X_OK), "no nestbox at %s" % NESTBOX)


def main():
    """Runs the case named on the command line; without a name, lists them."""
    if len(sys.argv) != 2 or sys.argv[1] not in CASES:
        print("\n".join(CASES))
        return 2 if len(sys.argv) > 1 else 0
    start = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # by way of Guest.__exit__
    try:
        prepare()
        CASES[sys.argv[1]]()
    except Skip as e:
        print("SKIP: %s" % e)
        return SKIP
    except Failure as e:
        print("FAIL: %s" % e)
        return 1
    print("ok: %s in %.1f s" % (sys.argv[1], time.monotonic() - start))
    return 0

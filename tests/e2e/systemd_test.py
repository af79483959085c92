#!/usr/bin/env python3
"""The installed program under a real systemd, in namespaces of its own over a copy-on-write view of
this machine's files: the unit's sandbox leaves the agent all that it needs, and nothing more.

Needs root, systemd and overlayfs; exit status 77 without them.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from edgewise import BASE_MODEL, FEATURES, EdgewiseTest
from mqtt import lasting_port

SYSTEMD = Path("/usr/lib/systemd/systemd")
BUILD = Path(shutil.which("edgewise") or "/").resolve().parents[1]

BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs {folder}/machine
mkdir {folder}/machine/upper {folder}/machine/work {root}
mount -t overlay overlay -o lowerdir=/,upperdir={folder}/machine/upper,workdir={folder}/machine/work {root}
mount -t proc proc {root}/proc
mount -t sysfs sysfs {root}/sys
mount --rbind /dev {root}/dev
mount -t tmpfs -o mode=755 tmpfs {root}/run
mount -t tmpfs tmpfs {root}/tmp
mountpoint -q {root}/sys/fs/cgroup || mount -t tmpfs tmpfs {root}/sys/fs/cgroup
mount -t cgroup2 cgroup2 {root}/sys/fs/cgroup
cp -r {folder}/installed/. {root}/
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin chroot {root} {systemd} --system \
    --log-target=console --unit=basic.target
"""

APP = """
app: pump
http: {{port: {http}}}
encryption: {{key_file: "credential:storage-key"}}
sources:
  in: {{type: http, port: {source}}}
models:
  kind: {{file: base_model.h5}}
streams:
  all:
    from: in
    model: {{use: kind, input: [{fields}], result: argmax, output: kind}}
    {more}
sinks:
  out: {{type: file, path: /var/lib/edgewise/pump/out.jsonl, from: all}}
"""


class Machine:
    """A systemd that has booted to basic.target; `installed` holds what is laid over its files."""

    def __init__(self, test):
        self.folder = test.folder
        (self.folder / "machine").mkdir()
        script = BOOT.format(folder=self.folder, root=self.folder / "machine/root", systemd=SYSTEMD)
        self.log = open(test.folder / "boot.log", "wb")
        test.addCleanup(self.log.close)
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--mount", "--cgroup", "--uts", "--ipc", "--fork", "--kill-child",
             "sh", "-c", script], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        test.addCleanup(self.process.wait)
        test.addCleanup(self.process.kill)

    def first(self):
        """The number of the namespaces' first process, once there is one."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        numbers = path.read_text().split() if path.exists() else []
        return numbers[0] if numbers else None

    def run(self, *command, check=True):
        done = subprocess.run(["nsenter", "-t", self.first(), "-m", "-p", "-i", "-u", "-C", "-r", "-w",
                               *command], capture_output=True, text=True, check=False, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def is_up(self):
        if self.process.poll() is not None or self.first() is None:
            return False
        return "running" in self.run("systemctl", "is-system-running", check=False)


class SystemdTest(EdgewiseTest):
    def wait_for(self, condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"not in time: {what()}")
            time.sleep(0.05)

    def write_app(self, folder, more=""):
        fields = ", ".join(f"x{i}" for i in range(FEATURES))
        (folder / "pump.yaml").write_text(
            APP.format(http=self.http, source=self.source, fields=fields, more=more))

    def post(self, count, **fields):
        row = {f"x{i}": 0.5 * i for i in range(FEATURES)} | fields
        body = "\n".join([json.dumps(row)] * count).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.source}/", body, timeout=30) as answer:
            self.assertEqual(answer.status, 200)

    def is_healthy(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/healthz", timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def test_the_unit(self):
        self.http, self.source = lasting_port(), lasting_port()
        installed = self.folder / "installed"
        subprocess.run(["cmake", "--install", str(BUILD), "--prefix", "/usr"], check=True,
                       capture_output=True, env=os.environ | {"DESTDIR": str(installed)})
        etc = installed / "etc/edgewise"
        etc.mkdir(parents=True)
        shutil.copy(BASE_MODEL, etc / "base_model.h5")
        self.write_app(etc)
        keys = installed / "etc/credstore"
        keys.mkdir(mode=0o700)
        (keys / "edgewise.pump.key").write_text("0123456789abcdef" * 4)
        (keys / "edgewise.pump.key").chmod(0o600)
        machine = Machine(self)
        self.wait_for(machine.is_up, lambda: (self.folder / "boot.log").read_text())

        def journal():
            return machine.run("journalctl", "--no-pager", "-u", "edgewise@pump")
        machine.run("systemctl", "start", "edgewise@pump")
        self.wait_for(self.is_healthy, journal)
        number = machine.run("systemctl", "show", "-P", "MainPID", "edgewise@pump").strip()
        status = Path(f"/proc/{machine.first()}/root/proc/{number}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines())
        self.assertNotIn("0", fields["Uid"].split())
        self.assertEqual((fields["CapEff"], fields["NoNewPrivs"], fields["Seccomp"]),
                         ("0" * 16, "1", "2"))
        self.post(5)
        # Killed, it is back with what it held; another file is taken over by a reload.
        machine.run("systemctl", "kill", "--kill-whom=main", "-s", "KILL", "edgewise@pump")
        self.wait_for(lambda: machine.run("systemctl", "show", "-P", "NRestarts",
                                          "edgewise@pump").strip() == "1", journal)
        self.wait_for(self.is_healthy, journal)
        self.post(3)
        self.write_app(Path(f"/proc/{machine.first()}/root/etc/edgewise"), "where: x0 > 100")
        machine.run("systemctl", "reload", "edgewise@pump")
        self.wait_for(lambda: "reload: " in journal(), journal)
        self.wait_for(self.is_healthy, journal)
        self.post(2)
        machine.run("systemctl", "stop", "edgewise@pump")
        self.assertIn("Result=success", machine.run("systemctl", "show", "edgewise@pump"))
        out = machine.run("cat", "/var/lib/private/edgewise/pump/out.jsonl").splitlines()
        self.assertEqual(len(out), 8, journal())
        self.assertIn("kind", json.loads(out[0]))
        for name in ("snapshot", "journal"):
            self.assertIn(name, machine.run("ls", "/var/lib/private/edgewise/pump"))


def can_run():
    if os.geteuid() != 0 or not SYSTEMD.exists() or not shutil.which("nsenter"):
        return False
    probe = "mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w /mnt/r && " \
            "mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
    return subprocess.run(["unshare", "--mount", "sh", "-c", probe], capture_output=True,
                          check=False).returncode == 0


if __name__ == "__main__":
    if not can_run():
        print("systemd_test: skipped: needs root, systemd and overlayfs")
        sys.exit(77)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main()

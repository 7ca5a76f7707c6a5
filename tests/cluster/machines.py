"""Machines made of Linux namespaces on a bridge of their own, each with an SSH server: enough for a real `ray up`.

Each has its own network, processes, host name, home folder, /tmp/ray and shared memory, and sees the same files
otherwise, which is the shared file system. Needs root, iproute2, util-linux and openssh-server.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

BRIDGE = "paingrid0"
NETWORK = "10.77.13"
SSHD = "/usr/sbin/sshd"
TOOLS = ("ip", "unshare", "ssh", "ssh-keygen", "rsync", SSHD)


def missing() -> str:
    """What is not here, or ''."""
    if os.geteuid():
        return "root"
    return ", ".join(t for t in TOOLS if not shutil.which(t))


def run(*command: str) -> None:
    """Run, or raise with what was said."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


class Machines:
    """A context in which `names` are machines at `address(name)`, reachable as root with `key`."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self.folder, self.names, self.key = folder, names, folder / "key"
        self.roots: dict[str, subprocess.Popen] = {}

    def address(self, name: str) -> str:
        """The machine's address on the bridge."""
        return f"{NETWORK}.{10 + self.names.index(name)}"

    def __enter__(self) -> Machines:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        try:
            run("ip", "addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
            run("ip", "link", "set", BRIDGE, "up")
            for name in self.names:
                self._start(name)
            for name in self.names:
                self._wait(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, name: str) -> None:
        space, here = f"paingrid-{name}", self.folder / name
        for part in ("home/.ssh", "ray"):
            (here / part).mkdir(parents=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(here / "host_key"))
        shutil.copy(self.key.with_suffix(".pub"), here / "home/.ssh/authorized_keys")
        for path, mode in ((here / "home/.ssh", 0o700), (here / "home/.ssh/authorized_keys", 0o600)):
            path.chmod(mode)
        (here / "home/.profile").write_text(f"export PATH={Path(sys.executable).parent}:$PATH\n")
        run("ip", "netns", "add", space)
        run("ip", "link", "add", f"pg-{name}", "type", "veth", "peer", "name", "eth0", "netns", space)
        run("ip", "link", "set", f"pg-{name}", "master", BRIDGE, "up")
        run("ip", "-n", space, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
        run("ip", "-n", space, "link", "set", "eth0", "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", space, "route", "add", "default", "via", f"{NETWORK}.1")  # without one, Ray binds 127.0.0.1
        home, python = Path.home(), Path(sys.base_prefix).resolve()
        keep = ""
        if python.is_relative_to(home):  # the interpreter itself must stay visible under the new home
            inside = here / "home" / python.relative_to(home)
            inside.mkdir(parents=True)
            keep = f"mount --bind {python} {inside}\n"
        options = "-o PidFile=none -o UsePAM=no -o PermitRootLogin=yes -o PasswordAuthentication=no -o StrictModes=no"
        (here / "init.sh").write_text(
            f"set -e\nhostname {name}\nmount --make-rprivate /\n{keep}mount --rbind {here}/home {home}\n"
            f"mkdir -p /tmp/ray\nmount --bind {here}/ray /tmp/ray\nmount -t tmpfs tmpfs /dev/shm\n"
            f"mount -t tmpfs tmpfs /run\nmkdir -p /run/sshd\nchmod 755 /run/sshd\n"
            f"export HOME={home}\nexec {SSHD} -D -e -p 22 -h {here}/host_key {options}\n"
        )
        # A process namespace each: `ray stop` ends every Ray that it can see.
        inside_of = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        self.roots[name] = subprocess.Popen(
            ["ip", "netns", "exec", space, *inside_of, "bash", str(here / "init.sh")],
            stdout=(here / "sshd.log").open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ssh(self, name: str, command: str) -> subprocess.CompletedProcess:
        """Run a command on a machine."""
        options = ["-i", str(self.key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        options += ["-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5"]
        return subprocess.run(["ssh", *options, f"root@{self.address(name)}", command], capture_output=True, text=True)

    def _wait(self, name: str) -> None:
        until = time.monotonic() + 20
        while self.ssh(name, "true").returncode:
            if time.monotonic() > until or self.roots[name].poll() is not None:
                raise RuntimeError(f"{name} does not answer: {(self.folder / name / 'sshd.log').read_text()}")
            time.sleep(0.3)

    def __exit__(self, *_: object) -> None:
        for name, root in self.roots.items():
            if root.poll() is None:
                os.killpg(root.pid, signal.SIGKILL)  # its first process ends, and with it the whole process namespace
                root.wait()
            subprocess.run(["ip", "netns", "del", f"paingrid-{name}"], capture_output=True)
        subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True)

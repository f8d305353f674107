"""A real sshd on loopback, with its own configuration, keys and port."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from preflight.inventory import Node

ONLY_PARAMIKO = pytest.mark.parametrize("carrier", ["paramiko"], indirect=True)
ONLY_SSH = pytest.mark.parametrize("carrier", ["ssh"], indirect=True)


class Sshd:
    """One sshd of ours. log: what it has written so far; process: the listening sshd."""

    def __init__(
        self, folder: Path, options: tuple[str, ...], host_keys: tuple[str, ...], carrier: str = "paramiko"
    ) -> None:
        folder.mkdir()
        self.carrier = carrier
        self.folder = folder
        self.port = free_port()
        self.host_keys = [keygen(folder / f"host_{kind}", kind) for kind in host_keys]
        self.key = keygen(folder / "id", "ed25519")
        self.authorized = folder / "authorized_keys"
        self.authorized.write_text(public(self.key))
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text("".join(f"[127.0.0.1]:{self.port} {public(key)}" for key in self.host_keys))
        self.ssh_config = folder / "ssh_config"
        self.ssh_config.write_text(
            f"UserKnownHostsFile {self.known_hosts}\nGlobalKnownHostsFile none\nIdentityAgent none\n"
        )
        config = folder / "sshd_config"
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "LogLevel VERBOSE",
            f"AuthorizedKeysFile {self.authorized}",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "AcceptEnv none",
            "SetEnv SHLVL=3",  # else bash takes sshd for rsh and reads ~/.bashrc at every command
        ]
        lines += [f"HostKey {key}" for key in self.host_keys]
        config.write_text("\n".join([*options, *lines]) + "\n")  # sshd takes the first of two
        self.log_file = folder / "log"
        Path("/run/sshd").mkdir(exist_ok=True)
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", config], stderr=log
            )
        until = time.monotonic() + 5
        while "Server listening" not in self.log:
            assert self.process.poll() is None and time.monotonic() < until, f"sshd did not start:\n{self.log}"
            time.sleep(0.01)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def children(self) -> list[int]:
        """The sshd processes that serve connections now."""
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in tasks.read_text().split()]

    def node(self, **changes: object) -> Node:
        given: dict[str, object] = {
            "name": "node",
            "host": "127.0.0.1",
            "carrier": self.carrier,
            "port": self.port,
            "user": getpass.getuser(),
            "identity_file": str(self.key),
            "ssh_config": str(self.ssh_config),
        }
        return Node(**{**given, **changes})  # type: ignore[arg-type]

    def configure(self, text: str) -> None:
        """Put lines before those of the ssh_config, where they win."""
        self.ssh_config.write_text(text + "\n" + self.ssh_config.read_text())

    def stop(self) -> None:
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGTERM)
        self.process.terminate()
        self.process.wait(5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keygen(path: Path, kind: str, passphrase: str = "") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", path], check=True)
    return path


def public(key: Path) -> str:
    return key.with_name(key.name + ".pub").read_text()

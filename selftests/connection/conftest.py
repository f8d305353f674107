"""A real sshd on loopback, started for one test with its own configuration, keys and port."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from preflight.connection.ssh import SshConnection, connect
from preflight.inventory import Node


class Sshd:
    """One sshd of ours. log: what it has written so far; process: the listening sshd."""

    def __init__(self, folder: Path, options: tuple[str, ...], host_keys: tuple[str, ...]) -> None:
        folder.mkdir()
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


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, agent or configuration of whoever runs the selftests takes part."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def start_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    if not Path("/usr/sbin/sshd").exists() and not shutil.which("sshd"):
        pytest.fail("there is no sshd on this machine: install it with `apt-get install openssh-server`")
    running: list[Sshd] = []

    def start(*options: str, host_keys: tuple[str, ...] = ("ed25519",)) -> Sshd:
        running.append(Sshd(tmp_path / f"sshd{len(running)}", options, host_keys))
        return running[-1]

    yield start
    for sshd in running:
        sshd.stop()


@pytest.fixture
def sshd(start_sshd: Callable[..., Sshd]) -> Sshd:
    return start_sshd()


@pytest.fixture
def login() -> Iterator[Callable[..., SshConnection]]:
    """connect with the test's defaults; every connection is closed at its end."""
    made: list[SshConnection] = []

    def log_in(node: Node, connect_timeout: float = 5.0, insecure_host_keys: bool = False) -> SshConnection:
        made.append(connect(node, connect_timeout=connect_timeout, insecure_host_keys=insecure_host_keys))
        return made[-1]

    yield log_in
    for connection in made:
        connection.close()

"""Real sshds on loopback for the tests of this folder, and nothing of whoever runs them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback_sshd import Sshd

from preflight.connection.ssh import SshConnection, connect
from preflight.inventory import Node


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

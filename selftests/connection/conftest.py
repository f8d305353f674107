"""Real sshds on loopback for the tests of this folder, and nothing of whoever runs them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback_sshd import Sshd
from ssm_server import REGION, Managed, prepare, running

from preflight.connection import Connection, over_openssh, over_paramiko
from preflight.connection.openssh_master import Directory
from preflight.connection.ssm import Fleet
from preflight.inventory import Node


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, agent or configuration of whoever runs the selftests takes part."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def ssm_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    """One moto for all tests over AWS Systems Manager."""
    with running(tmp_path_factory.mktemp("instances")) as server:
        yield server


@pytest.fixture
def managed(ssm_machine: Managed, monkeypatch: pytest.MonkeyPatch) -> Managed:
    """Managed instances, none yet, and credentials that moto takes."""
    return prepare(ssm_machine, monkeypatch)


@pytest.fixture
def fleet(managed: Managed) -> Fleet:
    """The instances of one region."""
    return Fleet(REGION, None, 5.0)


@pytest.fixture
def start_sshd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Sshd]]:
    """Starts a further sshd; its nodes are reached by the test's carrier, by paramiko where it names none."""
    if not Path("/usr/sbin/sshd").exists() and not shutil.which("sshd"):
        pytest.fail("there is no sshd on this machine: install it with `apt-get install openssh-server`")
    started: list[Sshd] = []
    names = request.fixturenames
    carrier = request.getfixturevalue("carrier") if "carrier" in names else "paramiko"

    def start(*options: str, host_keys: tuple[str, ...] = ("ed25519",)) -> Sshd:
        started.append(Sshd(tmp_path / f"sshd{len(started)}", options, host_keys, carrier))
        return started[-1]

    yield start
    for sshd in started:
        sshd.stop()


@pytest.fixture
def sshd(start_sshd: Callable[..., Sshd]) -> Sshd:
    return start_sshd()


CARRIERS = ("paramiko", "ssh")


@pytest.fixture(params=CARRIERS)
def carrier(request: pytest.FixtureRequest) -> str:
    """The scheme that carries a test whose contract is the same for all."""
    return str(request.param)


@pytest.fixture
def directory() -> Iterator[Directory]:
    """Where ssh's control sockets go; nothing is left in it and no ssh of ours outlives the test."""
    control = Directory()
    yield control
    left = list(control.path.iterdir())
    control.close()
    assert left == []
    assert not control.path.exists()


@pytest.fixture
def login(directory: Directory) -> Iterator[Callable[..., Connection]]:
    """The node's connect with the test's defaults; every connection is closed at its end."""
    made: list[Connection] = []

    def log_in(node: Node, connect_timeout: float = 5.0, insecure_host_keys: bool = False) -> Connection:
        given = {"connect_timeout": connect_timeout, "insecure_host_keys": insecure_host_keys}
        if node.carrier == "ssh":
            made.append(over_openssh.connect(node, directory=directory, **given))  # type: ignore[arg-type]
        else:
            made.append(over_paramiko.connect(node, **given))  # type: ignore[arg-type]
        return made[-1]

    yield log_in
    for connection in made:
        connection.close()

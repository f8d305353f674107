"""A user's own tests with testinfra's `host`: over the run's login, and without its contents in any output."""

from __future__ import annotations

import getpass
import inspect
import logging

import pytest
import testinfra
import testinfra.backend
from testinfra.backend.base import BaseBackend
from testinfra.host import Host

from preflight.connection import errors
from preflight.connection.connections import Connections
from preflight.connection.testinfra_backend import NodeBackend, OpenSshBackend, host_for, install
from preflight.inventory import InventoryError

USER = getpass.getuser()
pytestmark = pytest.mark.usefixtures("carrier")


@pytest.fixture
def installed(monkeypatch):
    """Ours in testinfra's table, and testinfra's tables as before afterwards."""
    monkeypatch.setattr(testinfra.backend, "BACKENDS", dict(testinfra.backend.BACKENDS))
    monkeypatch.setattr(Host, "_host_cache", {})
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    yield lambda *nodes: install(connections, nodes)
    connections.close()


def test_modules_work_over_the_one_login(sshd, login, tmp_path):
    node = sshd.node()
    host = host_for(node, login(node))
    (tmp_path / "motd").write_text("grüß dich\n")
    assert host.file(f"{tmp_path}/motd").content_string == "grüß dich\n"
    assert host.check_output("echo %s", "a b; c") == "a b; c"
    assert host.run("exit 9").rc == 9
    assert host.socket(f"tcp://127.0.0.1:{sshd.port}").is_listening
    assert sshd.log.count("Accepted publickey") == 1


def test_a_lost_connection_is_an_error_never_a_closed_port(sshd, login):
    node = sshd.node()
    connection = login(node)
    host = host_for(node, connection)
    connection.close()
    with pytest.raises(errors.ConnectionLost):
        _ = host.addr("127.0.0.1").port(sshd.port).is_reachable


def test_a_command_has_a_deadline_and_a_closed_input(sshd, login):
    node = sshd.node()
    host = host_for(node, login(node), command_timeout=0.5)
    assert host.run("cat").stdout == ""
    with pytest.raises(errors.CommandTimeout):
        host.run("sleep 5")


@pytest.mark.parametrize(
    ("changes", "prefix"),
    [({}, ""), ({"sudo": True}, "sudo -n "), ({"sudo": True, "sudo_user": "es"}, "sudo -n -u es ")],
)
def test_sudo_is_the_nodes_and_never_asks_for_a_password(sshd, login, changes, prefix):
    node = sshd.node(**changes)
    command = host_for(node, login(node)).backend.get_command("id -un")
    assert command == (f"{prefix}/bin/sh -c 'id -un'" if prefix else "id -un")


def test_host_sudo_switches_for_a_block(sshd, login):
    node = sshd.node()
    host = host_for(node, login(node))
    with host.sudo("elastic"):
        assert host.backend.get_command("id") == "sudo -n -u elastic /bin/sh -c id"
    assert host.backend.get_command("id") == "id"


def test_nothing_a_command_prints_reaches_logs_or_reprs(sshd, login, caplog):
    caplog.set_level(logging.DEBUG, logger="testinfra")
    caplog.set_level(logging.DEBUG)
    node = sshd.node()
    result = host_for(node, login(node)).run("echo canary-of-output; echo canary-of-output >&2")
    assert "canary-of-output" in result.stdout
    with pytest.raises(AssertionError) as caught:
        host_for(node, login(node)).check_output("echo canary-of-output; false")
    assert "canary-of-output" not in f"{result!r} {result} {caught.value} {caplog.text}"


def test_get_host_in_a_users_test_takes_the_runs_login(sshd, installed, carrier):
    installed(sshd.node(name="es-1"))
    assert testinfra.get_host(f"{carrier}://es-1").check_output("id -un") == USER
    assert testinfra.get_host("es-1").check_output("echo on") == "on"
    assert sshd.log.count("Accepted publickey") == 1


def test_get_host_of_another_host_is_a_login_of_its_own_and_verified(start_sshd, installed, carrier):
    first, second = start_sshd(), start_sshd()
    installed(first.node(name="es-1"))
    spec = f"{carrier}://{USER}@127.0.0.1:{second.port}?timeout=3"
    options = {"ssh_config": str(second.ssh_config), "ssh_identity_file": str(second.key)}
    assert testinfra.get_host(spec, **options).check_output("echo on") == "on"
    third = start_sshd()
    with pytest.raises(errors.HostKeyUnknown):
        testinfra.get_host(f"{carrier}://{USER}@127.0.0.1:{third.port}", **options).run("true")
    with pytest.raises(InventoryError):
        testinfra.get_host(f"{carrier}://a b")


def test_testinfra_still_has_the_parts_this_stands_on(installed):
    """BACKENDS and the backend contract are undocumented in testinfra 10: a new release may move them."""
    assert testinfra.backend.BACKENDS["paramiko"] == "testinfra.backend.paramiko.ParamikoBackend"
    assert testinfra.backend.BACKENDS["ssh"] == "testinfra.backend.ssh.SshBackend"
    installed()
    assert testinfra.backend.get_backend_class("paramiko") is NodeBackend
    assert testinfra.backend.get_backend_class("ssh") is OpenSshBackend
    assert set(testinfra.backend.BACKENDS) >= {"local", "ssh", "docker", "ansible", "kubectl", "winrm"}
    assert list(inspect.signature(BaseBackend.result).parameters) == ["self", "rc", "cmd", "stdout", "stderr"]
    assert list(inspect.signature(BaseBackend.get_sudo_command).parameters) == ["self", "command", "sudo_user"]
    host, options = testinfra.backend.parse_hostspec("paramiko://u@h:1?sudo=true&sudo_user=x&timeout=2&region=lost")
    assert (host, options) == ("u@h:1", {"connection": "paramiko", "sudo": True, "sudo_user": "x", "timeout": "2"})

"""One login a node for a whole run, shared, and closed at its end."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_login import jump_config

from preflight.connection import errors
from preflight.connection.connections import Connections

pytestmark = pytest.mark.usefixtures("carrier")


@pytest.fixture
def connections():
    shared = Connections(connect_timeout=5.0, insecure_host_keys=False)
    yield shared
    shared.close()


def test_a_node_is_logged_in_to_once_however_many_ask(sshd, connections):
    node = sshd.node()
    with ThreadPoolExecutor(8) as pool:
        logins = list(pool.map(lambda _: connections.get(node), range(8)))
    assert len({id(login) for login in logins}) == 1
    assert sshd.log.count("Connection from") == 1


def test_another_label_for_the_same_target_shares_the_login(sshd, connections):
    assert connections.get(sshd.node()) is connections.get(sshd.node(name="again", sudo=True))


def test_a_failure_is_remembered_and_costs_its_timeout_once(sshd):
    connections = Connections(connect_timeout=0.4, insecure_host_keys=False)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        node = sshd.node(port=mute.getsockname()[1])
        for most in (0.8, 0.05):
            started = time.monotonic()
            with pytest.raises(errors.ConnectTimeout):
                connections.get(node)
            assert time.monotonic() - started < most
    connections.close()


def test_nodes_behind_one_bastion_share_its_login(start_sshd, connections):
    bastion, targets = start_sshd(), [start_sshd(), start_sshd()]
    nodes = [target.node(ssh_config=jump_config(targets[0], bastion, "ProxyJump bastion")) for target in targets]
    targets[0].known_hosts.write_text("".join(target.known_hosts.read_text() for target in targets))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda node: connections.get(node).run("echo there").stdout, nodes))
    assert answers == [b"there\n"] * 2
    assert bastion.log.count("Accepted publickey") == 1


def test_closing_ends_every_login_and_leaves_no_thread(start_sshd):
    before = threading.active_count()
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    servers = [start_sshd(), start_sshd()]
    for server in servers:
        connections.get(server.node()).open("cat")
    started = time.monotonic()
    connections.close()
    assert time.monotonic() - started < 0.5
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline and (threading.active_count() > before or any(s.children() for s in servers)):
        time.sleep(0.01)
    assert threading.active_count() == before
    assert [server.children() for server in servers] == [[], []]
    with pytest.raises(errors.ConnectionFailed, match="closed"):
        connections.get(servers[0].node())

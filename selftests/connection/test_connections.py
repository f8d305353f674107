"""One login a node for a whole run, shared, and closed at its end."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from test_login import jump_config

from preflight.connection import errors, over_openssh, over_paramiko
from preflight.connection.connections import LOGINS_AT_ONCE, THROUGH_ONE_BASTION, Connections

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


def test_no_more_than_twenty_logins_at_once_and_five_through_a_bastion(sshd, monkeypatch):
    """Counted where each begins and ends; none that waits holds a place another could use."""
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    lock, now, most = threading.Lock(), Counter[str](), Counter[str]()
    bastion = sshd.node(name="bastion", host="bastion.example")

    def pretend(node, *, admission, jump, via, **_):
        if node.host == bastion.host:
            return NotALogin()
        behind = node.host.startswith("behind")
        groups = ("all", "behind") if behind else ("all",)
        if behind:
            jump(bastion, via)
        with admission(bastion if behind else None):
            with lock:
                now.update(groups)
                most.update({group: max(now[group] - most[group], 0) for group in groups})
            time.sleep(0.02)
            with lock:
                now.subtract(groups)
        raise errors.ConnectRefused("enough")

    for carrier in (over_paramiko, over_openssh):
        monkeypatch.setattr(carrier, "connect", pretend)
    nodes = [sshd.node(name=f"n{n}", host=f"{'behind' if n % 2 else 'direct'}-{n}") for n in range(80)]

    def attempt(node) -> None:
        with pytest.raises(errors.ConnectRefused):
            connections.get(node)

    with ThreadPoolExecutor(80) as pool:
        list(pool.map(attempt, nodes))
    assert (most["all"], most["behind"]) == (LOGINS_AT_ONCE, THROUGH_ONE_BASTION)
    connections.close()


class NotALogin:
    def close(self) -> None:
        """Nothing is held."""


class Doorkeeper:
    """A listener before an sshd that hangs up on the first connections, as sshd does over its MaxStartups."""

    def __init__(self, sshd, drops: int, words: bytes = b"Exceeded MaxStartups\r\n") -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen = 0
        self._sshd, self._drops, self._words = sshd, drops, words
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.seen += 1
            if self.seen <= self._drops:
                with peer:
                    peer.sendall(self._words)
                continue
            there = socket.create_connection(("127.0.0.1", self._sshd.port))
            for one, other in ((peer, there), (there, peer)):
                threading.Thread(target=_pour, args=(one, other), daemon=True).start()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with source, suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("words", [b"Exceeded MaxStartups\r\n", b""], ids=["said", "silent"])
def test_a_connection_dropped_before_the_login_is_tried_once_more(sshd, connections, words):
    door = Doorkeeper(sshd, 1, words)
    sshd.known_hosts.write_text(sshd.known_hosts.read_text().replace(str(sshd.port), str(door.port)))
    with door.listener:
        assert connections.get(sshd.node(port=door.port)).run("echo on").stdout == b"on\n"
    assert door.seen == 2
    assert sshd.log.count("Accepted publickey") == 1


def test_a_connection_dropped_twice_is_given_up(sshd, connections):
    door = Doorkeeper(sshd, 9)
    with door.listener, pytest.raises(errors.ConnectionDropped, match="without an SSH banner") as caught:
        connections.get(sshd.node(port=door.port))
    assert "MaxStartups" in caught.value.remedy
    assert door.seen == 2


def test_a_refused_login_is_tried_once_only(sshd, connections):
    with pytest.raises(errors.AuthenticationFailed):
        connections.get(sshd.node(identity_file=None))
    assert sshd.log.count("Connection from") == 1


def test_a_silent_node_behind_a_bastion_costs_its_siblings_nothing(start_sshd):
    """Tunnels through one login are opened side by side."""
    connections = Connections(connect_timeout=3.0, insecure_host_keys=False)
    bastion, target = start_sshd(), start_sshd()
    config = jump_config(target, bastion, "ProxyJump bastion")
    connections.get(target.node(ssh_config=config, port=target.port))
    login = connections.get(bastion.node(host="bastion", port=None, user=None, identity_file=None, ssh_config=config))
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fill = [socket.socket() for _ in range(3)]
        for one in fill:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        with ThreadPoolExecutor(1) as pool:
            silent = pool.submit(login.tunnel, *full.getsockname(), 2.0)
            time.sleep(0.2)
            started = time.monotonic()
            login.tunnel("127.0.0.1", target.port, 2.0).close()
            assert time.monotonic() - started < 1
            assert isinstance(silent.exception(), errors.CommandTimeout)
        for one in fill:
            one.close()
    connections.close()

"""Whose sockets they are: what a rule of nftables or iptables for one user goes by."""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from preflight.probe.sections.owner import Owner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="file system user ids of a thread are Linux's")
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may put another user on")


def owner_in_kernel(sock):
    """The uid of /proc/net/tcp for the connection's own end."""
    port = f":{sock.getsockname()[1]:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return next(int(row[7]) for row in rows if row[1].endswith(port) and row[3] == "01")


@needs_root
def test_a_connection_belongs_to_the_user_asked_for():
    owner = Owner(NOBODY, NOBODY)
    assert (owner.switched, owner.service, owner.user) == (True, True, "nobody")
    with socket.create_server(("127.0.0.1", 0)) as server, owner.connect(server.getsockname(), 5) as sock:
        assert owner_in_kernel(sock) == NOBODY


@needs_root
def test_nothing_else_of_the_process_changes():
    """Not the thread afterwards, not another thread meanwhile."""
    owner = Owner(NOBODY, NOBODY)
    look, seen = threading.Event(), []

    def other():
        look.wait(10)
        seen.append(owner.library.setfsuid(-1))

    beside = threading.Thread(target=other)
    beside.start()
    owner.put_on()
    try:
        look.set()
        beside.join()
    finally:
        owner.take_off()
    assert seen == [0]
    assert owner.library.setfsuid(-1) == 0


def test_without_a_process_it_is_ones_own():
    owner = Owner()
    assert (owner.switched, owner.service) == (False, None)
    with socket.create_server(("127.0.0.1", 0)) as server, owner.connect(server.getsockname(), 5) as sock:
        assert owner_in_kernel(sock) == os.geteuid()


def test_ones_own_user_needs_no_change():
    owner = Owner(os.geteuid(), os.getegid())
    assert (owner.switched, owner.service) == (False, True)


def test_who_may_not_put_it_on_says_so(monkeypatch):
    """As for a probe that runs as admin: the connections are its own, and that is told."""
    monkeypatch.setattr("preflight.probe.sections.owner.library", lambda: None)
    owner = Owner(NOBODY, NOBODY)
    assert (owner.switched, owner.service) == (False, False)
    assert owner.user != "nobody" or os.geteuid() == NOBODY

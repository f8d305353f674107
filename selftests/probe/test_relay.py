"""Bytes carried through the program."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from preflight.connection.errors import TargetRefused


@pytest.fixture
def listener():
    """Serve each connection to a loopback port with a function; yields (serve, port)."""
    server = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(function):
        def accept():
            while True:
                try:
                    wire, _ = server.accept()
                except OSError:
                    return
                thread = threading.Thread(target=run, args=(wire,), daemon=True)
                threads.append(thread)
                thread.start()

        def run(wire):
            with wire:
                function(wire)

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        threads.append(accepting)
        return server.getsockname()[1]

    yield serve
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for thread in threads:
        thread.join(5)


def echo(wire):
    while octets := wire.recv(65536):
        wire.sendall(octets)


def received(wire) -> bytes:
    parts = []
    while octets := wire.recv(1 << 20):
        parts.append(octets)
    return b"".join(parts)


def test_four_megabytes_there_and_back(start, listener, python):
    port = listener(echo)
    probe = start(python=python)
    sent = os.urandom(4 << 20)
    with probe.relay("127.0.0.1", port, 5) as wire:
        wire.settimeout(20)
        sender = threading.Thread(target=lambda: (wire.sendall(sent), wire.shutdown(socket.SHUT_WR)))
        sender.start()
        assert received(wire) == sent
        sender.join()


def test_questions_are_answered_while_a_relay_is_busy_and_its_reader_slow(start, listener):
    port = listener(lambda wire: wire.sendall(b"x" * (8 << 20)))
    probe = start()
    with probe.relay("127.0.0.1", port, 5) as wire:
        wire.settimeout(20)
        assert probe.ask({"ask": "clock"}, 5)["clock"]
        assert len(received(wire)) == 8 << 20


def test_several_relays_do_not_mix(start, listener):
    port = listener(echo)
    probe = start()
    wires = [probe.relay("127.0.0.1", port, 5) for _ in range(4)]
    for number, wire in enumerate(wires):
        wire.settimeout(10)
        wire.sendall(b"%d" % number * 1000)
    for number, wire in enumerate(wires):
        wire.shutdown(socket.SHUT_WR)
        assert received(wire) == b"%d" % number * 1000
        wire.close()


@pytest.mark.parametrize(("host", "words"), [("127.0.0.1", "refused"), ("no-such-host.invalid", "dns")])
def test_a_target_that_does_not_accept_says_how(start, host, words):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TargetRefused, match=words):
        start().relay(host, port, 5)


def test_the_far_end_closing_closes_the_socket(start, listener):
    port = listener(lambda wire: wire.sendall(b"bye"))
    with start().relay("127.0.0.1", port, 5) as wire:
        wire.settimeout(5)
        assert received(wire) == b"bye"


def test_closing_the_socket_closes_the_far_end(start, listener):
    gone = threading.Event()
    port = listener(lambda wire: (wire.recv(10), gone.set()))
    start().relay("127.0.0.1", port, 5).close()
    assert gone.wait(5)


def test_closing_the_session_ends_its_relays_and_leaves_no_thread(start, listener):
    port = listener(lambda wire: wire.recv(10))
    before = threading.active_count()
    probe = start()
    wire = probe.relay("127.0.0.1", port, 5)
    probe.close()
    wire.settimeout(5)
    assert wire.recv(1) == b""
    wire.close()
    ends = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < ends:
        time.sleep(0.02)
    assert threading.active_count() <= before

"""Commands, streams and tunnels on a real sshd: what comes back, and what must never be read as an answer."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import paramiko
import pytest
from loopback_sshd import ONLY_PARAMIKO
from paramiko.common import cMSG_CHANNEL_EOF

from preflight.connection import errors

pytestmark = pytest.mark.usefixtures("carrier")


def serve(answer: bytes = b"") -> tuple[socket.socket, int]:
    """A listener on loopback that echoes, with answer first."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.sendall(answer)
                while data := peer.recv(65536):
                    peer.sendall(data)

    threading.Thread(target=accept, daemon=True).start()
    return listener, listener.getsockname()[1]


def test_a_command_gives_its_output_and_status(sshd, login):
    done = login(sshd.node()).run("echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.exit_status) == (b"out\n", b"err\n", 7)


def test_a_status_of_255_is_an_answer(sshd, login):
    assert login(sshd.node()).run("exit 255").exit_status == 255


def test_much_output_on_both_sides_does_not_stand_still(sshd, login):
    done = login(sshd.node()).run("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; echo end", deadline=10)
    assert (len(done.stdout), len(done.stderr)) == (3_000_004, 3_000_000)


def test_nothing_waits_for_a_delayed_acknowledgement(sshd, login, carrier):
    """44 ms each: two small sends without TCP_NODELAY, the first command of a login without TCP_QUICKACK."""
    first, sends = [], []
    for _ in range(5):
        connection = login(sshd.node())
        started = time.monotonic()
        connection.run("true")
        first.append((time.monotonic() - started) * 1000)
        stream = connection.open("echo; head -c 2 >/dev/null; echo end")
        stream.receive(5)
        started = time.monotonic()
        stream.send(b"a")
        stream.send(b"b")
        stream.receive(5)
        sends.append((time.monotonic() - started) * 1000)
    # Nothing makes OpenSSH acknowledge at once: over ssh:// it is the first command of a login that waits.
    assert (min(first) < 30 or carrier == "ssh", min(sends) < 30) == (True, True), (first, sends)


def test_standard_input_is_closed_unless_given(sshd, login):
    connection = login(sshd.node())
    assert connection.run("cat", deadline=5).stdout == b""
    text = os.urandom(5_000_000)
    assert connection.run("cat", stdin=text, deadline=10).stdout == text


def test_a_program_that_ignores_its_input_still_ends(sshd, login):
    assert login(sshd.node()).run("exec <&-; echo done", stdin=bytes(4_000_000), deadline=5).stdout == b"done\n"


def test_one_login_serves_many_threads(sshd, login):
    connection = login(sshd.node())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: connection.run(f"echo {n}").stdout, range(24)))
    assert answers == [b"%d\n" % n for n in range(24)]
    assert sshd.log.count("Accepted publickey") == 1


@ONLY_PARAMIKO
def test_a_command_that_ends_at_once_does_not_end_the_login(sshd, login, monkeypatch):
    """paramiko's answer to a channel's end may overtake the end of input that is being sent: sshd then hangs up."""
    connection = login(sshd.node())
    send = paramiko.Transport._send_user_message

    def slowly(transport, message):
        if message.asbytes()[:1] == cMSG_CHANNEL_EOF:
            time.sleep(0.2)
        send(transport, message)

    monkeypatch.setattr(paramiko.Transport, "_send_user_message", slowly)
    connection.run("exit")
    monkeypatch.undo()
    assert connection.run("echo on").stdout == b"on\n"
    assert "nonexistent channel" not in sshd.log


def test_a_command_over_its_deadline_is_a_timeout_and_the_login_goes_on(sshd, login):
    connection = login(sshd.node())
    started = time.monotonic()
    with pytest.raises(errors.CommandTimeout, match=r"`sleep` on 127.0.0.1 did not end within 0.3 s"):
        connection.run("sleep 30; : secret", deadline=0.3)
    assert time.monotonic() - started < 1
    assert connection.run("echo on").stdout == b"on\n"


def test_a_connection_killed_during_a_command_is_no_answer(sshd, login):
    connection = login(sshd.node())
    child = sshd.children()[0]
    threading.Timer(0.2, os.kill, (child, signal.SIGKILL)).start()
    with pytest.raises(errors.ConnectionLost):
        connection.run("echo partial; sleep 5", deadline=5)
    with pytest.raises(errors.ConnectionLost):
        connection.run("true")


def test_a_command_that_a_signal_ends_is_no_answer(sshd, login):
    with pytest.raises(errors.ConnectionLost, match=r"a signal ended the command"):
        login(sshd.node()).run("kill -9 $$")


def test_a_frozen_host_costs_the_deadline(sshd, login):
    connection = login(sshd.node())
    os.kill(sshd.children()[0], signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(errors.CommandTimeout, match=r"does not answer within 0.4 s"):
        connection.run("true", deadline=0.4)
    assert time.monotonic() - started < 1
    started = time.monotonic()
    connection.close()
    assert time.monotonic() - started < 1


@ONLY_PARAMIKO
def test_a_host_that_freezes_before_the_command_starts_costs_the_deadline(sshd, login, monkeypatch):
    connection = login(sshd.node())
    child = sshd.children()[0]
    opened = paramiko.Transport.open_channel

    def freeze(*args, **kwargs):
        channel = opened(*args, **kwargs)
        os.kill(child, signal.SIGSTOP)
        return channel

    monkeypatch.setattr(paramiko.Transport, "open_channel", freeze)
    started = time.monotonic()
    with pytest.raises(errors.CommandTimeout, match=r"does not answer within 0.4 s"):
        connection.run("true", deadline=0.4)
    assert time.monotonic() - started < 1


def test_a_stream_is_a_conversation(sshd, login):
    stream = login(sshd.node()).open("echo warn >&2; while read line; do echo got $line; done; exit 3")
    for word in (b"one", b"two"):
        stream.send(word + b"\n")
        assert stream.receive(5) == b"got " + word + b"\n"
    assert stream.exit_status() is None
    deadline = time.monotonic() + 2
    while not stream.stderr() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stream.stderr() == b"warn\n"
    with pytest.raises(errors.CommandTimeout):
        stream.receive(0.1)
    stream.close()


def test_a_stream_tells_its_end_from_a_lost_connection(sshd, login):
    connection = login(sshd.node())
    stream = connection.open("echo bye; exit 3")
    assert (stream.receive(5), stream.receive(5)) == (b"bye\n", b"")
    deadline = time.monotonic() + 2
    while stream.exit_status() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stream.exit_status() == 3

    stream = connection.open("echo here; sleep 5")
    assert stream.receive(5) == b"here\n"
    os.kill(sshd.children()[0], signal.SIGKILL)
    with pytest.raises(errors.ConnectionLost):
        stream.receive(5)
    with pytest.raises(errors.ConnectionLost):
        stream.send(b"x")
    assert stream.exit_status() is None


def test_a_stream_keeps_64_kib_of_standard_error_and_drains_the_rest(sshd, login):
    stream = login(sshd.node()).open("head -c 3000000 /dev/zero >&2; echo end")
    assert stream.receive(5) == b"end\n"
    assert len(stream.stderr()) == 65536


def test_a_program_ends_when_its_stream_is_closed(sshd, login, tmp_path):
    marker = tmp_path / "ended"
    stream = login(sshd.node()).open(f"cat; echo > {marker}")
    stream.close()
    deadline = time.monotonic() + 3
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert marker.exists()


def test_a_tunnel_carries_bytes_both_ways_and_leaves_nothing_behind(sshd, login):
    listener, port = serve(b"hello")
    before = threading.active_count()
    connection = login(sshd.node())
    with listener, connection.tunnel("127.0.0.1", port, 5) as tunnel:
        assert tunnel.recv(100) == b"hello"
        text = os.urandom(1_000_000)
        threading.Thread(target=tunnel.sendall, args=(text,), daemon=True).start()
        back = bytearray()
        while len(back) < len(text):
            back += tunnel.recv(65536)
        assert back == text
    connection.close()
    deadline = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_what_the_node_sent_before_it_closed_is_read_to_its_end(sshd, login):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tunnel = login(sshd.node()).tunnel("127.0.0.1", listener.getsockname()[1], 5)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(bytes(300_000))
    with tunnel:
        received = 0
        while data := tunnel.recv(65536):
            received += len(data)
    assert received == 300_000


def test_a_silent_target_times_out_on_the_socket(sshd, login):
    listener, port = serve()
    with listener, login(sshd.node()).tunnel("127.0.0.1", port, 0.2) as tunnel, pytest.raises(TimeoutError):
        tunnel.recv(1)


def test_a_tunnel_to_a_closed_port_is_refused_by_the_target(sshd, login):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(errors.TargetRefused, match=f"127.0.0.1 port {port} does not accept"):
        login(sshd.node()).tunnel("127.0.0.1", port, 5)


def test_failing_tunnels_and_commands_keep_their_reasons_apart(sshd, login):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    connection = login(sshd.node())

    def attempt(number: int) -> object:
        if number % 2:
            return connection.run("echo on").stdout
        with pytest.raises(errors.ConnectionFailed) as caught:
            connection.tunnel("127.0.0.1", port, 5)
        return type(caught.value)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(attempt, range(16))) == [errors.TargetRefused, b"on\n"] * 8


def test_sshd_that_forbids_forwarding_says_so(start_sshd, login):
    connection = login(start_sshd("AllowTcpForwarding no").node())
    with pytest.raises(errors.ForwardingForbidden) as caught:
        connection.tunnel("127.0.0.1", 9200, 5)
    assert "AllowTcpForwarding" in caught.value.remedy
    assert connection.run("echo on").stdout == b"on\n"


def test_a_second_session_over_max_sessions_is_named(start_sshd, login):
    connection = login(start_sshd("MaxSessions 1").node())
    stream = connection.open("cat")
    with pytest.raises(errors.SessionRefused) as caught:
        connection.run("true")
    assert "MaxSessions" in caught.value.remedy
    stream.send(b"on\n")
    assert stream.receive(5) == b"on\n"
    stream.close()

"""A node's port over a session: real requests to moto, the lab's plugin, and this machine's own ports behind it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ssm_server import CHECKOUT, REGION, instance

from lab import aws_ssm, names
from preflight import own_views
from preflight.asked import _Carrier
from preflight.connection import errors, ssm, ssm_forward, ssm_phases
from preflight.connection.connections import Connections
from preflight.connection.ssm import Fleet
from preflight.inventory import Node
from preflight.probe.sections import pieces

PLUGIN = CHECKOUT / "lab" / "bin"


@pytest.fixture(autouse=True)
def plugin(monkeypatch):
    """The lab's stand-in comes first in PATH."""
    monkeypatch.setenv("PATH", str(PLUGIN), prepend=os.pathsep)


@pytest.fixture
def echo():
    """A port of this machine's that says back what it is told, with a word before; it counts connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = []

        def serve():
            while True:
                try:
                    wire, _ = listener.accept()
                except OSError:
                    return
                seen.append(1)
                threading.Thread(target=answer, args=(wire,), daemon=True).start()

        def answer(wire):
            with wire:
                wire.sendall(b"here: " + wire.recv(100))

        threading.Thread(target=serve, daemon=True).start()
        yield SimpleNamespace(port=listener.getsockname()[1], seen=seen)
        listener.shutdown(socket.SHUT_RDWR)


def said(wire):
    with wire:
        wire.sendall(b"hello")
        return b"".join(iter(lambda: wire.recv(100), b""))


def plugins(parent=None):
    """Processes of the stand-in that this one has started and that run now: pid -> its command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            started_by = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if "lab.session_plugin" in words and started_by == (parent or os.getpid()):
            found[int(entry.name)] = words
    return found


def gone(pids, seconds=8.0):
    until = time.monotonic() + seconds
    while any(map(runs, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(runs, pids))


def runs(pid):
    try:
        return "lab.session_plugin" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def written_plugin(folder, text):
    """A plugin that behaves as the shell script says, first in a folder of its own."""
    file = folder / ssm_forward.PROGRAM
    file.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {{ echo 1.2.792.0; exit; }}\n{text}\n')
    file.chmod(0o755)
    return str(folder)


# -- what is asked for -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "document", "parameters"),
    [
        ("127.0.0.1", "AWS-StartPortForwardingSession", {"portNumber": ["9200"]}),
        ("::1", "AWS-StartPortForwardingSession", {"portNumber": ["9200"]}),
        ("localhost", "AWS-StartPortForwardingSession", {"portNumber": ["9200"]}),
        (
            "10.0.0.5",
            "AWS-StartPortForwardingSessionToRemoteHost",
            {"host": ["10.0.0.5"], "portNumber": ["9200"]},
        ),
    ],
)
def test_loopback_needs_the_plain_document_and_an_address_the_one_with_a_host(host, document, parameters):
    found, given = ssm_forward.asked(host, 9200)
    assert (found.name, given) == (document, parameters)


# -- a session ---------------------------------------------------------------------------------------------------------


def test_connections_to_a_port_share_one_session_and_nothing_is_left(managed, fleet, echo):
    connection = fleet.connect(managed.set(1))
    before = set(plugins())
    wires = [connection.tunnel("127.0.0.1", echo.port, 10) for _ in range(3)]
    started = set(plugins()) - before
    assert [said(wire) for wire in wires] == [b"here: hello"] * 3
    assert len(echo.seen) == 3 and len(started) == 1
    folders = {Path(f"/proc/{pid}/environ").read_bytes() for pid in started}
    (directory,) = {Path(v.decode()[7:]) for text in folders for v in text.split(b"\0") if v.startswith(b"TMPDIR=")}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    connection.close()
    assert gone(started) and not directory.exists()
    assert (fleet.calls["StartSession"], fleet.calls["TerminateSession"]) == (1, 1)
    with pytest.raises(errors.ConnectionLost):
        connection.tunnel("127.0.0.1", echo.port, 10)
    assert fleet.calls["StartSession"] == 1


def test_threads_that_ask_at_once_get_one_session(managed, fleet, echo):
    connection, heard = fleet.connect(managed.set(1)), []

    def ask():
        heard.append(said(connection.tunnel("127.0.0.1", echo.port, 10)))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    connection.close()
    assert heard == [b"here: hello"] * 5 and fleet.calls["StartSession"] == 1


def test_the_sessions_token_is_on_no_command_line(managed, fleet, echo):
    connection = fleet.connect(managed.set(1))
    before = set(plugins())
    connection.tunnel("127.0.0.1", echo.port, 10).close()
    (words,) = [words for pid, words in plugins().items() if pid not in before]
    connection.close()
    _, _, _, variable, region, operation, profile, request, endpoint, _ = words
    assert (variable, region, operation, profile) == (ssm_forward.VARIABLE, REGION, "StartSession", "")
    assert json.loads(request) == {
        "Target": instance(1),
        "DocumentName": "AWS-StartPortForwardingSession",
        "Parameters": {"portNumber": [str(echo.port)]},
        "Reason": "Elasticsearch snapshot preflight",
    }
    assert endpoint == managed.url


def test_a_port_that_nobody_listens_on_closes_the_connection(managed, fleet):
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    connection = fleet.connect(managed.set(1))
    try:
        with connection.tunnel("127.0.0.1", port, 10) as wire:
            assert wire.recv(1) == b""
    finally:
        connection.close()


def test_what_the_node_refuses_is_told_from_what_waits_for_a_word(managed, fleet, echo):
    with socket.create_server(("127.0.0.1", 0)) as once:
        closed = once.getsockname()[1]
    asked = SimpleNamespace(connection=fleet.connect(managed.set(1)), session=object())
    try:
        assert _Carrier(asked, f"https://127.0.0.1:{closed}").hangs_up(10)
        assert not _Carrier(asked, f"https://127.0.0.1:{echo.port}").hangs_up(10)
    finally:
        asked.connection.close()


def test_the_runs_end_ends_its_sessions_and_begins_none(managed, echo):
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    node = Node(name="es-1", host=managed.set(1), carrier="ssm", region=REGION)
    connection = connections.get(node)
    before = set(plugins())
    connection.tunnel("127.0.0.1", echo.port, 10).close()
    started = set(plugins()) - before
    connections.close()
    assert len(started) == 1 and gone(started)
    with pytest.raises(errors.ConnectionLost, match="closed"):
        connection.tunnel("::1", echo.port, 10)
    assert gone(set(plugins()) - before)


def test_a_session_that_aws_ends_is_told_and_not_begun_again(managed, fleet, echo):
    connection = fleet.connect(managed.set(1))
    before = set(plugins())
    connection.tunnel("127.0.0.1", echo.port, 10).close()
    started = set(plugins()) - before
    for pid in started:
        os.kill(pid, signal.SIGTERM)
    assert gone(started)
    with pytest.raises(errors.ConnectionLost, match=f"the session with {instance(1)} has ended"):
        for _ in range(100):  # until the reader has seen it
            connection.tunnel("127.0.0.1", echo.port, 10).close()
            time.sleep(0.05)
    connection.close()
    assert fleet.calls["StartSession"] == 1


def test_a_run_that_is_killed_leaves_no_plugin(managed, echo):
    program = (
        "import sys; from preflight.connection.ssm import Fleet\n"
        f"Fleet('{REGION}', None, 5.0).connect('{managed.set(1)}').tunnel('127.0.0.1', {echo.port}, 10)\n"
        "print('up', flush=True); sys.stdin.read()"
    )
    run = subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert run.stdout.readline() == b"up\n"
        started = set(plugins(run.pid))
    finally:
        run.kill()
        run.wait(10)
        run.stdin.close()
        run.stdout.close()
    assert len(started) == 1 and gone(started)


# -- what is in the way ------------------------------------------------------------------------------------------------


def test_without_the_plugin_no_session_is_begun_and_the_sentence_says_what_to_install(managed, fleet, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    connection = fleet.connect(managed.set(1))
    with pytest.raises(errors.ForwardingForbidden, match="there is no session-manager-plugin in PATH") as caught:
        connection.tunnel("127.0.0.1", 9200, 10)
    assert caught.value.remedy == "install AWS's session-manager-plugin, 1.2.536.0 or newer, on this machine"
    assert fleet.calls["StartSession"] == 0


@pytest.mark.parametrize("told", ["1.2.497.0", "nonsense", ""])
def test_a_plugin_that_shows_the_token_to_everybody_is_not_used(managed, fleet, monkeypatch, tmp_path, told):
    (tmp_path / ssm_forward.PROGRAM).write_text(f"#!/bin/sh\necho '{told}'\n")
    (tmp_path / ssm_forward.PROGRAM).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(errors.ForwardingForbidden, match="takes a session's token on its command line"):
        fleet.connect(managed.set(1)).tunnel("127.0.0.1", 9200, 10)
    assert fleet.calls["StartSession"] == 0


def test_a_denied_session_names_the_action_the_instance_and_the_document(managed, fleet):
    connection = fleet.connect(managed.set(1))
    (managed.directory / "denied").write_text("")
    for _ in range(2):
        with pytest.raises(errors.ForwardingForbidden, match="AWS does not allow ssm:StartSession") as caught:
            connection.tunnel("198.18.0.11", 9200, 10)
    assert caught.value.remedy == (
        f"allow it on {instance(1)} and on the document AWS-StartPortForwardingSessionToRemoteHost: "
        "docs/aws-ssm-policy.json is the policy that is enough"
    )
    assert fleet.calls["StartSession"] == 1


def test_an_agent_too_old_for_an_address_is_never_asked_and_still_serves_its_loopback(managed, fleet, echo):
    """It would take no host, and connect to its loopback instead."""
    connection = fleet.connect(managed.set(1, "online 3.1.1260.0"))
    with pytest.raises(errors.ForwardingForbidden, match=r"is 3.1.1260.0, and AWS-\w+ToRemoteHost needs 3.1.1374.0"):
        connection.tunnel("198.18.0.11", 9200, 10)
    assert fleet.calls["StartSession"] == 0
    assert said(connection.tunnel("127.0.0.1", echo.port, 10)) == b"here: hello"
    connection.close()


def test_an_instance_that_is_not_connected_says_what_to_look_at(managed, fleet):
    connection = fleet.connect(managed.set(1))
    managed.set(1, "lost")
    with pytest.raises(errors.ForwardingForbidden, match="TargetNotConnected") as caught:
        connection.tunnel("127.0.0.1", 9200, 10)
    assert "ssmmessages" in caught.value.remedy


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("echo 'Cannot perform start session: dial tcp: no route' >&2", "ended before it listened: Cannot perform"),
        ("echo working; sleep 60", "does not listen within .* s: working"),
        ('echo "got $AWS_SSM_START_SESSION_RESPONSE"', "ended before it listened: got"),
    ],
)
def test_a_plugin_that_does_not_listen_is_quoted_and_its_session_ended(
    managed, fleet, monkeypatch, tmp_path, does, words
):
    monkeypatch.setenv("PATH", written_plugin(tmp_path, does), prepend=os.pathsep)
    connection = fleet.connect(managed.set(1))
    with pytest.raises(errors.ConnectionLost, match=words) as caught:
        connection.tunnel("127.0.0.1", 9200, 2)
    assert 'TokenValue": "…"' in str(caught.value) or "got" not in words
    assert fleet.calls == {"DescribeInstanceInformation": 1, "StartSession": 1, "TerminateSession": 1}


def test_the_stand_in_is_refused_with_a_token_that_was_not_given_out(managed, monkeypatch):
    answer = {"SessionId": "operator-0", "TokenValue": "made up", "StreamUrl": "ws://127.0.0.1:1/operator-0"}
    request = json.dumps({"Target": instance(1), "Parameters": {}})
    real = Fleet(REGION, None, 5.0)
    managed.set(1)
    begun = real._call("start_session", Target=instance(1), DocumentName="AWS-StartPortForwardingSession")
    answer["StreamUrl"] = begun["StreamUrl"]
    done = subprocess.run(
        [str(PLUGIN / ssm_forward.PROGRAM), ssm_forward.VARIABLE, REGION, "StartSession", "", request, managed.url],
        env={**os.environ, ssm_forward.VARIABLE: json.dumps(answer)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "the session's token is not valid" in done.stdout and "Waiting" not in done.stdout


# -- permissions -------------------------------------------------------------------------------------------------------


def test_the_policy_allows_every_request_that_is_made_and_no_other(managed, fleet, echo):
    connection = fleet.connect(managed.set(1))
    connection.run("true")
    said(connection.tunnel("127.0.0.1", echo.port, 10))
    connection.close()
    statements = json.loads(names.SSM_POLICY.read_text())["Statement"]
    actions = set()
    for one in statements:
        actions |= {one["Action"]} if isinstance(one["Action"], str) else set(one["Action"])
    # The last two are the plugin's own: it opens its end of a session, and opens it again where the wire was cut.
    of_the_plugin = {"ssmmessages:OpenDataChannel", "ssm:ResumeSession"}
    assert {f"ssm:{name}" for name in fleet.calls} | of_the_plugin == actions
    (starts,) = [one for one in statements if one["Action"] == "ssm:StartSession"]
    for document in (ssm_forward.TO_ITSELF, ssm_forward.TO_AN_ADDRESS):
        assert f"arn:aws:ssm:*::document/{document.name}" in starts["Resource"]


def test_the_agents_that_the_lab_tells_of_are_new_enough():
    assert ssm_forward.version(aws_ssm.AGENT) >= ssm_forward.TO_AN_ADDRESS.agent


# -- the document ------------------------------------------------------------------------------------------------------


def test_the_documents_figures_are_the_programs():
    text = (CHECKOUT / "docs" / "ssm.md").read_text()
    numbers = {10: "ten", 30: "thirty", 50: "fifty", 900: "quarter of an hour"}

    def dotted(version):
        return ".".join(map(str, version))

    for figure in (
        f"{ssm_forward.PROGRAM}`, {dotted(ssm_forward.OLDEST)} or newer",
        f"{ssm_forward.TO_ITSELF.name}` (agent {dotted(ssm_forward.TO_ITSELF.agent)} or newer)",
        f"the node's own address (agent {dotted(ssm_forward.TO_AN_ADDRESS.agent)} or newer",
        f"The first {numbers[own_views.AT_ONCE]} nodes",
        f"{numbers[own_views.AT_ONCE]} at a time, {numbers[own_views.MOST]} in all",
        f"More nodes are more commands of {numbers[ssm.AT_ONCE]}",
        f"beyond {ssm_phases.PARAMETERS:,} characters",
        f"the first {ssm.OUTPUT:,} characters",
        f"a {numbers[pieces.FORGOTTEN]} later",
    ):
        assert figure in text, figure

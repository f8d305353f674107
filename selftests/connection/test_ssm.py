"""Nodes over AWS Systems Manager: real requests to moto, whose commands run in shells here."""

from __future__ import annotations

import base64
import socket
import threading
import zlib
from pathlib import Path

import boto3
import pytest
import testinfra
import testinfra.backend
from ssm_server import REGION, instance
from testinfra.host import Host

from preflight import survey
from preflight.connection import errors
from preflight.connection.connections import Connections
from preflight.connection.ssm import OUTPUT, Fleet
from preflight.connection.testinfra_backend import install
from preflight.inventory import Node
from preflight.probe import phases
from preflight.probe.session import ProbeFailed
from preflight.questions import Settings


def together(*jobs):
    """What each job gave or raised, all at once."""
    results = [None] * len(jobs)

    def work(at, job):
        try:
            results[at] = job()
        except Exception as error:
            results[at] = error

    threads = [threading.Thread(target=work, args=(at, job)) for at, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


# -- one command -------------------------------------------------------------------------------------------------------


def test_a_command_has_its_own_exit_status_and_both_outputs(managed, fleet):
    done = fleet.connect(managed.set(1)).run("echo out; echo err >&2; exit 3")
    assert (done.exit_status, done.stdout, done.stderr) == (3, b"out\n", b"err\n")


def test_output_that_aws_cuts_off_is_no_answer(managed, fleet):
    connection = fleet.connect(managed.set(1))
    assert len(connection.run(f"head -c {OUTPUT - 1} /dev/zero | tr '\\0' x").stdout) == OUTPUT - 1
    with pytest.raises(errors.ConnectionLost, match="was cut off: over ssm:// AWS keeps its first 24000 characters"):
        connection.run(f"head -c {OUTPUT} /dev/zero | tr '\\0' x")


def test_a_command_that_outlives_its_time_is_an_error_that_says_so(managed, fleet):
    connection = fleet.connect(managed.set(1))
    with pytest.raises(errors.ConnectionFailed, match=r"the command outlived its time on i-.* Execution"):
        connection.run("sleep 30", deadline=-4)


def test_nothing_is_typed_or_left_running(managed, fleet):
    connection = fleet.connect(managed.set(1))
    with pytest.raises(errors.SessionRefused):
        connection.run("cat", stdin=b"text")
    with pytest.raises(errors.SessionRefused):
        connection.open("cat")


# -- who is there ------------------------------------------------------------------------------------------------------


def test_instances_without_an_agent_are_unreachable_each_with_its_reason(managed, fleet):
    managed.set(1)
    managed.set(2, "lost")
    for number in (1, 2, 3):
        fleet.expect(instance(number), number)
    fleet.connect(instance(1))
    with pytest.raises(
        errors.HostUnreachable, match=r"agent of i-.*2 is not online .PingStatus ConnectionLost"
    ) as lost:
        fleet.connect(instance(2))
    with pytest.raises(errors.HostUnreachable, match=f"knows no managed node {instance(3)} in {REGION}"):
        fleet.connect(instance(3))
    assert "ssmmessages" in lost.value.remedy
    assert fleet.calls == {"DescribeInstanceInformation": 1}


def test_without_credentials_or_region_the_error_says_what_to_give(managed, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(errors.ConnectionFailed, match="Unable to locate credentials") as caught:
        Fleet(REGION, None, 5.0).connect(instance(1))
    assert "aws sts get-caller-identity" in caught.value.remedy
    with pytest.raises(errors.ConnectionFailed, match="region"):
        Fleet(None, None, 5.0).connect(instance(1))
    with pytest.raises(errors.ConnectionFailed, match=r"ops"):
        Fleet(REGION, "ops", 5.0).connect(instance(1))


# -- the probe ---------------------------------------------------------------------------------------------------------


def test_all_nodes_of_a_phase_are_asked_by_one_command(managed):
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    nodes = [Node(name=f"es-{n}", host=managed.set(n), carrier="ssm", region=REGION) for n in range(1, 6)]
    connections.expect(nodes)

    def survey(node):
        session = phases.PhasedSession(connections.get(node))
        answer = session.ask({"ask": "facts", "sections": ["system"], "deadline": 20}, 20)
        destinations = [{"purpose": node.name, "target": "127.0.0.1"}]
        paths = {"ask": "paths", "dials": [], "destinations": destinations, "buckets": [], "connect_timeout": 1}
        second, _ = session.ask_all([{**paths, "deadline": 20}, {"ask": "clock"}], 20)
        return answer["sections"]["system"]["value"]["hostname"], second["paths"][0]["purpose"], session.clock_offset()

    name = socket.gethostname()
    assert together(*(lambda node=node: survey(node) for node in nodes)) == [
        (name, node.name, pytest.approx(0.0, abs=0.2)) for node in nodes
    ]
    requests = connections.requests()
    assert (requests["DescribeInstanceInformation"], requests["SendCommand"]) == (1, 2)


def test_more_than_fifty_instances_are_several_commands(managed, fleet):
    ids = [managed.set(number) for number in range(1, 54)]
    results = fleet.send("echo $AWS_SSM_INSTANCE_ID", ids, 30)
    assert {one: done.stdout.decode().strip() for one, done in results.items()} == {one: one for one in ids}
    assert fleet.calls["SendCommand"] == 2


def test_one_that_goes_away_costs_the_others_nothing(managed, fleet):
    one, other = fleet.connect(managed.set(1)), managed.set(2)
    fleet.connect(other)
    managed.set(2, "lost")
    results = fleet.send("echo here", [one.instance, other], 30)
    assert results[one.instance].stdout == b"here\n"
    assert "InvalidInstanceId" in str(results[other])


def test_a_long_answer_comes_in_pieces_and_nothing_stays(managed, monkeypatch):
    monkeypatch.setattr(phases, "PIECE", 300)
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    nodes = [Node(name=f"es-{n}", host=managed.set(n), carrier="ssm", region=REGION) for n in (1, 2)]
    connections.expect(nodes)

    def ask(node):
        session = phases.PhasedSession(connections.get(node))
        return session.ask({"ask": "facts", "sections": ["system", "routing"], "deadline": 20}, 20)["sections"]

    first, second = together(*(lambda node=node: ask(node) for node in nodes))
    assert "value" in first["system"] and "value" in second["routing"]
    assert not [*Path("/run").glob("es-preflight-*"), *Path("/tmp").glob("es-preflight-" + "[0-9a-f]" * 16)]


def test_a_node_that_fails_is_not_waited_for_again(managed):
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    nodes = [Node(name=f"es-{n}", host=managed.set(n), carrier="ssm", region=REGION) for n in (1, 2)]
    connections.expect(nodes)
    broken = phases.PhasedSession(connections.get(nodes[0]), sudo_user="nobody-of-that-name")
    whole = phases.PhasedSession(connections.get(nodes[1]))
    with pytest.raises(ProbeFailed):
        broken.ask({"ask": "clock"}, 20)
    assert "clock" in whole.ask({"ask": "clock"}, 20)


# -- a survey ----------------------------------------------------------------------------------------------------------


def test_a_surveys_commands_hold_no_secret(managed, tmp_path):
    """Not the run's key, no password, no login, whatever the run was given: AWS keeps commands."""
    (tmp_path / "password").write_text("canary-PASSWORD")
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    settings = Settings(
        connections=connections,
        command_timeout=30.0,
        keystore_password_file=tmp_path / "password",
        environ={"ES_PREFLIGHT_USER": "canary-USER", "ES_PREFLIGHT_PASSWORD_FILE": str(tmp_path / "password")},
    )
    node = Node(name="es-1", host=managed.set(0x5EC2E7), carrier="ssm", region=REGION)
    lines = []
    survey.run([node], settings, {"system", "keystore", "cluster", "dials", "paths"}, lines.append)
    commands = boto3.client("ssm", region_name=REGION).list_commands(InstanceId=node.host)["Commands"]
    said = [told for command in commands for told in everything_in(command["Parameters"]["commands"][0])]
    assert len(said) == 2 * len(commands) >= 2
    for secret in ("canary", settings.fingerprints.text):
        assert not [told for told in said if secret in told]
    assert any(line.startswith("AWS Systems Manager: 1 DescribeInstanceInformation") for line in lines)


def everything_in(script):
    """The script, and what it brings along packed."""
    *_, packed, end, _ = script.split("\n")
    assert end == "es-preflight"
    return script, zlib.decompress(base64.b64decode(packed)).decode()


# -- a user's own tests ------------------------------------------------------------------------------------------------


def test_testinfras_modules_work_over_it(managed, monkeypatch, tmp_path):
    monkeypatch.setattr(testinfra.backend, "BACKENDS", dict(testinfra.backend.BACKENDS))
    monkeypatch.setattr(Host, "_host_cache", {})
    install(Connections(connect_timeout=5.0, insecure_host_keys=False), [])
    host = testinfra.get_host(f"ssm://{managed.set(1)}", region=REGION)
    (tmp_path / "motd").write_text("grüß dich\n")
    assert host.file(f"{tmp_path}/motd").content_string == "grüß dich\n"
    assert host.run("exit 9").rc == 9
    assert host.backend.get_command("id") == "id"

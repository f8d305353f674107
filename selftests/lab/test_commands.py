"""The lab's commands where nothing is brought up: usage, refusals, one command at a time."""

import ipaddress
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import names, requirements, state
from lab.__main__ import main
from lab.errors import LabError
from lab.faults import FAULTS
from lab.state import Lab

ROOT = Path(__file__).parent.parent.parent

needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the lab's commands need root on Linux"
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")


def lab(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "lab", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def no_lab(monkeypatch, tmp_path):
    """A machine on which nothing is up, whatever is up on this one."""
    monkeypatch.setattr(names, "RECORD", tmp_path / "lab.json")
    return tmp_path


def test_faults_are_listed_a_line_each_to_anybody(capsys):
    assert main(["faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)
    assert all(len(line.split()) > 3 for line in lines)


def test_no_command_and_an_unknown_one_are_usage_errors():
    for arguments in ((), ("explode",), ("up", "--nodes", "many"), ("break", "stale-keystore")):
        assert lab(*arguments)[0] == 2


def test_anybody_but_root_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["status"]) == 1
    assert "needs root" in capsys.readouterr().err


@needs_root
@pytest.mark.parametrize(
    "arguments",
    [["exec", "es-1", "--", "true"], ["shell", "es-1"], ["restart", "es-1"], ["break", "host-down", "es-1"], ["heal"]],
)
def test_what_needs_a_lab_says_how_to_get_one(no_lab, monkeypatch, capsys, arguments):
    monkeypatch.setattr(state, "LOCK", f"\0lab-selftest-{os.getpid()}")
    assert main(arguments) == 1
    assert capsys.readouterr().err == "lab: no lab is up: `python -m lab up`\n"


@needs_root
def test_status_without_a_lab_says_so_and_fails(no_lab, capsys):
    assert main(["status"]) == 1
    assert capsys.readouterr().out == "no lab is up\n"


@needs_root
@pytest.mark.parametrize("count", ["0", "10", "-1"])
def test_as_many_nodes_as_there_is_room_for(capsys, count):
    assert main(["up", "--nodes", count]) == 1
    assert "1 to 9" in capsys.readouterr().err


def test_everything_missing_is_named_with_the_one_command_that_brings_it(monkeypatch):
    monkeypatch.setitem(requirements.PACKAGES, "no-such-program", "a-package")
    monkeypatch.setitem(requirements.PACKAGES, "nor-this-one", "another")
    with pytest.raises(LabError, match="no-such-program, nor-this-one: `apt-get install -y a-package another`"):
        requirements.check(elasticsearch=False)


@linux
def test_a_second_command_is_refused_by_naming_the_first_and_the_lock_ends_with_its_holder(monkeypatch):
    monkeypatch.setattr(state, "LOCK", f"\0lab-selftest-{os.getpid()}")
    with state.lock(), pytest.raises(LabError, match=rf"another lab command is at work \(pid {os.getpid()}\)"):  # noqa: SIM117
        with state.lock():
            pass
    with state.lock():
        pass


def test_the_record_survives_between_commands(no_lab):
    written = Lab(3, "8.19.21", "/srv/suite", complete=True, broken=[("host-down", "es-2")])
    written.save()
    assert state.load() == written
    assert state.require().node("es-3").address == "198.18.0.13"
    with pytest.raises(LabError, match=r"no node 'es-4': choose from es-1, es-2, es-3"):
        written.node("es-4")


def test_a_record_cut_short_counts_as_an_interrupted_lab(no_lab):
    names.RECORD.write_text('{"count": 3, "ver')
    assert state.load() is not None
    with pytest.raises(LabError, match="no lab is up"):
        state.require()


def test_names_and_addresses_are_distinct_and_lie_in_the_range_that_is_nobodys():
    nodes = names.nodes(names.MOST_NODES)
    first = names.SUBNETS[0]
    for values in (
        [node.address for node in nodes] + [first.gateway, names.DNS, names.CONTROLLER, first.dead_gateway],
        [node.mac for node in nodes],
        [node.instance_id for node in nodes],
        [node.hostname for node in nodes],
    ):
        assert len(set(values)) == len(values)
    assert all(ipaddress.ip_address(node.address) in ipaddress.ip_network(first.cidr) for node in nodes)
    networks = [ipaddress.ip_network(cidr) for cidr in (names.AWS_SUBNET, *(subnet.cidr for subnet in names.SUBNETS))]
    assert all(network.subnet_of(ipaddress.ip_network(names.WHOLE_NETWORK)) for network in networks)
    assert not any(one.overlaps(other) for one in networks for other in networks if one is not other)
    assert all(len(node.instance_id) == len("i-0123456789abcdef0") for node in nodes)
    assert nodes[0].hostname == "ip-198-18-0-11"

"""What several threads want is one command: for all that are expected, for those that come, in as many as it needs."""

import threading

import pytest

from preflight.connection import Completed, ssm_phases
from preflight.connection.errors import ConnectionFailed, ConnectionLost


def asked(phases, names, key="ask", render=lambda parts: ",".join(sorted(parts))):
    """What came of each name's part, all handed in at once."""
    came = {}

    def ask(name):
        try:
            came[name] = phases.together(key, name, f"i-{name}", name, render, 1.0).done.stdout.decode()
        except ConnectionFailed as failure:
            came[name] = failure

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return came


@pytest.fixture
def sent():
    return []


@pytest.fixture
def phases(sent):
    def send(script, instances, seconds):
        sent.append(script)
        return {one: Completed(0, script.encode(), b"") for one in instances}

    made = ssm_phases.Phases(send)
    for name in "abc":
        made.expect(name)
    return made


def test_all_that_are_expected_go_together(phases, sent, monkeypatch):
    monkeypatch.setattr(ssm_phases, "QUIET", 60.0)
    assert asked(phases, "abc") == dict.fromkeys("abc", "i-a,i-b,i-c")
    assert asked(phases, "cab") == dict.fromkeys("abc", "i-a,i-b,i-c")
    assert len(sent) == 2


def test_one_that_left_is_not_waited_for(phases, sent, monkeypatch):
    monkeypatch.setattr(ssm_phases, "QUIET", 60.0)
    phases.leave("b")
    assert asked(phases, "ac") == dict.fromkeys("ac", "i-a,i-c")


def test_one_that_does_not_come_is_waited_for_a_moment(phases, sent):
    assert asked(phases, "ab") == dict.fromkeys("ab", "i-a,i-b")


def test_a_script_too_long_for_one_command_is_several(phases, sent, monkeypatch):
    monkeypatch.setattr(ssm_phases, "PARAMETERS", 8)
    came = asked(phases, "abc")
    assert sorted(sent) == sorted(set(came.values())) and max(map(len, sent)) <= 8


def test_a_failure_is_everybodys_and_a_bug_of_ours_leaves_nobody_waiting(monkeypatch):
    def refuse(script, instances, seconds):
        return dict.fromkeys(instances, ConnectionLost("gone", "again"))

    came = asked(ssm_phases.Phases(refuse), "ab")
    assert {str(failure) for failure in came.values()} == {"gone"}
    assert came["a"] is not came["b"]
    came = asked(ssm_phases.Phases(refuse), "ab", render=lambda parts: 1 / 0)
    assert {str(failure) for failure in came.values()} == {"our own bug in a command over ssm://: ZeroDivisionError"}

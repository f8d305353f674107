"""A user's own tests beside the checks: on facts, on testinfra's `host` over the run's one login, and plain ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "connection"))
from loopback_sshd import Sshd

HOST_TESTS = '''
from preflight.check import check
from preflight.facts import known

@check("NODE-1", severity="critical", needs=("login", "system"))
def test_login(node):
    """The node can be surveyed."""
    assert known(node.login) and known(node.system)

def test_runs_on_the_node(host):
    assert host.run("printf %s hello").stdout == "hello"

def test_fails_on_the_node(host):
    assert host.file("/nowhere").exists

def test_own_get_host(host):
    import testinfra
    assert testinfra.get_host("paramiko://" + host.backend.hostname).run("true").rc == 0
'''


@pytest.fixture
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd") / "server", (), ("ed25519",))
    yield server
    server.stop()


def on(sshd: Sshd, *more: str) -> list[str]:
    hosts = ",".join([f"root@127.0.0.1:{sshd.port}", *more])
    return [f"--hosts={hosts}", f"--ssh-config={sshd.ssh_config}", f"--ssh-identity-file={sshd.key}"]


def test_host_runs_over_the_one_login_of_the_run(project, sshd):
    project.tests(HOST_TESTS)
    result = project.run(*on(sshd), facts=False, apart=True)
    assert result.ret == 1
    assert sorted((check, outcome) for (check, _), outcome in project.results().items()) == [
        ("NODE-1", "pass"),
        ("test_fails_on_the_node", "fail"),
        ("test_own_get_host", "pass"),
        ("test_runs_on_the_node", "pass"),
    ]
    assert sshd.log.count("Accepted publickey") == 1


def test_host_on_an_unreachable_node_could_not_be_checked(project, sshd):
    project.tests(HOST_TESTS)
    result = project.run(*on(sshd, "127.0.0.1:1"), "-k", "test_runs_on_the_node", facts=False, apart=True)
    assert result.ret == 10
    assert sorted(project.results().values()) == ["could not check", "pass"]
    assert "Traceback" not in result.stdout.str()


def test_a_node_that_cannot_be_logged_in_to_blocks_its_other_tests(project, sshd):
    project.tests(HOST_TESTS)
    result = project.run(*on(sshd, "127.0.0.1:1"), "-k", "login or runs_on", facts=False, apart=True)
    assert result.ret == 10
    outcomes = project.results()
    assert sorted(outcomes.values()) == ["blocked", "could not check", "pass", "pass"]
    assert [check for (check, _), outcome in outcomes.items() if outcome == "could not check"] == ["NODE-1"]


def test_host_needs_a_connection_that_a_recorded_run_has_not(project):
    project.tests("def test_host(host): pass\n")
    result = project.run()
    assert result.ret == 10
    assert set(project.results().values()) == {"could not check"}


@pytest.mark.parametrize(
    ("test", "status"),
    [
        ("def test_plain(): assert False\n", 1),
        ("def test_plain(): pass\n", 0),
        ("def test_own(node): assert node.name != 'es-1', node.name\n", 1),
        ("def test_own(node): 1 / 0\n", 1),
        ("def test_own(node):\n    from preflight.facts import known\n    assert known(node.keystore)\n", 10),
        ("import pytest\n@pytest.fixture\ndef bad(): 1 / 0\ndef test_own(node, bad): pass\n", 10),
        ("import pytest\n@pytest.fixture\ndef bad(): 1 / 0\ndef test_plain(bad): pass\n", 1),
        ("import pytest\ndef test_own(node): pytest.skip('not today')\n", 0),
    ],
)
def test_own_tests_count(project, test, status):
    project.tests(test)
    assert project.run().ret == status


def test_own_failures_keep_pytests_traceback(project):
    project.tests("def test_own(node):\n    name = node.name\n    assert name == 'es-9'\n")
    result = project.run()
    result.stdout.fnmatch_lines([">       assert name == 'es-9'", "E       AssertionError: assert 'es-1' == 'es-9'"])

"""Bad input: exit 4 and one sentence saying what to type, and only when checks on nodes would run."""

from __future__ import annotations

import pytest

SENTENCE = ["ERROR: *no hosts: add --hosts=*"]


@pytest.mark.parametrize("args", [(), ("--hosts=",), ("--hosts=,",), ("-n2",)])
def test_no_node_is_a_usage_error(project, args):
    result = project.run(*args, facts=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(SENTENCE)
    assert not (project.path / "reports").exists()


@pytest.mark.parametrize(
    "args", [("--help",), ("--markers",), ("--version",), ("--fixtures",), ("--collect-only",), ("--list-checks",)]
)
def test_looking_needs_no_node(project, args):
    assert project.run(*args, facts=False).ret == 0
    assert not (project.path / "reports").exists()


def test_tests_without_nodes_need_none_and_leave_no_report(project):
    project.tests("def test_plain(): pass\n", "test_plain.py")
    assert project.run("tests/test_plain.py", facts=False).ret == 0
    assert not (project.path / "reports").exists()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--facts=none.json"], "--facts=none.json: this file does not exist"),
        (["--facts=pytest.ini"], "--facts=*: not JSON*"),
        (["--facts=facts.json", "--hosts=es-1"], "--hosts says how to ask nodes*"),
        (["--facts=facts.json", "--read-only"], "--read-only says how to ask nodes*"),
        (["--facts=facts.json", "--reference=es-9"], "--reference=es-9 is none of the given nodes: es-1, es-2, es-3"),
        (["--hosts=es-1", "--connection=docker"], "--connection=docker is not supported*"),
        (["--hosts=es-1", "--ansible-inventory=x"], "--ansible-inventory=x: this file does not exist"),
        (["--hosts=es-1", "--ansible-inventory=pytest.ini", "--inventory=pytest.ini"], "--inventory and --ansible-*"),
        (["--facts=facts.json", "--ansible-inventory=x"], "*--ansible-inventory*"),
        (["--hosts=es-1", "--force-ansible"], "--force-ansible is not supported*"),
        (["--hosts=es-1", "--ssh-extra-args=-o Port=1"], "--ssh-extra-args: -o is not supported*"),
        (["--hosts=es-1", "--ssh-extra-args=-F none"], "--ssh-extra-args -F=none: this file does not exist"),
        (["--hosts=es-1", "--command-timeout=0"], "--command-timeout=0: give seconds above 0"),
        (["--hosts=es-1", "--es-url=https://u:p@es-1:9200"], "--es-url: leave user and password out of it*"),
        (["--hosts=es-1", "--es-url=https://u:p/w@es-1:9200"], "--es-url: leave user and password out of it*"),
        (["--hosts=es-1", "--waivers=facts.json"], "facts.json:1: expected a list of waivers*"),
        (["--hosts=es-1", "--reports=facts.json"], "--reports=facts.json: cannot make a directory there*"),
    ],
)
def test_wrong_options_are_named(project, args, sentence):
    (project.path / "pytest.ini").write_text("[pytest]\n") if "pytest.ini" in args[0] else None
    result = project.run(*args, facts=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])
    assert not (project.path / "reports").exists()


def test_login_that_cannot_be_read(project, monkeypatch):
    monkeypatch.setenv("ES_PREFLIGHT_USER", "preflight")
    result = project.run("--hosts=es-1", facts=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *set ES_PREFLIGHT_PASSWORD_FILE"])


def test_help_names_default_and_environment_variable(project):
    text = project.run("--help", facts=False).stdout.str()
    for word in ("ES_PREFLIGHT_API_KEY", "ES_PREFLIGHT_PASSWORD_FILE", "PYTEST_ADDOPTS", "(default: 180)"):
        assert word in text


def test_list_checks(project):
    result = project.run("--list-checks", facts=False)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["FAIL-1 *critical *No static key. *keystore *nothing"])
    assert result.stdout.str().count("FAIL-1") == 1
    chosen = project.run("--list-checks", "-n2", "-k", "warns", facts=False).stdout.str()
    assert "WARN-1" in chosen and "FAIL-1" not in chosen


def test_a_run_on_nodes_never_collects_selftests(project):
    (project.path / "selftests").mkdir()
    (project.path / "selftests" / "test_own.py").write_text("def test_own(): pass\n")
    result = project.run("selftests/test_own.py")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: selftests/test_own.py tests the suite itself*"])
    project.run(".", "-k", "own or passes")
    assert {check for check, _ in project.results()} == {"PASS-1"}
    assert "test_own" not in (project.report / "junit.xml").read_text()
    assert project.run("selftests", facts=False).ret == 0

"""Every way a check can end, in the terminal, JUnit, HTML and results.jsonl, and the exit status it gives."""

from __future__ import annotations

import pytest

EXPECTED = {
    "NODE-1": {"es-1": "pass", "es-2": "pass", "es-3": "could not check"},
    "PASS-1": {"es-1": "pass", "es-2": "pass", "es-3": "blocked"},
    "FAIL-1": {"es-1": "pass", "es-2": "fail", "es-3": "blocked"},
    "WARN-1": {"es-1": "warning", "es-2": "pass", "es-3": "blocked"},
    "WARN-2": {"es-1": "warning", "es-2": "pass", "es-3": "blocked"},
    "UNKNOWN-1": {"es-1": "could not check", "es-2": "pass", "es-3": "blocked"},
    "BUG-1": {"es-1": "could not check", "es-2": "pass", "es-3": "blocked"},
    "NONE-1": {"es-1": "not applicable", "es-2": "not applicable", "es-3": "blocked"},
}
PAIRS = {(check, node): outcome for check, row in EXPECTED.items() for node, outcome in row.items()}
JUNIT = {
    "pass": "",
    "warning": "",
    "fail": "failure",
    "could not check": "error",
    "blocked": "error",
    "not applicable": "skipped",
}
HTML = {
    "pass": "Passed",
    "warning": "Passed",
    "fail": "Failed",
    "could not check": "Error",
    "blocked": "Error",
    "not applicable": "Skipped",
}


@pytest.mark.parametrize("how", [(), ("-n2",)], ids=["serial", "xdist"])
def test_all_outcomes_everywhere(project, how):
    result = project.run(*how)
    assert result.ret == 1
    assert project.results() == PAIRS
    assert project.junit() == {pair: JUNIT[outcome] for pair, outcome in PAIRS.items()}
    rows = sorted(word for words in project.rows().values() for word in words)
    assert rows == sorted(HTML[outcome] for outcome in PAIRS.values())
    summary = result.parseoutcomes()
    assert summary == {"failed": 1, "passed": 9, "skipped": 2, "warned": 2, "errors": 3, "blocked": 7}


FAILS = """
from preflight.check import check
from preflight.judgement import Finding, require

@check("FAIL-1", severity="critical", needs=())
def test_fails(node):
    \"\"\"One.\"\"\"
    require(Finding(observed="o", expected="e"))

@check("FAIL-2", severity="critical", needs=())
def test_fails_too(node):
    \"\"\"Two.\"\"\"
    require(Finding(observed="o", expected="e"))
"""
UNKNOWN = FAILS.replace('require(Finding(observed="o", expected="e"))', "known(node.keystore)").replace(
    "import Finding, require", "import known"
)
WARNS = FAILS.replace('"critical"', '"warning"')
PASSES = FAILS.replace('require(Finding(observed="o", expected="e"))', "pass")


@pytest.mark.parametrize(
    ("checks", "args", "status"),
    [
        (PASSES, (), 0),
        (WARNS, (), 0),
        (WARNS, ("--fail-on=warning",), 1),
        (FAILS, ("-x",), 1),
        (FAILS, ("-x", "-n2"), 1),
        (UNKNOWN, (), 10),
        (UNKNOWN, ("-n2",), 10),
        (UNKNOWN, ("-x",), 10),
        (UNKNOWN, ("-x", "-n2"), 10),
        (FAILS, ("-k", "nothing_of_that_name"), 5),
        (FAILS + "\nraise SystemError\n", (), 2),
        (FAILS + "\nraise SystemError\n", ("-n2",), 2),
    ],
)
def test_exit_status(project, checks, args, status):
    made = project.made
    project.record(made.host_down(made.healthy(2), "es-1") if checks is UNKNOWN else made.healthy(2))
    project.tests(checks)
    assert project.run(*args).ret == status


def test_finding_is_told_once_without_traceback(project):
    result = project.run("-k", "fails_on_es_2 or bug")
    text = result.stdout.str()
    assert text.count("sudo mend it") == 1
    assert "Traceback" not in text and "def test_" not in text and "= FAILURES =" not in text
    assert "hunter2" not in text


def test_verbose_shows_pytests_paragraphs(project):
    result = project.run("-v", "-k", "fails_on_es_2")
    result.stdout.fnmatch_lines(["*FAILURES*", "observed: two static keys", "expected: no static key"])
    result.stdout.fnmatch_lines(["*::test_fails_on_es_2?es-3? BLOCKED*"])


def test_a_bug_of_ours_names_type_and_place_but_no_value(project):
    project.run("-k", "bug")
    text = (project.report / "results.jsonl").read_text()
    assert "KeyError in tests/test_checks.py:" in text
    for file in project.report.iterdir():
        assert "hunter2" not in file.read_text()


def test_markers_select_by_severity(project):
    project.run("-m", "warning")
    assert {check for check, _ in project.results()} == {"WARN-1"}


def test_facts_are_judged_as_recorded_and_kept(project):
    project.run("-k", "passes")
    assert (project.report / "facts.json").read_bytes() == (project.path / "facts.json").read_bytes()


SET_UP = '''
import pytest
from preflight.check import check
from preflight.facts import CouldNotCheck

@pytest.fixture
def unread(node):
    raise CouldNotCheck("that file was not read")

@check("SETUP-1", severity="critical", needs=())
def test_needs_what_was_not_read(unread, node):
    """One."""
    raise AssertionError("a check runs without what it takes")
'''


def test_a_check_whose_fixture_could_not_be_had_does_not_run(project):
    project.tests(SET_UP)
    assert project.run("-k", "needs_what").ret == 10
    found = {outcome for (check, node), outcome in project.results().items() if node != "es-3"}
    assert found == {"could not check"}
    assert "a check runs without" not in (project.report / "results.jsonl").read_text()


def test_pytest_formats_no_traceback_that_nobody_sees(project):
    project.tests(
        FAILS
        + """
import _pytest._code.code

def unwanted(*args):
    raise SystemError("pytest formats a traceback")

_pytest._code.code.ExceptionInfoFormatter.repr_traceback = unwanted
"""
    )
    project.record(project.made.healthy(2))
    assert project.run(apart=True).ret == 1
    assert set(project.results().values()) == {"fail"}

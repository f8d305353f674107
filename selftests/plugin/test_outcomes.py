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

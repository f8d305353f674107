"""A run of the plugin in a project of its own: pytest in another process, on recorded facts."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import surveys

from preflight.check import REGISTRY

ROOT = Path(__file__).parents[2]

INI = """
[pytest]
strict = true
addopts = -ra -p no:cacheprovider -p no:hypothesispytest -p no:anyio
testpaths = tests
filterwarnings =
    error
"""

CHECKS = '''
"""One check for every way a check can end."""
from preflight.check import check
from preflight.facts import CouldNotCheck, Unknown, known
from preflight.judgement import Command, Finding, NotApplicable, Remedy, require

WRONG = Finding(observed="two static keys", expected="no static key", details=("s3.client.default.access_key",))

@check("NODE-1", severity="critical", needs=("login",))
def test_login(node):
    """The node can be surveyed."""
    known(node.login)

@check("PASS-1", severity="high", needs=("system",))
def test_passes(node):
    """The system is known."""
    assert known(node.system).os

@check("FAIL-1", severity="critical", needs=("keystore",))
def test_fails_on_es_2(node):
    """No static key.

    It wins over the role.
    """
    known(node.keystore)
    fix = Remedy(commands=(Command(where="es-2", text="sudo mend it"),))
    require(WRONG if node.name == "es-2" else None, fix=lambda: fix)

@check("WARN-1", severity="warning", needs=("keystore",))
def test_warns_by_severity(node):
    """Worth a look."""
    known(node.keystore)
    require(WRONG if node.name == "es-1" else None)

@check("WARN-2", severity="high", needs=("keystore",))
def test_warns_by_finding(node):
    """Worth a look as well."""
    known(node.keystore)
    require(Finding(observed="o", expected="e", warning=True) if node.name == "es-1" else None)

@check("UNKNOWN-1", severity="high", needs=("routing",))
def test_cannot_see_routes_of_es_1(node):
    """Routes are known."""
    known(node.routing)
    if node.name == "es-1":
        raise CouldNotCheck("ip is not installed", "install iproute2")

@check("BUG-1", severity="high", needs=("routing",))
def test_has_a_bug_on_es_1(node):
    """A bug of ours never reads as a finding."""
    known(node.routing)
    if node.name == "es-1":
        {}["hunter2-in-a-key-error"]

@check("NONE-1", severity="medium", needs=("cluster",))
def test_does_not_apply(node):
    """S3 repositories only."""
    known(node.keystore)
    raise NotApplicable("no repository of type s3")
'''


class Project:
    """A directory with conftest, pytest.ini, checks and recorded facts; `run` runs pytest there.

    apart: in a process of its own, as a user's shell would; True with xdist in any case
    """

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.made = surveys
        pytester.makeini(INI)
        pytester.makeconftest((ROOT / "conftest.py").read_text())
        (self.path / "tests").mkdir()
        self.tests(CHECKS)
        self.record(self.made.host_down(self.made.healthy(), "es-3"))

    def tests(self, text: str, name: str = "test_checks.py") -> None:
        (self.path / "tests" / name).write_text(text)

    def record(self, survey: Any) -> None:
        """The facts that --facts=facts.json replays."""
        from preflight.facts import dump

        (self.path / "facts.json").write_bytes(dump(survey))

    def run(self, *args: str, facts: bool = True, apart: bool = False) -> pytest.RunResult:
        run = self.pytester.runpytest_subprocess if apart or "-n2" in args else self.pytester.runpytest_inprocess
        return run(*(["--facts=facts.json"] if facts else []), *args)

    @property
    def report(self) -> Path:
        """The directory of the last run."""
        return (self.path / "reports" / "latest").resolve()

    def results(self) -> dict[tuple[str, str], str]:
        """Outcomes in results.jsonl by check and node; a pair that is there twice is an error."""
        lines = [json.loads(line) for line in (self.report / "results.jsonl").read_text().splitlines()]
        found = {(line["check"], line["node"]): line["outcome"] for line in lines}
        assert len(found) == len(lines)
        return found

    def junit(self) -> dict[tuple[str, str], str]:
        """Kind of element in junit.xml by check and node: "" for passed, failure, error, skipped."""
        found = {}
        for case in ET.parse(self.report / "junit.xml").iter("testcase"):
            properties = {p.get("name"): p.get("value") for p in case.iter("property")}
            kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            found[properties.get("check") or case.get("name"), properties.get("node")] = "+".join(kinds)
        return found

    def rows(self) -> dict[str, list[str]]:
        """Result words of pytest-html's rows by test id."""
        page = (self.report / "report.html").read_text()
        blob = page.split('data-jsonblob="', 1)[1].split('"', 1)[0]
        data = json.loads(unescape(blob))
        return {name: [row["result"] for row in rows] for name, rows in data["tests"].items()}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in os.environ:
        if name.startswith(("ES_PREFLIGHT_", "PYTEST_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    known = dict(REGISTRY)
    REGISTRY.clear()
    yield Project(pytester)
    REGISTRY.clear()
    REGISTRY.update(known)

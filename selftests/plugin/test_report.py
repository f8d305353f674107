"""The directory of a run: what is in it, who may read it, and what holds it together when something of ours breaks."""

from __future__ import annotations

import json
import stat
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path

import pytest


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_file_is_its_owners_alone_and_latest_points_there(project):
    project.run()
    reports = project.path / "reports"
    latest = reports / "latest"
    assert latest.is_symlink() and not Path(latest.readlink()).is_absolute()
    assert {path.name for path in latest.iterdir()} == {
        "report.html", "runbook.md", "junit.xml", "facts.json", "results.jsonl"
    }  # fmt: skip
    assert {mode(path) for path in latest.iterdir()} == {0o600}
    assert mode(latest) == 0o700
    assert len(list(reports.iterdir())) == 2


def test_two_runs_in_one_second_have_a_directory_each(tmp_path):
    from datetime import datetime, timezone

    from preflight.plugin.directory import create

    started = datetime(2026, 11, 24, 3, 4, 5, tzinfo=timezone.utc)
    made = [create(tmp_path / "reports", started) for _ in range(3)]
    assert [directory.path.name for directory in made] == [
        "2026-11-24T03-04-05Z",
        "2026-11-24T03-04-05Z-2",
        "2026-11-24T03-04-05Z-3",
    ]
    for directory in made[:2]:
        directory.point_latest()
    assert (tmp_path / "reports" / "latest").resolve() == made[1].path


def test_the_users_own_report_paths_are_respected(project):
    for name in ("mine.html", "mine.xml"):
        (project.path / name).touch(0o644)
    project.run("--html=mine.html", "--junitxml=mine.xml", "--reports=elsewhere")
    directory = project.path / "elsewhere" / "latest"
    assert {path.name for path in directory.iterdir()} == {"facts.json", "results.jsonl", "runbook.md"}
    link = f'href="elsewhere/{directory.readlink()}/runbook.md"'
    assert link in (project.path / "mine.html").read_text(), "as it is seen from there"
    assert mode(project.path / "mine.html") == mode(project.path / "mine.xml") == 0o600


def test_the_runbook_is_named_where_something_is_wrong_and_only_there(project):
    wrong = project.run("-k", "fails_on_es_2 and es-2")
    wrong.stdout.fnmatch_lines([f"Runbook, step by step: reports/{project.report.resolve().name}/runbook.md"])
    assert "```sh change es-2\nsudo mend it\n```" in (project.report / "runbook.md").read_text()
    assert 'href="runbook.md"' in (project.report / "report.html").read_text()
    well = project.run("-k", "fails_on_es_2 and es-1")
    assert (project.report / "runbook.md").read_text().startswith("Nothing to carry out. ")
    assert "runbook.md" not in well.stdout.str() + (project.report / "report.html").read_text()


def test_junit_properties(project):
    project.run("-k", "fails_on_es_2")
    cases = {}
    for case in ET.parse(project.report / "junit.xml").iter("testcase"):
        properties = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
        cases[properties["node"]] = properties
    assert cases["es-2"] == {
        "check": "FAIL-1",
        "severity": "critical",
        "node": "es-2",
        "outcome": "fail",
        "reason": "two static keys",
    }
    assert cases["es-1"]["outcome"] == "pass" and cases["es-3"]["outcome"] == "blocked"


def test_results_are_complete_records(project):
    project.run("-k", "fails_on_es_2 and es-2")
    (line,) = (project.report / "results.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "check": "FAIL-1",
        "node": "es-2",
        "severity": "critical",
        "outcome": "fail",
        "title": "No static key.",
        "reason": "two static keys",
        "observed": "two static keys",
        "expected": "no static key",
        "details": ["s3.client.default.access_key"],
        "remedy": {"commands": [{"where": "es-2", "text": "sudo mend it"}], "caution": None, "advice": [], "steps": []},
        "waiver": None,
    }


@pytest.mark.parametrize("how", [(), ("-n2",)], ids=["serial", "xdist"])
def test_environment_table_holds_no_ci_variable(project, monkeypatch, how):
    monkeypatch.setenv("GIT_URL", "https://ci.example/repository")
    monkeypatch.setenv("JENKINS_URL", "https://ci.example/")
    project.run(*how, "-k", "passes")
    page = (project.report / "report.html").read_text()
    blob = json.loads(unescape(page.split('data-jsonblob="', 1)[1].split('"', 1)[0]))
    assert set(blob["environment"]) == {"Preflight", "pytest", "Python", "Platform"}


def test_page_has_our_columns_and_summary(project):
    project.run("-k", "fails_on_es_2")
    page = (project.report / "report.html").read_text()
    assert '<p class="verdict fail">' in page
    assert '<th class="sortable" data-column-type="node">' in page
    assert "Elasticsearch S3 snapshot preflight" in page


def test_a_bug_in_our_summary_costs_one_line_not_the_report(project):
    project.pytester.makeconftest(
        (project.path / "conftest.py").read_text()
        + "\nimport preflight.report.page\n"
        + "def broken(*args, **kwargs): raise KeyError('s')\n"
        + "preflight.report.page.summary = broken\n"
    )
    result = project.run("-k", "fails_on_es_2", apart=True)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["preflight: the page's summary failed by a bug of ours: KeyError in *conftest.py:*"])
    assert len(project.rows()) == 3
    assert project.junit()["FAIL-1", "es-2"] == "failure"


def test_header_names_nodes_and_directory(project):
    result = project.run("-k", "passes")
    result.stdout.fnmatch_lines(["preflight *: es-1, es-2, es-3; report in reports/*Z*"])

"""Our part inside a real page of pytest-html, whose scripts and private shapes we lean on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
import pytest_html

from preflight.report import page

HERE = Path(__file__).parent
EVIL = "<img src=x onerror=alert(1)>"

CONFTEST = f"""
import sys
sys.path[:0] = [{str(HERE.parent.parent)!r}, {str(HERE)!r}]
import pytest
import report_scenes
from preflight.report import page, terminal

SCENE = report_scenes.host_down([{EVIL!r}, "es-2", "es-3"])

def pytest_generate_tests(metafunc):
    if "outcome" in metafunc.fixturenames:
        ids = [f"{{o.check}}-{{o.node}}" for o in SCENE.outcomes]
        metafunc.parametrize("outcome", SCENE.outcomes, ids=ids)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.ours = item.callspec.params["outcome"] if hasattr(item, "callspec") else None
    if report.when == "call" and report.failed and report.ours and report.ours.outcome != "fail":
        report.when = "setup"
    return report

def pytest_html_report_title(report):
    report.title = page.TITLE

def pytest_html_results_summary(prefix):
    prefix.insert(0, page.summary(SCENE.survey, SCENE.outcomes, SCENE.diagnosis))

def pytest_html_results_table_header(cells):
    page.table_header(cells)

def pytest_html_results_table_row(report, cells):
    page.table_row(report, cells, getattr(report, "ours", None))

def pytest_terminal_summary(terminalreporter):
    terminal.write(terminalreporter, SCENE.survey, SCENE.outcomes, SCENE.diagnosis)
"""

TESTS = """
import pytest

def test_check(outcome):
    if outcome.outcome in ("fail", "could not check", "blocked"):
        pytest.fail(outcome.reason, pytrace=False)

def test_own():
    assert True
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A page and what the terminal said, from a run of 48 outcomes, one test of the user's own and a broken module."""
    place = tmp_path_factory.mktemp("page")
    (place / "pytest.ini").write_text("[pytest]\n")
    (place / "conftest.py").write_text(CONFTEST)
    (place / "test_all.py").write_text(TESTS)
    (place / "test_broken.py").write_text("import no_such_module\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--html=page.html", "--self-contained-html", "--tb=no",
         "-p", "no:cacheprovider", "--continue-on-collection-errors"],
        cwd=place, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (place / "page.html").exists(), done.stdout + done.stderr
    return (place / "page.html").read_text(), done.stdout


def rows_of(text):
    blob = json.loads(unescape(re.search(r'data-jsonblob="([^"]*)"', text)[1]))
    return [row for rows in blob["tests"].values() for row in rows]


def test_rows_fit_the_header_and_keep_what_the_scripts_need(run):
    text, _ = run
    head = text.partition('id="results-table-head"')[2].partition("</thead>")[0]
    columns = re.findall(r"<th[^>]*>([^<]*)</th>", head)
    assert columns == ["Result", "Outcome", "Check", "Node", "Severity", "Test", "Duration", "Links"]
    rows = rows_of(text)
    assert len(rows) == 48 + 1 + 1
    assert {len(row["resultsTableRow"]) for row in rows} == {len(columns)}
    assert {row["result"] for row in rows} == {"Passed", "Failed", "Error"}
    assert sum(row["outcome"] == "blocked" for row in rows) == 15
    assert sum(row["check"] == "PORT-1" for row in rows) == 3


def test_no_cell_is_markup(run):
    cells = [cell for row in rows_of(run[0]) for cell in row["resultsTableRow"]]
    assert len(cells) == 50 * 8
    assert all(re.fullmatch(r'<td class="col-\w+">[^<>]*</td>', cell) for cell in cells)
    assert EVIL not in run[0]


def test_the_summary_is_there_without_scripts_and_before_the_rows(run):
    text, _ = run
    static = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert static.index('class="preflight"') < static.index('id="results-table"')
    assert '<h1 id="title">Elasticsearch S3 snapshot preflight</h1>' in static


def test_the_frame_that_the_style_rearranges_is_still_there():
    frame = (Path(pytest_html.__file__).parent / "resources/index.jinja2").read_text()
    there = {name for names in re.findall(r'(?:id|class)="([^"{]*)', frame) for name in names.split()}
    style = (Path(page.__file__).parent / "templates/style.css").read_text().partition("\n.preflight")[0]
    leaned_on = set(re.findall(r"[.#]([a-z][\w-]+)", re.sub(r"\{.*?\}|/\*.*?\*/", "", style)))
    assert len(leaned_on) > 10
    assert leaned_on - there == {"col-testId"}, "that one is a cell of ours"


def test_a_pipe_gets_the_summary_without_color(run):
    _, printed = run
    assert "\x1b" not in printed
    assert "= preflight =" in printed
    assert "es-3 cannot be reached; nothing is known of it." in printed

"""A signal in the middle of a run leaves a report that says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

SLOW = """
import time
from pathlib import Path
from preflight.check import check

@check("FAST-1", severity="high", needs=())
def test_fast(node):
    \"\"\"Ends at once.\"\"\"

@check("SLOW-1", severity="high", needs=())
def test_slow(node):
    \"\"\"Ends never.\"\"\"
    Path("started-" + node.name).touch()
    time.sleep(60)
"""


SLOW_END = """
import time
import pytest
from pathlib import Path

@pytest.hookimpl(tryfirst=True)
def pytest_html_results_summary():
    Path("started-the-report").touch()
    time.sleep(2)
"""


def interrupt(project, number: signal.Signals, *args: str, facts: bool = True) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *(["--facts=facts.json"] if facts else []), *args],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ),
    )
    until = time.monotonic() + 30
    while not list(project.path.glob("started-*")) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate(timeout=40)
    return process.returncode, output


@pytest.mark.parametrize(
    ("number", "args"),
    [(signal.SIGTERM, ()), (signal.SIGHUP, ()), (signal.SIGINT, ()), (signal.SIGTERM, ("-n2",))],
    ids=["term", "hup", "int", "term-xdist"],
)
def test_interrupted_run_leaves_its_report(project, number, args):
    project.tests(SLOW)
    status, output = interrupt(project, number, *args)
    assert status == 2, output
    assert "nterrupted" in output
    assert "nterrupted" in (project.report / "report.html").read_text().partition("data-jsonblob")[0]
    assert {check for check, _ in project.results()} == {"FAST-1"}
    assert ("FAST-1", "es-1") in project.junit()
    assert (project.report / "facts.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_nothing_interrupts_the_writing_of_the_report(project, number):
    project.pytester.makeconftest((project.path / "conftest.py").read_text() + SLOW_END)
    status, output = interrupt(project, number)
    assert status == 1, output
    assert len(project.rows()) == 24
    assert len(project.junit()) == 24


WAITING = """
from pathlib import Path
import preflight.survey
from preflight.facts import load

def run(nodes, settings, needs, progress, cancelled):
    Path("started-the-survey").touch()
    assert cancelled.wait(30)
    return load(Path("facts.json").read_bytes())

preflight.survey.run = run
"""


@pytest.mark.parametrize("args", [(), ("-n2",)], ids=["serial", "xdist"])
def test_a_signal_during_the_survey_keeps_what_was_seen(project, args):
    project.pytester.makeconftest((project.path / "conftest.py").read_text() + WAITING)
    status, output = interrupt(project, signal.SIGTERM, "--hosts=es-1,es-2,es-3", *args, facts=False)
    assert status == 2, output
    assert "nterrupted" in output
    assert (project.report / "facts.json").read_bytes() == (project.path / "facts.json").read_bytes()
    assert "nterrupted" in (project.report / "report.html").read_text().partition("data-jsonblob")[0]
    assert not (project.report / "results.jsonl").exists()

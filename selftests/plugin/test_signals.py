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


def interrupt(project, number: signal.Signals, *args: str) -> tuple[int, str]:
    project.tests(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--facts=facts.json", *args],
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
    status, output = interrupt(project, number, *args)
    assert status == 2, output
    assert "nterrupted" in output
    assert "nterrupted" in (project.report / "report.html").read_text().partition("data-jsonblob")[0]
    assert {check for check, _ in project.results()} == {"FAST-1"}
    assert ("FAST-1", "es-1") in project.junit()
    assert (project.report / "facts.json").exists()

"""The hooks that count outcomes and write the report; not in xdist workers, which only run tests."""

from __future__ import annotations

from collections.abc import Generator, MutableSequence
from typing import Any

import pytest

from ..report import page
from . import closing
from .run import Run
from .verdicts import outcome_of


class Reporting:
    """Registered where nodes were given, so that any other pytest session stays as it is."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.run.tally.collection_errors += report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record(self.run, report)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        closing.interrupted(self.run, excinfo)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        closing.finish(self.run, session)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        closing.terminal_summary(self.run, terminalreporter)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        report.title = page.TITLE

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: MutableSequence[str]) -> None:
        self.run.guarded("the page's table", lambda: page.table_header(cells))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: MutableSequence[str]) -> None:
        self.run.guarded("a row of the page", lambda: page.table_row(report, cells, outcome_of(report)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        prefix.append(closing.html_summary(self.run))


def record(run: Run, report: pytest.TestReport) -> None:
    """Count a finished phase of a test: an outcome if it has one, else in the tally."""
    outcome = outcome_of(report)
    if outcome is not None:
        run.outcomes.append(outcome)
        if run.directory is not None:
            run.directory.add(outcome)
    elif report.failed:
        if report.when in ("setup", "call", "teardown"):
            run.tally.failed += 1
        else:
            run.tally.unchecked += 1  # a worker died in the middle of it
    elif report.when == "call":
        run.tally.passed += 1

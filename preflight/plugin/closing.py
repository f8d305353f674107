"""The end of a run: what interrupted it, diagnosis, exit status, report, and the last sweep of its directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .. import outcomes, redaction
from ..check import REGISTRY
from ..judgement import Diagnosis
from ..report import page, runbook, terminal
from .run import Run
from .surveying import end_workers

PYTESTS_OWN = (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR)


def interrupted(run: Run, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Note who stopped the run. pytest and xdist also stop themselves this way, after -x or a broken test file."""
    stopped_itself = excinfo.type.__name__ == "Interrupted" and "keyboard-interrupt" not in str(excinfo.value)
    if not stopped_itself:
        by = "Ctrl-C" if excinfo.type is KeyboardInterrupt else str(excinfo.value)
        signal = run.signals.received
        run.interrupted = signal if signal not in (None, "SIGINT") else by


def finish(run: Run, session: pytest.Session) -> None:
    """Diagnose and set the exit status. First of all that end a session, since the report is written by the others."""
    run.signals.ignore()
    if run.interrupted:
        run.guarded("ending xdist's workers", lambda: end_workers(run.config))
    run.diagnosis = run.guarded("the diagnosis", lambda: _diagnose(run)) or _undiagnosed(run)
    run.guarded("the runbook", lambda: _write_runbook(run))
    session.exitstatus = exit_status(run, session.exitstatus)


def _diagnose(run: Run) -> Diagnosis | None:
    if run.survey is None or not run.outcomes:
        return None
    from ..diagnosis import diagnose

    return diagnose(run.survey, run.outcomes)


def _write_runbook(run: Run) -> None:
    """Beside the page; not where the diagnosis broke: an empty runbook would read as "nothing to do"."""
    if run.directory is None or run.survey is None or run.diagnosis is None or run.troubles:
        return
    run.directory.write_runbook(
        runbook.text(run.survey, run.outcomes, run.diagnosis, interrupted=run.interrupted is not None)
    )


def _runbook(run: Run) -> Path | None:
    """Where there is something to carry out: the file."""
    if run.directory is None or run.diagnosis is None or not run.diagnosis.causes:
        return None
    return run.directory.runbook if run.directory.runbook.is_file() else None


def _undiagnosed(run: Run) -> Diagnosis | None:
    """Where the diagnosis itself broke: the outcomes stand without it, and the first line says so."""
    if not run.troubles:
        return None
    return Diagnosis(verdict="The outcomes below stand, but their causes could not be worked out.", causes=(), nodes=())


def exit_status(run: Run, pytests: int) -> int:
    """The run's exit status. pytests: what pytest (or xdist, whose -x ends as an interrupt) made of it."""
    if pytests in PYTESTS_OWN:
        return pytests
    if run.interrupted or run.tally.collection_errors:
        return outcomes.INTERRUPTED
    tally = run.tally
    checks = outcomes.exit_status(run.outcomes, fail_on_warning=run.choices.fail_on_warning)
    if checks == outcomes.WRONG or tally.failed:
        return outcomes.WRONG
    if checks == outcomes.NOT_CHECKED or tally.unchecked:
        return outcomes.NOT_CHECKED
    if checks == outcomes.NOTHING_RAN and tally.passed:
        return outcomes.OK
    return checks


def html_summary(run: Run) -> str:
    """The static part of the page."""
    made: str | None = run.guarded(
        "the page's summary",
        lambda: page.summary(
            run.survey,
            run.outcomes,
            run.diagnosis,
            interrupted=run.interrupted is not None,
            runbook=_from_page(run),
        ),
    )
    return made or "<p>preflight: the summary could not be made; results.jsonl has every outcome.</p>"


def _from_page(run: Run) -> str | None:
    """The runbook as the page links it, wherever --html has put the page."""
    file = _runbook(run)
    return os.path.relpath(file, Path(run.config.option.htmlpath).absolute().parent) if file else None


def terminal_summary(run: Run, reporter: pytest.TerminalReporter) -> None:
    """Causes, nodes, counts; then what else an operator should know."""
    written = run.config.option.htmlpath if run.directory else None
    file = _runbook(run)
    run.guarded(
        "the summary",
        lambda: terminal.write(
            reporter,
            run.survey,
            run.outcomes,
            run.diagnosis,
            interrupted=run.interrupted is not None,
            page=_shown(Path(written)) if written else None,
            runbook=_shown(file) if file else None,
        ),
    )
    for line in (*unused_waivers(run), *run.troubles):
        reporter.write_line(f"preflight: {line}")


def _shown(path: Path) -> Path:
    try:
        return path.absolute().relative_to(Path.cwd())
    except ValueError:
        return path


def unused_waivers(run: Run) -> list[str]:
    """Waivers that waived nothing. Judged only where a (check, node) that they match ran, or no check has that id."""
    lines = []
    whole = run.config.args_source is not pytest.Config.ArgsSource.ARGS
    for waiver in run.waivers.waivers:
        one = type(run.waivers)(waivers=(waiver,), today=run.waivers.today)
        ran = [outcome for outcome in run.outcomes if one.find((outcome.check,), outcome.node)]
        if ran and all(outcome.outcome in ("pass", "not applicable") for outcome in ran):
            lines.append(f"{waiver.place}: {waiver.check} on {waiver.node} is fine now: take the waiver out")
        elif whole and REGISTRY and waiver.check not in REGISTRY and not ran:
            lines.append(f"{waiver.place}: no check has the id {waiver.check}: --list-checks shows them")
    return lines


def close(run: Run) -> None:
    """After every report is written: sweep the directory, say what had to be masked, let `latest` point to it."""
    if run.connections is not None:
        run.connections.close()
    if run.directory is not None and not run.worker:
        option = run.config.option
        reports = [Path(path) for path in (option.htmlpath, option.xmlpath) if path]
        directory = run.directory
        run.guarded("the last sweep", lambda: directory.close(reports))
        run.guarded("reports/latest", directory.point_latest)
    run.signals.restore()
    if run.umask is not None:
        os.umask(run.umask)
    if run.active:
        redaction.stop()

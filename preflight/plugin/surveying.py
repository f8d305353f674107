"""When nodes are asked: once, after selection, before the first test; by the process that schedules the tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, get_args

import pytest

from ..check import Need, check_of
from ..facts import Survey, load
from . import nodes
from .options import only_looks
from .run import Run

WRITING = frozenset({"verify", "marker"})
"""The needs that write into a bucket: by Elasticsearch, by the node's own role."""


def needs(items: Iterable[pytest.Item]) -> frozenset[str] | None:
    """What the selected tests read of a survey; None where none of them reads one.

    A user's own test, without @check, may read everything but never makes the cluster write.
    """
    readers = [item for item in items if "survey" in getattr(item, "fixturenames", ())]
    if not readers:
        return None
    checks = [check_of(item) for item in readers]
    wanted = {need for check in checks for need in (check.needs if check else get_args(Need))}
    # Other checks read what _verify found, where it ran; only those that declare the write make it run. One that has a
    # marker written does not by that call _verify too.
    declared = {
        need
        for check in checks
        if check and check.writes
        for need in check.needs
        if need == "marker" or "marker" not in check.needs
    }
    return frozenset(wanted - (WRITING - declared))


def after_selection(run: Run, session: pytest.Session) -> None:
    """In the process that collected: refuse a run without nodes; in a worker leave word of what is needed."""
    if only_looks(run.config):
        return
    if not run.worker:
        nodes.refuse_none(run, session.items)
    elif run.directory is not None:
        wanted = needs(session.items)
        if wanted is not None:
            run.directory.leave_plan(run.config.workerinput["workerid"], wanted)  # type: ignore[attr-defined]


def before_tests(run: Run, session: pytest.Session) -> None:
    """Without xdist: gather what the selected tests need."""
    if not run.active or run.worker or not getattr(session, "items", None):
        return
    if session.testsfailed and not run.config.option.continue_on_collection_errors:
        return
    wanted = needs(session.items)
    if wanted is not None:
        gather(run, wanted)


def before_scheduling(run: Run, worker: str, ids: Iterable[str]) -> None:
    """With xdist, in the controller, when a worker has collected: gather once, before any test is handed out."""
    try:
        nodes.refuse_none_by_id(run, ids)
    except pytest.UsageError:
        end_workers(run.config)
        raise
    if run.survey is None and run.directory is not None:
        wanted = run.directory.take_plan(worker)
        if wanted is not None:
            gather(run, wanted)


def end_workers(config: pytest.Config) -> None:
    """End xdist's workers now. It would wait ten seconds for those that wait for tests: as long as CI has patience."""
    session = config.pluginmanager.getplugin("dsession")
    if session is not None and session.nodemanager is not None:
        session.nodemanager.group.terminate(timeout=1.0)


def gather(run: Run, wanted: frozenset[str]) -> None:
    """Ask all nodes, or take what --facts recorded, and write facts.json. Raises KeyboardInterrupt after a signal,
    with what was seen by then kept."""
    if run.recorded is not None:
        run.survey = run.recorded
    else:
        from .. import survey

        choices = run.choices
        settings = survey.Settings(
            connections=nodes.connections(run),
            connect_timeout=choices.connect_timeout,
            command_timeout=choices.command_timeout,
            verify_timeout=choices.verify_timeout,
            verify_budget=choices.verify_budget,
            insecure_host_keys=choices.insecure_host_keys,
            certificate_days=choices.certificate_days,
            reference=choices.reference,
            complete=choices.complete,
            read_only=choices.read_only,
            try_role=choices.try_role,
            es_url=choices.es_url,
            es_ca=choices.es_ca,
            keystore_password_file=choices.keystore_password_file,
            aws=choices.aws,
            aws_profile=choices.aws_profile,
        )
        progress = Progress(run.config, len(run.names))
        try:
            with run.signals.cancelling() as cancelled:
                run.survey = survey.run(run.nodes, settings, wanted, progress.say, cancelled)
                _keep(run)
        finally:
            progress.end()
        return
    _keep(run)


def _keep(run: Run) -> None:
    if run.directory is not None and run.survey is not None:
        run.directory.write_facts(run.survey)


def the_survey(run: Run) -> Survey:
    """The survey that tests read; a worker takes it from the run's directory."""
    if run.survey is None:
        if run.directory is None:
            raise RuntimeError("a test reads the survey, but none was gathered")
        run.survey = load(run.directory.facts.read_bytes())
    return run.survey


class Progress:
    """What the survey is doing: one line that rewrites itself on a terminal, plain lines elsewhere."""

    def __init__(self, config: pytest.Config, total: int) -> None:
        self._reporter: Any = config.pluginmanager.getplugin("terminalreporter")
        self._quiet = self._reporter is None or config.option.verbose < 0
        self._tty = not self._quiet and self._reporter.isatty
        self._lock = threading.Lock()
        self._started = time.monotonic()
        if not self._quiet:
            self._write(f"asking {total} node{'s' if total != 1 else ''} ...")

    def say(self, line: str) -> None:
        """One line of news. Called from several threads."""
        with self._lock:
            if not self._quiet:
                self._write(line)

    def end(self) -> None:
        """The line that stays."""
        with self._lock:
            if not self._quiet:
                took = time.monotonic() - self._started
                self._write(f"nodes asked in {took:.1f} s")
                if self._tty:
                    self._reporter.line("")

    def _write(self, line: str) -> None:
        line = " ".join(line.split())
        if self._tty:
            width = self._reporter._tw.fullwidth
            self._reporter.rewrite(line[: width - 1], erase=True)
        else:
            self._reporter.line(f"preflight: {line}")

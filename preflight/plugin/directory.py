"""The directory of one run: reports/2026-11-24T03-04-05Z/, readable by its owner only."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

import msgspec

from ..facts import Survey
from ..outcomes import Outcome
from ..redaction import redact, redact_file
from ..report import files

TEXT = {".html", ".xml", ".json", ".jsonl", ".md"}


class RunDirectory:
    """path: the directory; its files are report.html, runbook.md, junit.xml, facts.json and results.jsonl."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.page = path / "report.html"
        self.junit = path / "junit.xml"
        self.facts = path / "facts.json"
        self.runbook = path / "runbook.md"
        self._results: FileIO | None = None

    def add(self, outcome: Outcome) -> None:
        """Append to results.jsonl, at once on disk for whoever reads along."""
        if self._results is None:
            self._results = files.create(self.path / "results.jsonl")
        self._results.write(redact(files.jsonl_line(outcome).decode()).encode())

    def write_facts(self, survey: Survey) -> None:
        """facts.json."""
        files.write_facts(self.facts, survey)

    def write_runbook(self, text: str) -> None:
        """runbook.md."""
        files.write_runbook(self.runbook, text)

    def leave_plan(self, worker: str, needs: Iterable[str]) -> None:
        """What an xdist worker's selection needs, for the process that surveys."""
        target = self._plan(worker)
        partial = target.with_suffix(".partial")
        partial.write_bytes(msgspec.json.encode(sorted(needs)))
        partial.replace(target)

    def take_plan(self, worker: str) -> frozenset[str] | None:
        """The needs that worker left; None where its selection needs no survey."""
        try:
            text = self._plan(worker).read_bytes()
        except FileNotFoundError:
            return None
        return frozenset(msgspec.json.decode(text, type=list[str]))

    def _plan(self, worker: str) -> Path:
        return self.path / f".plan-{worker}.json"

    def close(self, others: Iterable[Path]) -> None:
        """Close and sweep: no secret and no other reader in any file. others: reports the user put elsewhere."""
        if self._results is not None:
            self._results.close()
        for plan in self.path.glob(".plan-*"):
            plan.unlink()
        swept = [file for file in {*self.path.iterdir(), *others} if file.is_file() and not file.is_symlink()]
        for file in swept:
            file.chmod(0o600)
        # Twice: a value recognised in one file is known in the others only then.
        for file in swept + swept:
            if file.suffix in TEXT:
                redact_file(file)

    def point_latest(self) -> None:
        """Let `latest` beside the directory name it, with no moment at which it names nothing."""
        temporary = self.path.parent / f".latest-{self.path.name}-{os.getpid()}"
        temporary.symlink_to(self.path.name)
        temporary.replace(self.path.parent / "latest")


def create(reports: Path, started: datetime.datetime) -> RunDirectory:
    """A new directory named after the start (UTC); a second run in the same second gets "-2". Raises OSError."""
    reports.mkdir(parents=True, exist_ok=True)
    name = started.strftime("%Y-%m-%dT%H-%M-%SZ")
    for number in range(1, 1000):
        path = reports / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return RunDirectory(path)
    raise FileExistsError(f"{reports / name} and 998 more exist already")

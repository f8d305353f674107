"""One run of the suite against the lab, as an operator starts it, and what it left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from preflight.diagnosis import diagnose
from preflight.facts import load
from preflight.outcomes import Outcome

from .errors import LabError
from .faults import ONLY_ON_REQUEST, WHERE_SEEN
from .names import CHECKOUT

RUN_SECONDS = 600.0

HEALTHY: Mapping[str, str] = dict.fromkeys(ONLY_ON_REQUEST, "not applicable")
"""Outcomes on a healthy node that are not `pass`."""


class Ran:
    """status: exit status; text: all that was printed; outcomes, survey, diagnosis; report: the run's directory

    Raises LabError where the suite left no report or did not end.
    """

    def __init__(
        self, directory: Path, *options: str, hosts: str = "lab", environ: Mapping[str, str] | None = None
    ) -> None:
        command = [sys.executable, "-m", "pytest", "--inventory=inventories/lab.yml", f"--hosts={hosts}"]
        try:
            done = subprocess.run(
                [*command, f"--reports={directory}", *options],
                cwd=CHECKOUT,
                env={**os.environ, **(environ or {})},
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"the suite did not end within {RUN_SECONDS:.0f} s") from None
        self.status, self.text = done.returncode, done.stdout + done.stderr
        self.report = Path(directory) / "latest"
        if not self.report.exists():
            said = self.text if len(self.text) < 3000 else f"{self.text[:1500]}\n…\n{self.text[-1500:]}"
            raise LabError(f"the suite left no report, exit status {self.status}: {said}")
        lines = (self.report / "results.jsonl").read_bytes().splitlines()
        self.outcomes = tuple(msgspec.json.decode(line, type=Outcome) for line in lines)
        self.survey = load((self.report / "facts.json").read_bytes())
        self.diagnosis = diagnose(self.survey, self.outcomes)

    def differing(self) -> dict[tuple[str, str], str]:
        """{(check, node): outcome} of everything that is not as on a healthy cluster."""
        return {
            (o.check, o.node): o.outcome
            for o in self.outcomes
            if o.outcome != HEALTHY.get(o.check, "pass")
            and (o.outcome != "not applicable" or o.check not in WHERE_SEEN)
        }

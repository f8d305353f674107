"""One run of the suite against the lab, as an operator starts it, and what it left."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from lab import faults
from preflight.diagnosis import diagnose
from preflight.facts import load
from preflight.outcomes import Outcome

ROOT = Path(__file__).parent.parent.parent


def run_lab(*arguments):
    """One `python -m lab` command. Raises CalledProcessError."""
    subprocess.run([sys.executable, "-m", "lab", *arguments], cwd=ROOT, check=True, timeout=300)


class Ran:
    """status: exit status; text: all that was printed; outcomes, survey, diagnosis; report: the run's directory"""

    def __init__(self, directory, *options, hosts="lab", environ=None):
        command = [sys.executable, "-m", "pytest", "--inventory=inventories/lab.yml", f"--hosts={hosts}"]
        done = subprocess.run(
            [*command, f"--reports={directory}", *options],
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=600,
        )
        self.status, self.text = done.returncode, done.stdout + done.stderr
        self.report = Path(directory) / "latest"
        assert self.report.exists(), self.text
        lines = (self.report / "results.jsonl").read_bytes().splitlines()
        self.outcomes = tuple(msgspec.json.decode(line, type=Outcome) for line in lines)
        self.survey = load((self.report / "facts.json").read_bytes())
        self.diagnosis = diagnose(self.survey, self.outcomes)

    def differing(self):
        """{(check, node): outcome} of everything that is not as on a healthy cluster."""
        return {
            (o.check, o.node): o.outcome
            for o in self.outcomes
            if o.outcome != ("not applicable" if o.check in faults.ONLY_ON_REQUEST else "pass")
        }

"""Every fault on every version against the real lab: what the suite must say, and what it says.

One judgement for the selftests (`selftests/lab/test_incident.py`) and for `scripts/faults`, which runs all of it.
"""

from .cells import DATA, MASTER, Cell, bring_about, cells, subnets
from .judgement import Declared, Judged, declared, judge, run_suite

__all__ = [
    "DATA",
    "MASTER",
    "Cell",
    "Declared",
    "Judged",
    "bring_about",
    "cells",
    "declared",
    "judge",
    "run_suite",
    "subnets",
]

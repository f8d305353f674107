"""One run of the suite against the lab, or one command of the lab, as an operator starts it."""

import subprocess
import sys

from lab.names import CHECKOUT
from lab.suite import Ran

__all__ = ["Ran", "run_lab"]


def run_lab(*arguments):
    """One `python -m lab` command. Raises CalledProcessError."""
    subprocess.run([sys.executable, "-m", "lab", *arguments], cwd=CHECKOUT, check=True, timeout=600)

"""One run of the suite against the lab, or one command of the lab, as an operator starts it."""

import os
import subprocess
import sys

import pytest

from lab.names import CHECKOUT
from lab.suite import Ran

__all__ = ["ON_THE_LAB", "Ran", "run_lab"]

ON_THE_LAB = [
    pytest.mark.lab,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="the lab's namespaces and mounts need root on Linux"
    ),
]
"""For a module whose tests need real hosts."""


def run_lab(*arguments):
    """One `python -m lab` command. Raises CalledProcessError."""
    subprocess.run([sys.executable, "-m", "lab", *arguments], cwd=CHECKOUT, check=True, timeout=600)

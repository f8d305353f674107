"""One lab for all tests that need a cluster: brought up when first asked for, or the one that is already up."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import faults, lifecycle, names, state


@pytest.fixture(scope="session")
def lab():
    """The default lab, whole and unbroken. One that was up before stays up, mended."""
    mine = state.load() is None
    lifecycle.up(3, names.ES_VERSION)
    with state.lock():
        faults.heal(state.require())
    yield state.require()
    if mine:
        lifecycle.down()

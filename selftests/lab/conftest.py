"""One lab for all tests that need a cluster: brought up when first asked for, or the one that is already up."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from suite_run import run_lab

from lab import state


def pytest_collection_modifyitems(items):
    """Tests of hosts need a machine without a lab, so they come before those that bring one up and keep it."""
    items.sort(key=lambda item: item.path.name != "test_hosts.py")


@pytest.fixture(scope="session")
def lab(request):
    """A lab of --lab-version, whole and unbroken. One of that version that was up before stays up, mended."""
    mine = state.load() is None
    # By commands, as everybody does: what `up` starts outlives the process that started it.
    run_lab("up", "--es-version", request.config.getoption("lab_version"))
    run_lab("heal")
    yield state.require()
    if mine:
        run_lab("down")

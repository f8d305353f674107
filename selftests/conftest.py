"""Surveys made in Python are importable from every selftest; no AWS or proxy setting of this machine leaks in."""

import os
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]  # pytest takes it only from a conftest that it reads before it collects

HERE = Path(__file__).parent
for folder in ("", "rules", "connection", "probe"):
    sys.path.insert(0, str(HERE / folder))
sys.path.insert(0, str(HERE.parent))

from lab.names import ES_VERSION  # noqa: E402


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Whoever runs the selftests may have AWS, proxy or preflight settings of their own."""
    for name in list(os.environ):
        # Under CI pytest prints its own summary at full length.
        if (
            name.startswith(("AWS_", "ES_PREFLIGHT_"))
            or name.lower().endswith("_proxy")
            or name in ("CI", "BUILD_NUMBER")
        ):
            monkeypatch.delenv(name)


def pytest_addoption(parser):
    """Here and not in lab/: pytest reads options only from the conftests above what it is asked to run."""
    parser.addoption(
        "--lab-version",
        metavar="V",
        default=ES_VERSION,
        help="Elasticsearch of the lab that the selftests in lab/ bring up (default: %(default)s)",
    )


def pytest_collection_modifyitems(items):
    """The lab's tests come last: its Elasticsearch would be seen by those that look at this machine's processes."""
    items.sort(key=lambda item: item.get_closest_marker("lab") is not None)


def pytest_configure(config):
    config.addinivalue_line("markers", "lab: brings the real lab up and breaks it; minutes long, root on Linux")
    config.addinivalue_line("markers", "long: of the lab's matrix, what its short form leaves out: -m 'not long'")

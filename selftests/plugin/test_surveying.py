"""When nodes are asked, and for what. The survey is replaced by one that notes how it was called: the real one needs
real clusters, and is tried on the lab."""

from __future__ import annotations

import json

import pytest

from preflight.check import Check
from preflight.plugin.surveying import needs

SPY = """
import json
from pathlib import Path
import preflight.survey
from preflight.facts import load

def run(nodes, settings, needs, progress=print, cancelled=None):
    progress("es-1: surveyed")
    with Path("asked.jsonl").open("a") as file:
        names = ("reference", "complete", "read_only", "es_url")
        options = {name: str(getattr(settings, name)) for name in names}
        file.write(json.dumps({"nodes": [n.name for n in nodes], "needs": sorted(needs), **options}) + "\\n")
    return load(Path("facts.json").read_bytes())

preflight.survey.run = run
"""
CHECKS = '''
from preflight.check import check

@check("ONE-1", severity="high", needs=("keystore", "verify"))
def test_one(node):
    """One."""

@check("TWO-1", severity="high", needs=("verify", "cluster"), writes="markers of _verify")
def test_two(node, survey):
    """Two."""

def test_own_facts(node): pass

def test_plain(): pass
'''
HOSTS = "--hosts=es-1,es-2,es-3"


@pytest.fixture
def asked(project):
    """Runs pytest on three nodes; returns what the survey was asked, one entry a survey."""
    project.pytester.makeconftest((project.path / "conftest.py").read_text() + SPY)
    project.tests(CHECKS)

    def run(*args: str):
        log = project.path / "asked.jsonl"
        log.unlink(missing_ok=True)
        result = project.run(HOSTS, *args, facts=False, apart=True)
        assert result.ret in (0, 5), result.stdout.str()
        run.output = result.stdout.str()
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    return run


@pytest.mark.parametrize(
    ("args", "needs"),
    [
        (("-k", "one"), ["keystore"]),
        (("-k", "one or two"), ["cluster", "keystore", "verify"]),
        (("-n2", "-k", "one"), ["keystore"]),
        (("-n2", "-x", "-k", "two"), ["cluster", "verify"]),
    ],
)
def test_once_and_only_for_what_is_selected(asked, args, needs):
    (survey,) = asked(*args)
    assert survey["nodes"] == ["es-1", "es-2", "es-3"]
    assert survey["needs"] == needs


def test_own_tests_never_make_the_cluster_write(asked):
    (survey,) = asked("-k", "own_facts")
    assert "verify" not in survey["needs"] and "keystore" in survey["needs"]


@pytest.mark.parametrize(
    "args", [("--collect-only",), ("-k", "plain"), ("-n2", "-k", "plain"), ("-k", "nothing"), ("--setup-plan",)]
)
def test_not_at_all_where_no_test_reads_it(asked, args):
    assert asked(*args) == []


def test_options_reach_the_survey(asked):
    (survey,) = asked("--reference=es-2", "--complete", "--read-only", "--es-url=https://es-1:9200")
    assert survey["reference"] == "es-2"
    assert survey["complete"] == survey["read_only"] == "True"
    assert survey["es_url"] == "https://es-1:9200"


def test_progress_is_plain_lines_where_there_is_no_terminal(asked):
    asked("-k", "one")
    assert "preflight: asking 3 nodes ...\npreflight: es-1: surveyed\npreflight: nodes asked in " in asked.output


class Item:
    """What `needs` reads of a collected test."""

    def __init__(self, *needs, writes=None):
        self.fixturenames = ("survey",)
        record = Check(id="X-1", severity="high", title="", why="", needs=needs, writes=writes, function="")
        self.mark = pytest.mark.check(record).mark if needs else None

    def get_closest_marker(self, name):
        return self.mark


def test_what_is_written_is_what_a_selected_check_declares():
    """A check that has a marker written calls no _verify by that; a user's own test has nothing written at all."""
    verifying = Item("cluster", "verify", writes="markers of Elasticsearch's")
    marking = Item("buckets", "verify", "marker", writes="a marker object")
    reading = Item("buckets", "verify")
    assert needs([reading]) == {"buckets"}
    assert needs([marking]) == {"buckets", "marker"}
    assert needs([marking, verifying]) == {"buckets", "cluster", "verify", "marker"}
    assert not needs([Item()]) & {"verify", "marker"}

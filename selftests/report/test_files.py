"""facts.json and results.jsonl: whole, private, read back as they were written."""

from __future__ import annotations

import os

import msgspec
import pytest
import report_scenes as scenes

from preflight.facts import load
from preflight.outcomes import Outcome
from preflight.report import files


@pytest.fixture(params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_are_their_owners_alone_even_over_an_open_one(tmp_path):
    facts, results = tmp_path / "facts.json", tmp_path / "results.jsonl"
    results.write_text("old")
    results.chmod(0o644)
    files.write_facts(facts, scenes.healthy().survey)
    files.create(results).close()
    assert [oct(path.stat().st_mode & 0o777) for path in (facts, results)] == ["0o600", "0o600"]
    assert results.read_bytes() == b""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.json", "results.jsonl"]


def test_facts_are_read_back_as_they_were_written(tmp_path):
    survey = scenes.host_down().survey
    files.write_facts(tmp_path / "facts.json", survey)
    assert load((tmp_path / "facts.json").read_bytes()) == survey


def test_facts_that_cannot_be_written_leave_the_old_ones(tmp_path, monkeypatch):
    path = tmp_path / "facts.json"
    files.write_facts(path, scenes.healthy().survey)
    before = path.read_bytes()

    def broken(survey):
        raise ValueError("no")

    monkeypatch.setattr(files, "dump", broken)
    with pytest.raises(ValueError, match="no"):
        files.write_facts(path, scenes.incident().survey)
    assert path.read_bytes() == before


def test_a_result_is_one_line_on_disk_at_once_and_reads_back(tmp_path):
    outcomes = scenes.incident().outcomes
    with files.create(tmp_path / "results.jsonl") as results:
        for count, outcome in enumerate(outcomes, 1):
            results.write(files.jsonl_line(outcome))
            assert len((tmp_path / "results.jsonl").read_bytes().splitlines()) == count
    read = [msgspec.json.decode(line, type=Outcome) for line in (tmp_path / "results.jsonl").read_bytes().splitlines()]
    assert read == outcomes


def test_a_strange_byte_costs_no_line():
    outcome = Outcome(check="K-1", node="n", severity="high", outcome="fail", title="t", reason="odd \udc80\nbyte")
    line = files.jsonl_line(outcome)
    assert line.count(b"\n") == 1
    assert msgspec.json.decode(line, type=Outcome).reason == "odd ?\nbyte"

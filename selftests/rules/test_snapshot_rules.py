"""SNAP-1: the newest snapshot, told by the node whose shards it lacks."""

from __future__ import annotations

import pytest
import surveys
from judged import judged, not_passed
from surveys import STALE, healthy, node_id, with_cluster

from preflight import remedy
from preflight.diagnosis import diagnose
from preflight.facts import Dependents, NewestSnapshot, ShardFailures, SlmPolicy, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import snapshots


def with_newest(survey, state="PARTIAL", *failures):
    found = NewestSnapshot(
        repository="s3_backup", snapshot="nightly-7", state=state, started=surveys.STARTED - 60, failures=failures
    )
    return with_cluster(survey, newest=(found,))


def lacks(name, shards=2):
    return ShardFailures(node_id=name and node_id(name), sentence=STALE, shards=shards)


def judge(survey, name="es-2"):
    return snapshots.newest_is_complete(survey, survey.node(name))


def test_the_node_whose_shards_are_missing_is_named():
    survey = with_newest(healthy(), "PARTIAL", lacks("es-2"))

    assert judge(survey).observed == f"nightly-7 in s3_backup (PARTIAL) lacks 2 shards of this node: {STALE}"
    assert judge(survey, "es-1") is None
    outcomes = judged(survey)
    assert not_passed(outcomes) == {("SNAP-1", "es-2"): "warning"}
    (cause,) = diagnose(survey, outcomes).causes
    assert cause.id == "finding-snap-1"
    assert cause.title == f"es-2: {judge(survey).observed}"


@pytest.mark.parametrize("name", [None, "es-9"])
def test_what_names_no_given_node_is_told_once(name):
    survey = with_newest(healthy(), "PARTIAL", lacks(name, shards=1))

    assert "lacks 1 shard" in judge(survey, "es-1").observed
    assert judge(survey, "es-2") is None and judge(survey, "es-3") is None


def test_a_failed_one_without_a_reason_is_told_once():
    survey = with_newest(healthy(), "FAILED")

    assert judge(survey, "es-1").observed == "nightly-7 in s3_backup failed"
    assert judge(survey, "es-2") is None


@pytest.mark.parametrize(
    "newest",
    [
        (),
        Unknown(reason="Elasticsearch forbids action [cluster:admin/snapshot/get] to the login used (403)"),
        (NewestSnapshot(repository="s3_backup"),),
        (NewestSnapshot(repository="s3_backup", snapshot="nightly-7", state="IN_PROGRESS"),),
    ],
)
def test_nothing_to_look_at_is_not_applicable(newest):
    """Neither a pass nor a failure to check: evidence that is not there."""
    survey = with_cluster(healthy(), newest=newest)

    with pytest.raises(NotApplicable):
        judge(survey)
    assert not_passed(judged(survey)) == {}


def test_a_new_snapshot_is_what_mends_it():
    """By the policy that makes them, where the login may see it."""
    survey = with_newest(healthy(), "PARTIAL", lacks("es-2"))
    assert remedy.take_snapshot(survey, survey.node("es-2")).advice[0].startswith("take a new snapshot: _verify passes")

    policies = (SlmPolicy(name="nightly", repository="s3_backup"), SlmPolicy(name="other", repository="elsewhere"))
    survey = with_cluster(survey, dependents=Dependents(slm=policies))
    assert "(POST _slm/policy/nightly/_execute)" in remedy.take_snapshot(survey, survey.node("es-2")).advice[0]

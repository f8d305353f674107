"""No false alarm: a healthy cluster is green, whatever shape it has."""

from __future__ import annotations

from collections import Counter

import pytest
from judged import checks, judged, not_passed
from shapes import SHAPES
from surveys import healthy

from preflight.diagnosis import diagnose


def test_every_check_passes_on_a_healthy_cluster():
    """23 checks on 3 nodes: all pass but CLUSTER-2, which counts only with --complete."""
    outcomes = judged(healthy())

    assert Counter(o.outcome for o in outcomes) == {"pass": 66, "not applicable": 3}
    assert {o.check for o in outcomes if o.outcome == "not applicable"} == {"CLUSTER-2"}
    assert len(checks()) == 23


def test_a_complete_healthy_cluster_passes_cluster_2_too():
    """With --complete nothing is left out."""
    assert Counter(o.outcome for o in judged(healthy(complete=True))) == {"pass": 69}


@pytest.mark.parametrize("name", SHAPES)
def test_healthy_shapes_are_quiet(name):
    """Nothing but pass and not applicable, so no cause, and a verdict without a but."""
    survey = SHAPES[name](healthy())
    outcomes = judged(survey)

    assert not_passed(outcomes) == {}
    diagnosis = diagnose(survey, outcomes)
    assert diagnosis.causes == ()
    assert "wrong:" not in diagnosis.verdict


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        ("three_subnets", 66),
        ("dedicated_masters", 66),
        ("coordinating", 58),
        ("voting_only", 58),
        ("busy_host", 66),
        ("elsewhere", 66),
        ("elsewhere_reloaded", 66),
        ("declared_keys", 66),
        ("declared_keys_reloaded", 66),
        ("tarball", 66),
        ("only_elsewhere", 48),
        ("one_of_three", 19),
        ("no_s3", 39),
        ("before_regions", 60),
        ("web_identity", 66),
        ("container_credentials", 66),
    ],
)
def test_how_much_of_a_shape_is_really_checked(name, passed):
    """Quiet must not mean blind: not applicable only where there is nothing to check."""
    outcomes = judged(SHAPES[name](healthy()))

    assert sum(1 for o in outcomes if o.outcome == "pass") == passed


def test_read_only_leaves_snapshots_unproven():
    """--read-only is no pass of REPO-1, and the verdict says so."""
    survey = healthy(read_only=True)
    outcomes = judged(survey)

    assert {o.outcome for o in outcomes if o.check == "REPO-1"} == {"not applicable"}
    assert diagnose(survey, outcomes).verdict == "Nothing found wrong; snapshots to S3 are not proven (--read-only)."

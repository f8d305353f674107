"""No false alarm: a healthy cluster is green, whatever shape it has."""

from __future__ import annotations

from collections import Counter

import pytest
from judged import checks, judged, not_passed
from shapes import SHAPES
from surveys import healthy

from preflight.diagnosis import diagnose


def test_every_check_passes_on_a_healthy_cluster():
    """On 3 nodes: all pass but CLUSTER-2, which counts only with --complete."""
    outcomes = judged(healthy())

    assert Counter(o.outcome for o in outcomes) == {"pass": 3 * (len(checks()) - 1), "not applicable": 3}
    assert {o.check for o in outcomes if o.outcome == "not applicable"} == {"CLUSTER-2"}


def test_a_complete_healthy_cluster_passes_cluster_2_too():
    """With --complete nothing is left out."""
    assert Counter(o.outcome for o in judged(healthy(complete=True))) == {"pass": 3 * len(checks())}


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
    ("name", "beside"),
    [
        ("three_subnets", 3),
        ("dedicated_masters", 3),
        ("coordinating", 12),
        ("voting_only", 12),
        ("busy_host", 3),
        ("elsewhere", 3),
        ("elsewhere_reloaded", 3),
        ("declared_keys", 3),
        ("declared_keys_reloaded", 3),
        ("tarball", 3),
        ("only_elsewhere", 21),
        ("one_of_three", 4),
        ("no_s3", 33),
        ("before_regions", 9),
        ("web_identity", 3),
        ("container_credentials", 3),
    ],
)
def test_how_much_of_a_shape_is_really_checked(name, beside):
    """Quiet must not mean blind: not applicable only where there is nothing to check."""
    outcomes = judged(SHAPES[name](healthy()))

    assert sum(1 for o in outcomes if o.outcome != "pass") == beside


def test_read_only_leaves_snapshots_unproven():
    """--read-only is no pass of REPO-1, and the verdict says so."""
    survey = healthy(read_only=True)
    outcomes = judged(survey)

    assert {o.outcome for o in outcomes if o.check == "REPO-1"} == {"not applicable"}
    assert diagnose(survey, outcomes).verdict == "Nothing found wrong; snapshots to S3 are not proven (--read-only)."

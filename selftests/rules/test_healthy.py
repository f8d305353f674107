"""No false alarm: a healthy cluster is green, whatever shape it has."""

from __future__ import annotations

from collections import Counter

import pytest
from judged import checks, judged, not_passed
from shapes import SHAPES
from surveys import healthy

from preflight.diagnosis import diagnose

ON_REQUEST = {"CLUSTER-2", "PORT-3", *(id for id in checks() if id.startswith("AWS-"))}
"""Checks that an option asks for: not applicable without it."""


def test_every_check_passes_on_a_healthy_cluster():
    """All pass on all nodes but those that --complete and --aws ask for."""
    outcomes = judged(healthy())

    assert {o.check for o in outcomes if o.outcome == "not applicable"} == ON_REQUEST
    assert Counter(o.outcome for o in outcomes) == {
        "pass": 3 * (len(checks()) - len(ON_REQUEST)),
        "not applicable": 3 * len(ON_REQUEST),
    }


def test_a_complete_healthy_cluster_passes_cluster_2_too():
    """With --complete it counts."""
    outcomes = judged(healthy(complete=True))

    assert {o.check for o in outcomes if o.outcome != "pass"} == ON_REQUEST - {"CLUSTER-2"}


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
    ("name", "left_out"),
    [
        ("three_subnets", 0),
        ("dedicated_masters", 0),
        ("coordinating", 12),
        ("voting_only", 11),
        ("busy_host", 0),
        ("elsewhere", 0),
        ("elsewhere_reloaded", 0),
        ("declared_keys", 0),
        ("declared_keys_reloaded", 0),
        ("tarball", 0),
        ("only_elsewhere", 21),
        ("one_of_three", 3),
        ("no_s3", 39),
        ("before_regions", 6),
        ("web_identity", 9),
        ("container_credentials", 3),
    ],
)
def test_how_much_of_a_shape_is_really_checked(name, left_out):
    """Quiet must not mean blind: not applicable only where there is nothing to check."""
    outcomes = [o for o in judged(SHAPES[name](healthy())) if o.check not in ON_REQUEST]

    assert sum(1 for o in outcomes if o.outcome != "pass") == left_out


def test_read_only_leaves_snapshots_unproven():
    """--read-only is no pass of REPO-1, and the verdict says so."""
    survey = healthy(read_only=True)
    outcomes = judged(survey)

    assert {o.outcome for o in outcomes if o.check == "REPO-1"} == {"not applicable"}
    assert diagnose(survey, outcomes).verdict == "Nothing found wrong; snapshots to S3 are not proven (--read-only)."

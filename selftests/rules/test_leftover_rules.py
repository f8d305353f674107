"""REPO-2: old markers of `_verify`, told once, with the commands that delete them."""

from __future__ import annotations

import pytest
import surveys
from judged import judged, not_passed
from msgspec.structs import replace
from surveys import healthy, with_node

from preflight import remedy
from preflight.diagnosis import diagnose
from preflight.facts import LeftoverFolder, Leftovers, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import repository


def folder(seed, objects=2, age=7200.0, known=True):
    return LeftoverFolder(folder=f"prod/tests-{seed * 22}", objects=objects, youngest=age, known=known)


def with_leftovers(survey, leftovers, on="es-1"):
    """The one node that was asked for them."""
    for node in survey.nodes:
        found = leftovers if node.name == on else None
        survey = with_node(survey, node.name, buckets=tuple(replace(b, leftovers=found) for b in node.buckets))
    return survey


def judge(survey, name="es-1"):
    return repository.no_leftovers(survey, survey.node(name))


def test_old_markers_are_counted_and_each_folder_has_its_command():
    survey = with_leftovers(healthy(), Leftovers(folders=(folder("a"), folder("b", 4)), more=False))

    assert judge(survey).observed == "s3_backup: 6 objects of 2 old runs of _verify under its base path"
    assert judge(survey).details == (f"prod/tests-{'a' * 22}", f"prod/tests-{'b' * 22}")
    outcomes = judged(survey)
    assert not_passed(outcomes) == {("REPO-2", "es-1"): "warning"}
    (cause,) = diagnose(survey, outcomes).causes
    assert [command.text for command in cause.remedy.commands] == [
        f"aws s3 rm --recursive s3://es-snapshots/prod/tests-{'a' * 22}/",
        f"aws s3 rm --recursive s3://es-snapshots/prod/tests-{'b' * 22}/",
    ]


@pytest.mark.parametrize("found", [folder("a", age=3599.0), folder("a", known=False)])
def test_a_verify_that_runs_and_other_peoples_objects_are_left_alone(found):
    survey = with_leftovers(healthy(), Leftovers(folders=(found,), more=False))

    assert judge(survey) is None
    assert remedy.delete_leftovers(survey, survey.node("es-1")).commands == ()


def test_a_page_that_is_full_says_or_more():
    survey = with_leftovers(healthy(), Leftovers(folders=(folder("a", 1),), more=True))
    assert judge(survey).observed.startswith("s3_backup: 1 or more objects of 1 old run of")


def test_at_most_twenty_commands():
    many = tuple(replace(folder("a"), folder=f"prod/tests-{n:022}") for n in range(23))
    survey = with_leftovers(healthy(), Leftovers(folders=many, more=False))
    mend = remedy.delete_leftovers(survey, survey.node("es-1"))

    assert len(mend.commands) == 20
    assert mend.advice[-1] == "3 more: run the suite again afterwards"


@pytest.mark.parametrize(
    ("leftovers", "reason"),
    [
        (Unknown(reason="S3 answered the list of markers with HTTP 403"), "HTTP 403"),
        (None, "no node's own role has listed a base path"),
        (Leftovers(folders=(), more=False), "said once for the cluster, by es-1"),
    ],
)
def test_where_nobody_listed_it_does_not_apply(leftovers, reason):
    survey = with_leftovers(healthy(), leftovers)
    with pytest.raises(NotApplicable, match=reason):
        judge(survey, "es-2")
    assert not_passed(judged(survey)) == {}


def test_a_node_that_does_not_run_is_another_checks_matter():
    survey = surveys.elasticsearch_down(healthy(), "es-2")
    with pytest.raises(NotApplicable, match="CLUSTER-1"):
        judge(survey, "es-2")

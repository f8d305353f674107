"""What stands under a cause and beside a node's line: logs and dependents, and nothing where they are not known."""

from __future__ import annotations

import surveys
from judged import judged, not_passed
from msgspec.structs import replace
from surveys import STALE, STARTED, healthy, node_id, with_cluster, with_node

from preflight.diagnosis import diagnose
from preflight.facts import (
    Dependents,
    IlmPolicy,
    Indicator,
    Log,
    LogLine,
    MountedIndex,
    SlmPolicy,
    Unknown,
)
from preflight.rules import restart


def line(first, sentence=STALE, repository="s3_backup", last=None, count=7):
    return LogLine(first=first, last=last or first + 60, count=count, repository=repository, sentence=sentence)


def with_log(survey, *lines, whole=True):
    log = Log(path="/var/log/elasticsearch/es-lab.log", whole=whole, lines=lines)
    return with_node(survey, "es-2", log=log)


def judge(survey):
    return diagnose(survey, judged(survey))


def text(diagnosis, name="es-2"):
    return next(n.text for n in diagnosis.nodes if n.node == name)


def test_the_log_says_since_when_the_key_is_refused():
    """10:40 UTC is when the made surveys begin."""
    survey = with_log(surveys.stale_keys(healthy(), "es-2"), line(STARTED - 3600))
    diagnosis = judge(survey)

    assert "static keys in use, refused by S3 since 09:40 UTC;" in text(diagnosis)
    (cause,) = diagnosis.causes
    assert f"es-2: its log has it 7 times since 09:40 UTC, last at 09:41 UTC (s3_backup): {STALE}" in cause.evidence


def test_another_day_is_named_and_a_log_that_was_cut_off_says_so():
    survey = with_log(surveys.stale_in_memory(healthy(), "es-2"), line(STARTED - 86_400), whole=False)

    assert "refused by S3 since 2025-11-23 10:40 UTC or before" in text(judge(survey))


def test_a_log_of_other_things_says_nothing():
    """Another kind of failure, a repository that this cluster does not have, a healthy node."""
    other = line(STARTED, "Access Denied")
    foreign = line(STARTED, repository="another_clusters")
    survey = with_log(surveys.stale_keys(healthy(), "es-2"), other, foreign)
    assert "since" not in text(judge(survey))
    assert not [evidence for evidence in judge(survey).causes[0].evidence if "its log" in evidence]

    survey = with_log(healthy(), line(STARTED))
    assert judge(survey).causes == ()
    assert "since" not in text(judge(survey))


def test_an_unread_log_is_missing_evidence_and_nothing_else():
    survey = with_node(healthy(), "es-2", log=Unknown(reason="may not be read"))
    assert not_passed(judged(survey)) == {}
    survey = with_node(surveys.stale_keys(healthy(), "es-2"), "es-2", log=Unknown(reason="may not be read"))
    assert [cause.id for cause in judge(survey).causes] == ["stale-static-keys"]


def mounted(*names, partial=True, on="es-2"):
    return tuple(MountedIndex(name=n, repository="s3_backup", partial=partial, nodes=(node_id(on),)) for n in names)


POLICY = SlmPolicy(
    name="nightly",
    repository="s3_backup",
    last_success=STARTED - 2 * 86_400,
    last_failure=STARTED - 3600,
    sentence=STALE,
    taken=41,
    failed=2,
)


def test_who_depends_on_a_failing_repository_stands_under_its_cause():
    dependents = Dependents(
        mounted=mounted("a", "b", "c", "d"),
        slm=(POLICY, SlmPolicy(name="weekly", repository="elsewhere")),
        ilm=(IlmPolicy(name="logs", repository="s3_backup"), IlmPolicy(name="metrics", repository="s3_backup")),
    )
    survey = with_cluster(surveys.stale_keys(healthy(), "es-2"), dependents=dependents)
    (cause,) = judge(survey).causes

    assert (
        "s3_backup is used by SLM policy nightly, 2 ILM policies (logs and metrics) and 4 mounted indices"
        in cause.evidence
    )
    assert (
        "SLM policy nightly: its last snapshot failed at 09:40 UTC "
        f"(last success 2025-11-22 10:40 UTC; 2 of 43 failed): {STALE}" in cause.evidence
    )
    assert judge(survey).notes == ()


def test_a_healthy_repository_has_no_such_lines_but_a_note_of_what_failed():
    survey = with_cluster(healthy(), dependents=Dependents(slm=(POLICY,), mounted=mounted("a")))
    assert not_passed(judged(survey)) == {}
    assert judge(survey).notes == (
        "SLM policy nightly: its last snapshot failed at 09:40 UTC "
        f"(last success 2025-11-22 10:40 UTC; 2 of 43 failed): {STALE}",
    )
    mended = replace(POLICY, last_success=STARTED - 60)
    assert judge(with_cluster(healthy(), dependents=Dependents(slm=(mended,)))).notes == ()
    assert judge(with_cluster(healthy(), dependents=Dependents(slm=()))).notes == ()


def test_the_health_report_is_a_note_where_it_is_not_green():
    def reported(status):
        indicator = Indicator(name="repository_integrity", status=status, symptom="Detected [1] invalid repositories.")
        return judge(with_cluster(healthy(), health=(indicator,))).notes

    assert reported("yellow") == ("health report, repository_integrity: yellow: Detected [1] invalid repositories.",)
    assert reported("green") == reported("unknown") == ()


def test_evidence_that_a_login_may_not_see_is_missing_and_no_more():
    refused = Unknown(reason="Elasticsearch forbids action [cluster:admin/slm/get] to the login used (403)")
    dependents = Dependents(mounted=refused, slm=refused, ilm=refused)
    survey = with_cluster(healthy(), dependents=dependents, health=refused, newest=refused)

    assert not_passed(judged(survey)) == {}
    assert judge(survey).notes == ()


def test_mounted_shards_count_at_a_restart_where_their_repository_fails_here():
    """One cause with the failure they follow from, and quiet on every node where S3 works."""
    survey = with_cluster(surveys.stale_keys(healthy(), "es-2"), dependents=Dependents(mounted=mounted("a", "b")))
    outcomes = judged(survey)

    assert not_passed(outcomes) == {
        ("KEY-1", "es-2"): "fail",
        ("REPO-1", "es-2"): "fail",
        ("RESTART-1", "es-2"): "warning",
    }
    assert restart.comes_back(survey, survey.node("es-2")).observed == (
        "shards of 2 mounted indices are read from s3_backup, which fails on this node: "
        "a restart leaves them unassigned"
    )
    (cause,) = diagnose(survey, outcomes).causes
    assert set(cause.explains) == set(not_passed(outcomes))

    there = Dependents(mounted=mounted("a", on="es-3"))
    assert restart.comes_back(with_cluster(survey, dependents=there), survey.node("es-2")) is None
    well = with_cluster(healthy(), dependents=Dependents(mounted=mounted("a")))
    assert restart.comes_back(well, well.node("es-2")) is None


def test_mounted_shards_beside_another_reason_are_its_details():
    survey = with_cluster(surveys.route_own(healthy(), "es-2"), dependents=Dependents(mounted=mounted("a")))
    survey = surveys.keystore_half(survey, "es-2")
    finding = restart.comes_back(survey, survey.node("es-2"))

    assert not finding.warning
    assert finding.details == (
        "shards of 1 mounted index are read from s3_backup, which fails on this node: a restart leaves them unassigned",
    )

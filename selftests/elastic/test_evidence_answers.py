"""Evidence read out of answers: snapshots as real clusters gave them, the rest as Elasticsearch documents it.

The Elasticsearch that the lab runs has no SLM, ILM or searchable snapshots: these bodies are written by hand.
"""

import json
from pathlib import Path

import pytest

from preflight import answers, answers_evidence
from preflight.facts import IlmPolicy, Indicator, MountedIndex, NewestSnapshot, ShardFailures, SlmPolicy

CAPTURES = Path(__file__).parent.parent / "captures"
STALE = "The AWS Access Key Id you provided does not exist in our records."


def body(name):
    return json.loads((CAPTURES / f"{name}.json").read_text())["body"]


def test_a_real_partial_snapshot_names_its_node_and_aws_own_sentence():
    newest = answers_evidence.newest("s3repo", body("s3/8.19.3-more/g5_get_snapshot_partial"))

    assert newest == NewestSnapshot(
        repository="s3repo",
        snapshot="s2",
        state="PARTIAL",
        started=1795509852.744,
        failures=(ShardFailures(node_id="BFscfSStRXKw2BIBLj2p0w", sentence=STALE, shards=2),),
    )


@pytest.mark.parametrize("version", ["7.17.13", "8.19.3", "9.1.0"])
def test_a_real_complete_snapshot(version):
    newest = answers_evidence.newest("s3repo", body(f"s3/{version}/a6_get_snapshots"))

    assert (newest.state, newest.failures) == ("SUCCESS", ())


def test_an_empty_repository_has_no_newest():
    assert answers_evidence.newest("r", {}) == NewestSnapshot(repository="r")


@pytest.mark.parametrize("version", ["7.17.13", "8.19.3", "9.1.0"])
def test_the_jvm_and_the_repository_plugins_of_a_real_node(version):
    (member,) = answers.members(body(f"api/{version}/nodes_info_all"))

    assert member.jvm is not None and "(" in member.jvm
    assert member.plugins == ()


def test_repository_plugins_alone_are_kept():
    node = {"name": "a", "version": "7.17.29", "jvm": {"version": "17.0.9"}, "transport_address": "10.0.0.1:9300"}
    plugins = [{"name": "repository-s3", "version": "7.17.29"}, {"name": "analysis-icu", "version": "7.17.29"}]
    (member,) = answers.members({"nodes": {"x": {**node, "plugins": plugins}}})

    assert (member.jvm, member.plugins) == ("17.0.9", ("repository-s3 7.17.29",))


def test_mounted_indices_and_who_holds_their_shards():
    def index(**store):
        return {"settings": {"index": {"store": store}}}

    state = {
        "metadata": {
            "indices": {
                "partial-logs": index(type="snapshot", snapshot={"repository_name": "s3_backup", "partial": "true"}),
                "restored-logs": index(type="snapshot", snapshot={"repository_name": "s3_backup"}),
                "hot": index(type="hybridfs"),
            }
        },
        "routing_table": {
            "indices": {
                "partial-logs": {"shards": {"0": [{"node": "n1"}], "1": [{"node": "n2"}, {"node": None}]}},
                "hot": {"shards": {"0": [{"node": "n3"}]}},
            }
        },
    }
    assert answers_evidence.mounted(state) == (
        MountedIndex(name="partial-logs", repository="s3_backup", partial=True, nodes=("n1", "n2")),
        MountedIndex(name="restored-logs", repository="s3_backup", partial=False, nodes=()),
    )
    assert answers_evidence.mounted({}) == ()


def test_a_lifecycle_policys_last_failure_is_its_innermost_cause():
    """SLM keeps an exception as JSON in a string; a key id that AWS may have repeated stays out."""
    details = {
        "type": "snapshot_exception",
        "reason": "[s3_backup:nightly-7/uuid] failed to update snapshot in repository",
        "caused_by": {"type": "s3_exception", "reason": f"s3_exception: {STALE} (Service: S3, Status Code: 403)"},
        "stack_trace": "[s3_backup] ...",
    }
    (policy,) = answers_evidence.slm(
        {
            "nightly": {
                "policy": {"repository": "s3_backup"},
                "last_success": {"time": 1795509852744},
                "last_failure": {"time": 1795519852744, "details": json.dumps(details)},
                "stats": {"snapshots_taken": 41, "snapshots_failed": 2},
            }
        }
    )
    assert policy == SlmPolicy(
        name="nightly",
        repository="s3_backup",
        last_success=1795509852.744,
        last_failure=1795519852.744,
        sentence=STALE,
        taken=41,
        failed=2,
    )


@pytest.mark.parametrize(
    ("details", "sentence"),
    [
        ("no JSON, AKIAZZZZZZZZZZZZZZZZ", "no JSON, AKIA****"),
        ("", None),
        (None, None),
        ('"text"', '"text"'),
    ],
)
def test_details_of_another_shape(details, sentence):
    (policy,) = answers_evidence.slm({"p": {"policy": {"repository": "r"}, "last_failure": {"details": details}}})
    assert policy.sentence == sentence


def test_lifecycle_policies_that_mount_snapshots():
    cold = {"phases": {"cold": {"actions": {"searchable_snapshot": {"snapshot_repository": "s3_backup"}}}}}
    assert answers_evidence.ilm({"logs": {"policy": cold}, "plain": {"policy": {"phases": {"hot": {}}}}}) == (
        IlmPolicy(name="logs", repository="s3_backup"),
    )


def test_the_health_report_of_a_real_8_19():
    """As the lab's own answered: it has no slm indicator."""
    report = {
        "status": "green",
        "indicators": {
            "master_is_stable": {"status": "green", "symptom": "The cluster has a stable master node"},
            "repository_integrity": {"status": "green", "symptom": "All repositories are healthy."},
        },
    }
    assert answers_evidence.health(report) == (
        Indicator(name="repository_integrity", status="green", symptom="All repositories are healthy."),
    )


def test_loaded_certificates_are_those_with_a_key():
    """Shapes of 8.19's answer; an authority's expiry is nobody's here."""
    own = {"path": "certs/node.crt", "format": "PEM", "alias": None, "subject_dn": "CN=es-2", "serial_number": "2fc3"}
    own |= {"has_private_key": True, "expiry": "2027-02-22T18:21:12.000Z", "issuer": "CN=Elasticsearch CA"}
    found = answers.loaded_certificates([{**own, "has_private_key": False, "path": "certs/http_ca.crt"}, own])
    assert [(c.path, c.subject, c.not_after) for c in found] == [("certs/node.crt", "CN=es-2", 1803320472.0)]
    assert answers.loaded_certificates({}) == ()

"""Diagnosis: causes are undecided rather than guessed, and nothing red is without one."""

from __future__ import annotations

import pytest
import surveys
from judged import judged
from msgspec.structs import replace
from shapes import SHAPES
from surveys import healthy, port_fails, stale_keys, with_cluster, with_node

from preflight.diagnosis import diagnose
from preflight.facts import Log, LogLine, NodeFacts, Unknown, Verification, VerifyFailure


def causes(survey, outcomes=None):
    return diagnose(survey, judged(survey) if outcomes is None else outcomes).causes


def test_a_removed_key_that_is_still_loaded():
    """The keystore is clean, S3 still refuses: the process holds it."""
    survey = surveys.verify_fails(healthy(), "es-2", surveys.STALE)
    (cause,) = causes(survey)

    assert cause.id == "stale-keys-loaded"
    assert (
        cause.title == "es-2: the process still signs with a key that is no longer in the keystore, and S3 refuses it"
    )
    assert cause.explains == (("REPO-1", "es-2"),)


@pytest.mark.parametrize(
    ("version", "named"),
    [
        ("8.19.21", ["static-keys-in-environment"]),
        ("8.18.0", ["stale-keys-loaded", "static-keys-ignored"]),
        ("9.0.4", ["stale-keys-loaded", "static-keys-ignored"]),
        ("9.1.0", ["static-keys-in-environment"]),
    ],
)
def test_a_key_from_the_environment_counts_where_the_version_reads_it(version, named):
    """AWS SDK v2 reads AWS_ACCESS_KEY_ID, SDK v1 in Elasticsearch does not: there the process has it from before."""
    survey = surveys.env_keys(healthy(version=version), "es-2")
    first, *_ = found = causes(survey)

    assert [cause.id for cause in found] == named
    assert ("REPO-1", "es-2") in first.explains
    assert first.confidence == ("certain" if len(named) == 1 else "likely")


def test_half_a_pair_signs_nothing():
    """The SDK passes over a key id without its secret: what S3 refuses is a key from before."""
    survey = surveys.verify_fails(healthy(), "es-2", surveys.STALE)
    process = survey.node("es-2").process
    survey = with_node(survey, "es-2", process=replace(process, environment=("AWS_ACCESS_KEY_ID",)))

    assert [cause.id for cause in causes(survey)] == ["stale-keys-loaded", "static-keys-ignored"]


def test_keys_on_disk_may_be_what_a_hidden_process_signs_with():
    """Likely, not certain; and no tale of a key that was in the keystore before."""
    survey = surveys.verify_fails(surveys.default_file_keys(healthy(), "es-2"), "es-2", surveys.STALE)
    survey = with_node(survey, "es-2", process=Unknown(reason="its environment may not be read"))
    cause = next(cause for cause in causes(survey) if ("REPO-1", "es-2") in cause.explains)

    assert (cause.id, cause.confidence) == ("static-keys-on-disk", "likely")
    assert ("SRC-1", "es-2") in cause.explains


def test_keystore_keys_come_before_those_of_the_environment():
    """What S3 refuses is the keystore's; the environment's wait behind it, and have a cause of their own."""
    by_id = {cause.id: cause for cause in causes(surveys.env_keys(stale_keys(healthy(), "es-2"), "es-2"))}

    assert set(by_id) == {"stale-static-keys", "static-keys-in-environment"}
    assert by_id["stale-static-keys"].explains == (("KEY-1", "es-2"), ("REPO-1", "es-2"))
    assert by_id["static-keys-in-environment"].explains == (("SRC-1", "es-2"),)


def test_keys_that_nobody_refused_are_a_cause_of_their_own():
    """Policy, not incident: told so."""
    keystore = healthy().node("es-2").keystore
    survey = with_node(healthy(), "es-2", keystore=replace(keystore, settings=surveys.STATIC_KEYS))
    (cause,) = causes(survey)

    assert cause.id == "static-keys-present"
    assert "in use now, accepted by S3 today" in cause.evidence[0]


def test_two_nodes_with_the_same_fault_are_one_cause():
    """One title, both nodes, the first node's commands."""
    survey = stale_keys(stale_keys(healthy(), "es-2"), "es-3")
    (cause,) = causes(survey)

    assert cause.nodes == ("es-2", "es-3")
    assert cause.title.startswith("es-2 and es-3: stale static keys")
    assert {command.where for command in cause.remedy.commands} == {"es-2", "controller"}
    assert cause.remedy.advice[-1].startswith("then es-3, one node at a time")
    assert len(cause.explains) == 4


def test_an_unknown_sentence_is_its_own_cause():
    """No row knows it, so the finding is shown as it is, with those behind the master under it."""
    survey = surveys.verify_fails(healthy(), "es-1", "The specified bucket does not exist")
    (cause,) = causes(survey)

    assert cause.id == "finding-repo-1"
    assert "The specified bucket does not exist" in cause.title
    assert cause.explains == (("REPO-1", "es-1"), ("REPO-1", "es-2"), ("REPO-1", "es-3"))


def test_access_denied_is_not_taken_for_a_stale_key():
    """The key is good, a policy forbids: nothing tells the operator to remove anything."""
    survey = surveys.verify_fails(healthy(), "es-2", "Access Denied")

    assert [cause.id for cause in causes(survey)] == ["finding-repo-1"]


VAIN = ("install", "container", "identity", "filters")
"""What no check on a healthy cluster needs by itself."""


@pytest.mark.parametrize(
    "section",
    [
        name
        for name, kind in NodeFacts.__annotations__.items()
        if "Unknown" in kind and name not in ("login", "process", "log")
    ],
)
def test_an_unknown_section_makes_no_cause(section):
    """Undecided is not false and not true: no row fires on what nobody saw, and nothing becomes red."""
    survey = with_node(healthy(), "es-2", **{section: Unknown(reason="nobody looked")})
    outcomes = judged(survey)

    assert "fail" not in {o.outcome for o in outcomes}
    assert causes(survey, outcomes) == ()
    assert "could not check" in {o.outcome for o in outcomes if o.node == "es-2"} or section in VAIN


def test_causes_come_in_the_order_to_act():
    """A host first, then ports, then routes, roles, keys; warnings last."""
    survey = healthy(5)
    survey = port_fails(survey, "es-1", "es-2", "refused")
    survey = surveys.region_missing(survey, "es-1")
    survey = stale_keys(survey, "es-2")
    survey = surveys.no_instance_role(survey, "es-3")
    survey = surveys.route_upstream(survey, "es-4")
    survey = surveys.elasticsearch_down(survey, "es-5")

    assert [cause.id for cause in causes(survey)] == [
        "elasticsearch-down",
        "port-blocked",
        "route-upstream",
        "no-instance-role",
        "stale-static-keys",
        "region-missing",
    ]


def test_a_port_failure_towards_a_dead_host_is_the_hosts():
    """The cluster still lists a member whose host is gone: one cause, not one a pair."""
    survey = port_fails(port_fails(healthy(), "es-1", "es-3", "timeout"), "es-2", "es-3", "timeout")
    why = Unknown(reason="no answer")
    blocked = replace(why, blocked=True)
    sections = dict.fromkeys(
        (s for s in NodeFacts.__struct_fields__ if s not in ("name", "host", "login", "static_key_clients")), blocked
    )
    survey = with_node(survey, "es-3", login=why, **sections)
    (cause,) = causes(survey)

    assert cause.id == "host-unreachable"
    assert {("PORT-1", "es-1"), ("PORT-1", "es-2")} <= set(cause.explains)


def test_a_host_with_two_processes_is_not_called_unreachable():
    why = Unknown(reason="2 Elasticsearch processes run on this host", remedy="preflight_es_port names one")
    kept = ("name", "host", "ssh", "login", "system", "static_key_clients")
    blocked = Unknown(reason="es-3 could not be surveyed (NODE-1)", blocked=True)
    sections = {s: blocked for s in NodeFacts.__struct_fields__ if s not in kept}
    survey = with_node(healthy(), "es-3", system=why, **sections)
    (cause,) = causes(survey)

    assert cause.id == "process-not-told"
    assert cause.evidence == ("es-3: 2 Elasticsearch processes run on this host",)
    assert cause.remedy.advice == ("preflight_es_port names one",)
    assert ("NODE-1", "es-3") in cause.explains
    line = next(line for line in diagnose(survey, judged(survey)).nodes if line.node == "es-3")
    assert line.text == "could not be surveyed: 2 Elasticsearch processes run on this host"


def test_a_verify_that_never_answered_belongs_to_the_lost_path():
    """Timeouts add up until _verify's own deadline: every node is unchecked, one is the reason."""
    survey = surveys.route_upstream(healthy(), "es-2")
    late = Unknown(reason="_verify of s3_backup gave no answer within 180 s")
    survey = with_cluster(survey, verifications=(late,))
    (cause,) = causes(survey)

    assert cause.id == "route-upstream"
    assert {("REPO-1", "es-1"), ("REPO-1", "es-2"), ("REPO-1", "es-3")} <= set(cause.explains)


def test_a_waived_failure_asks_for_no_cause():
    """It is known, owned and dated."""
    survey = stale_keys(healthy(), "es-2")
    outcomes = [replace(o, outcome="waived") if o.outcome == "fail" else o for o in judged(survey)]

    assert causes(survey, outcomes) == ()


def test_a_check_that_did_not_run_asks_for_no_cause():
    """With -k role the keystore is nobody's business."""
    survey = stale_keys(healthy(), "es-2")

    assert causes(survey, [o for o in judged(survey) if o.check == "ROLE-1"]) == ()


VERDICTS = [
    (healthy, "Snapshots to S3 work from all 3 nodes."),
    (lambda: healthy(1), "Snapshots to S3 work from the one node given."),
    (
        lambda: stale_keys(healthy(), "es-2"),
        "Snapshots to S3 fail: "
        "es-2: stale static keys in the keystore win over the instance role, and S3 refuses them.",
    ),
    (
        lambda: surveys.region_missing(healthy(), "es-2"),
        "Snapshots to S3 work from all 3 nodes; 1 warning to look at.",
    ),
    (
        lambda: port_fails(healthy(), "es-1", "es-2", "refused"),
        "Something is wrong, though snapshots to S3 work from all 3 nodes: "
        "es-1 cannot open transport 198.18.0.12:9300 of es-2: refused.",
    ),
    (
        lambda: port_fails(stale_keys(healthy(), "es-2"), "es-1", "es-2", "refused"),
        "Snapshots to S3 fail: es-2: stale static keys in the keystore win over the instance role, "
        "and S3 refuses them; besides, es-1 cannot open transport 198.18.0.12:9300 of es-2: refused.",
    ),
    (
        lambda: surveys.route_own(healthy(2), "es-2"),
        "Snapshots to S3 fail: es-2: s3_backup: TCP to es-snapshots.s3.ap-northeast-2.amazonaws.com:443: "
        "timeout after 3002 ms.",
    ),
    (lambda: SHAPES["coordinating"](healthy()), "Snapshots to S3 work from es-1 and es-2."),
    (lambda: healthy(2), "Snapshots to S3 work from both nodes."),
    (
        lambda: surveys.host_down(healthy(), "es-2"),
        "Nothing found wrong, but not everything could be checked on es-2; snapshots to S3 are not proven.",
    ),
    (
        lambda: surveys.elasticsearch_down(healthy(), "es-2"),
        "Something is wrong, and snapshots to S3 are not proven: Elasticsearch does not run on es-2.",
    ),
]


@pytest.mark.parametrize(("made", "verdict"), VERDICTS)
def test_verdict(made, verdict):
    """One sentence, and never more than was proven."""
    survey = made()

    assert diagnose(survey, judged(survey)).verdict == verdict


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (
            lambda: stale_keys(healthy(), "es-2"),
            "Nothing found wrong but what is waived; snapshots to S3 are not proven (waived on es-2).",
        ),
        (
            lambda: port_fails(healthy(), "es-1", "es-2", "refused"),
            "Snapshots to S3 work from all 3 nodes; 1 waived.",
        ),
        (
            lambda: surveys.host_down(port_fails(healthy(), "es-1", "es-3", "refused"), "es-2"),
            "Nothing found wrong but what is waived, but not everything could be checked on es-2; "
            "snapshots to S3 are not proven.",
        ),
    ],
)
def test_what_is_waived_is_not_called_well(made, verdict):
    """A waiver accepts a failure; the sentence on snapshots stays true."""
    survey = made()
    outcomes = [replace(o, outcome="waived") if o.outcome == "fail" else o for o in judged(survey)]

    assert diagnose(survey, outcomes).verdict == verdict


def test_the_verdict_speaks_for_the_nodes_that_were_tested():
    """pytest -k es-1: nobody knows of the others."""
    outcomes = [o for o in judged(healthy()) if o.node == "es-1"]

    assert diagnose(healthy(), outcomes).verdict == "Snapshots to S3 work from es-1."


def lines(survey):
    return {line.node: line.text for line in diagnose(survey, judged(survey)).nodes}


def test_a_line_for_every_node():
    """The broken one and the healthy ones, in the same words."""
    assert lines(stale_keys(healthy(), "es-2")) == {
        "es-1": "elected master; no static keys; role proven on this node; would survive a restart: yes; "
        "routes as the reference; _verify passes",
        "es-2": "static keys in use, refused by S3; role proven on this node; safe to remove: yes; "
        "reload enough: yes; would survive a restart: yes; routes as the reference; _verify fails",
        "es-3": "no static keys; role proven on this node; would survive a restart: yes; "
        "routes as the reference; _verify passes",
    }


def test_lines_of_other_faults():
    """What each fault looks like in one line."""
    assert lines(surveys.host_down(healthy(), "es-2"))["es-2"] == (
        "could not be surveyed: no answer from 198.18.0.12:22 within 5 s"
    )
    assert lines(surveys.route_own(healthy(), "es-2"))["es-2"] == (
        "no static keys; role not proven: not tried: no TCP connection to the bucket's endpoint; "
        "would survive a restart: yes; routes differ from es-1's; S3 not reached (s3_backup); _verify fails"
    )
    assert lines(stale_keys(healthy(), "es-1"))["es-3"].endswith("_verify stopped at the elected master")
    assert lines(surveys.elasticsearch_down(healthy(), "es-2"))["es-2"].startswith("Elasticsearch does not run; ")


def test_a_line_says_whether_a_reload_is_enough_and_whether_the_node_would_come_back():
    """What an operator asks before touching it; nothing where there is nothing to forget."""
    said = {
        fault.__name__: [part for part in lines(fault(healthy(), "es-2"))["es-2"].split("; ") if ": " in part]
        for fault in (
            stale_keys,
            surveys.stale_in_memory,
            surveys.env_keys,
            surveys.stale_on_disk,
            surveys.keystore_half,
        )
    }
    assert said == {
        "stale_keys": ["safe to remove: yes", "reload enough: yes", "would survive a restart: yes"],
        "stale_in_memory": ["reload enough: yes", "would survive a restart: yes"],
        "env_keys": ["safe to remove: yes", "reload enough: no", "would survive a restart: yes"],
        "stale_on_disk": ["safe to remove: yes", "would survive a restart: no"],
        "keystore_half": ["safe to remove: yes", "would survive a restart: no"],
    }


@pytest.mark.parametrize(
    ("whole", "hours", "said"),
    [
        (True, 2, "refused by S3 since 08:40 UTC; "),
        (False, 2, "refused by S3 since 08:40 UTC or before; "),
        (True, 26, "refused by S3 since 2025-11-23 08:40 UTC; "),
    ],
)
@pytest.mark.parametrize("fault", [stale_keys, surveys.stale_in_memory, surveys.env_keys])
def test_a_line_says_since_when_s3_refuses_the_key(fault, whole, hours, said):
    """By the node's own log, and only its lines about a key."""
    survey = fault(healthy(), "es-2")
    since = survey.started - hours * 3600
    line = LogLine(first=since, last=survey.started, count=9, repository="s3_backup", sentence=surveys.STALE)
    other = replace(line, first=since - 3600, sentence="connect timed out")
    survey = with_node(survey, "es-2", log=Log(path="/var/log/x.log", whole=whole, lines=(line, other)))

    assert said in lines(survey)["es-2"]
    assert "since" not in lines(with_node(survey, "es-2", log=Unknown(reason="may not be read")))["es-2"]


def test_notes():
    """Nobody's failure, and worth a line."""
    survey = healthy(read_only=True, insecure_host_keys=True)
    survey = replace(survey, nodes=survey.nodes[:2])
    notes = diagnose(survey, judged(survey)).notes

    assert notes == (
        "members of the cluster that were not given and not looked at: es-3 (198.18.0.13:9300)",
        "--read-only: _verify was not called; snapshots not proven",
        "--insecure-host-keys: no host key was verified; whoever answered may not be the node",
    )
    assert diagnose(healthy(), judged(healthy())).notes == ()


def test_no_cause_is_invented_for_a_failure_of_another_cluster():
    """Two clusters in one run: each failure stays in its own."""
    survey = stale_keys(healthy(), "es-2")
    answer = survey.clusters[0].verifications[0]
    assert isinstance(answer, Verification)
    assert isinstance(answer.failures[0], VerifyFailure)
    other = replace(survey.clusters[0], uuid="Z" * 22, verifications=(surveys.verified("s3_backup", ()),))
    survey = replace(survey, clusters=(*survey.clusters, other))

    assert {node for cause in causes(survey) for _, node in cause.explains} == {"es-2"}


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (lambda survey: survey, "es-2: S3 accepts a list signed with this node's role, so the keys are not needed"),
        (
            lambda survey: surveys.no_instance_role(survey, "es-2"),
            "role not proven on es-2: not tried: IMDS gives no role credentials",
        ),
    ],
)
def test_evidence_says_whether_the_role_is_proven(more, line):
    """With what S3 said and what that means."""
    survey = more(stale_keys(healthy(), "es-2"))
    cause = next(cause for cause in causes(survey) if cause.id == "stale-static-keys")

    assert cause.evidence == (
        "es-2: s3.client.default.access_key and s3.client.default.secret_key "
        "in /etc/elasticsearch/elasticsearch.keystore",
        f"_verify on es-2: {surveys.STALE}",
        "the key id is unknown to AWS: deleted, rotated, or of another partition",
        line,
    )


def test_keys_that_nothing_signs_with_prove_no_role():
    """No repository uses the client: S3 was never asked, and nobody may say that it accepted anything."""
    survey = surveys.no_instance_role(healthy(), "es-2")
    file = survey.node("es-2").keystore
    survey = with_node(
        survey, "es-2", keystore=replace(file, settings=("s3.client.old.access_key", "s3.client.old.secret_key"))
    )
    cause = next(cause for cause in causes(survey) if cause.id == "static-keys-present")

    assert cause.title == "es-2: static keys in the keystore that nothing signs with today"
    assert cause.evidence[-1] == "es-2: nothing on this node signs with them"


def test_a_key_that_another_s3_refuses_is_not_taken_for_one_still_loaded():
    """MinIO refuses its own key, which is in the keystore as it should be."""
    survey = SHAPES["elsewhere"](healthy())
    good, minio = survey.clusters[0].verifications
    refused = VerifyFailure(
        node_id=surveys.node_id("es-2"),
        sentence="The Access Key Id you provided does not exist in our records.",
        chain=("[minio] path  is not accessible",),
    )
    minio = replace(minio, status=500, verified=(), failures=(refused,))
    survey = with_cluster(survey, verifications=(good, minio))

    assert [cause.id for cause in causes(survey)] == ["finding-repo-1"]


def test_a_line_asks_for_the_role_where_it_signs():
    """Beside a repository on MinIO the role is proven as ever."""
    assert lines(SHAPES["elsewhere"](healthy())) == lines(healthy())


@pytest.mark.parametrize(
    ("changes", "sentence", "command"),
    [
        ({"dns": "dns", "tcp": None}, "Name or service not known", "getent ahosts"),
        ({"tls": "certificate has expired"}, "PKIX path building failed: certificate expired", "openssl s_client"),
    ],
)
def test_a_name_or_a_certificate_is_no_matter_of_routes(changes, sentence, command):
    """One cause for the lost path and the failed `_verify`, and nothing about route tables in it."""
    bucket = replace(surveys.bucket(), **{"tls": None, **changes}, signed_list=Unknown(reason="not tried"))
    survey = surveys.verify_fails(with_node(healthy(), "es-2", buckets=(bucket,)), "es-2", sentence)
    (cause,) = causes(survey)

    assert cause.explains == (("REPO-1", "es-2"), ("PATH-1", "es-2"))
    assert cause.remedy.commands[0].text.startswith(command)
    assert not any("route" in text for text in (cause.title, *cause.evidence, *cause.remedy.advice))


def test_a_lost_path_with_nothing_to_compare_is_one_cause():
    """Two nodes whose routes differ: which is right is open, that S3 is not reached is not."""
    survey = surveys.route_own(healthy(2), "es-2")
    found = {cause.id: cause for cause in causes(survey)}

    assert found["bucket-not-reached"].explains == (("REPO-1", "es-2"), ("PATH-1", "es-2"))
    assert "finding-repo-1" not in found


def test_routes_that_lead_nowhere_on_all_nodes_do_not_differ():
    """Every node alike has no way out: a cause of its own routes, and no word of a difference."""
    survey = healthy()
    for node in survey.nodes:
        survey = surveys.s3_cut_off(survey, node.name)
        paths = tuple(replace(p, kind="none", gateway=None) if p.purpose.startswith("s3:") else p for p in node.paths)
        survey = with_node(survey, node.name, paths=paths)
    (cause,) = causes(survey)

    assert cause.title == "es-1, es-2 and es-3: cut off from S3 by its own routes, which lead nowhere"


def test_a_path_that_nothing_uses_is_no_cause():
    """Behind a proxy the host's own way to S3 carries nothing."""
    survey = surveys.s3_cut_off(healthy(), "es-2")
    config = survey.node("es-2").config
    survey = with_node(survey, "es-2", config=replace(config, names=(*config.names, "s3.client.default.proxy.host")))

    assert [cause.id for cause in causes(survey)] == ["finding-repo-1"]


def test_an_old_wording_on_the_master_explains_those_behind_it():
    """Another sentence of the same family is the same cause."""
    survey = surveys.verify_fails(stale_keys(healthy(), "es-3"), "es-1", "Error Code: InvalidAccessKeyId")
    found = {cause.id: cause for cause in causes(survey)}

    assert found["stale-keys-loaded"].nodes == ("es-1",)

"""Each fault of the lab as facts: exactly its outcomes and its cause, on a data node and on the elected master."""

from __future__ import annotations

import pytest
from judged import checks, judged, not_passed
from surveys import FAULTS, half_rotated, healthy, port_fails, reload_would_arm_another, route_upstream, stale_keys

from lab import faults as lab
from preflight.diagnosis import diagnose
from preflight.facts import dump, load

MASTER, DATA = "es-1", "es-2"

EXPECTED: dict[str, tuple[str, dict[str, str]]] = {
    "stale-keystore": ("stale-static-keys", {"KEY-1": "fail", "REPO-1": "fail"}),
    "stale-in-memory": ("stale-keys-loaded", {"REPO-1": "fail"}),
    "stale-on-disk": ("static-keys-waiting", {"KEY-1": "fail", "RESTART-1": "fail"}),
    "keystore-half": ("keystore-half", {"KEY-1": "fail", "KEY-3": "fail", "RESTART-1": "fail"}),
    "lone-session-token": ("keystore-half", {"KEY-1": "fail", "KEY-3": "fail", "RESTART-1": "fail"}),
    "keystore-current-key": ("static-keys-present", {"KEY-1": "warning"}),
    "keystore-password": (
        "keystore-password",
        {**{f"KEY-{n}": "could not check" for n in (1, 2, 3, 4, 5, 6)}, "RESTART-1": "fail"},
    ),
    "keystore-other-client": ("keystore-differs", {"KEY-4": "fail", "REPO-1": "fail"}),
    "keystore-other-client-stale": ("keys-differ", {"KEY-6": "fail", "REPO-1": "fail"}),
    "keystore-unreadable": ("keystore-file", {"KEY-5": "fail", "RESTART-1": "fail"}),
    "keystore-missing": ("keystore-file", {"KEY-5": "fail", "RESTART-1": "fail"}),
    "region-missing": ("region-missing", {"REGION-2": "warning"}),
    "no-instance-role": ("no-instance-role", {"ROLE-1": "fail", "REPO-1": "fail"}),
    "other-role": ("other-role", {"ROLE-2": "warning"}),
    "expired-role-credentials": ("expired-role-credentials", {"ROLE-1": "fail", "REPO-1": "fail"}),
    "imds-off": ("imds-out-of-reach", {"ROLE-1": "fail", "REPO-1": "fail"}),
    "imds-slow": ("imds-slow", {"ROLE-1": "fail", "REPO-1": "fail"}),
    "imds-refuses-service-user": ("imds-refuses-service-user", {"ROLE-1": "fail", "REPO-1": "fail"}),
    "container-credentials": ("container-credentials", {"ROLE-1": "warning"}),
    "role-without-bucket-access": ("role-denied", {"ROLE-2": "warning", "ROLE-3": "fail", "REPO-1": "fail"}),
    "certificate-expired": (
        "certificate-expired",
        {"TLS-1": "fail", **dict.fromkeys(("CLUSTER-1", "CLUSTER-3", "REPO-1", "SNAP-1"), "could not check")},
    ),
    "transport-certificate-expired": ("certificate-expired", {"TLS-1": "fail"}),
    "route-drift": ("route-own", {"ROUTE-1": "fail", "PATH-1": "fail", "REPO-1": "fail"}),
    "route-drift-upstream": ("route-upstream", {"PATH-1": "fail", "REPO-1": "fail"}),
    "s3-dropped-by-host": ("own-firewall", {"PATH-1": "fail", "REPO-1": "fail"}),
    "route-table-swapped": ("route-upstream", {"PATH-1": "fail", "REPO-1": "fail"}),
    "endpoint-not-associated": ("route-upstream", {"PATH-1": "fail", "REPO-1": "fail"}),
    "route-blackhole": ("route-own", {"ROUTE-1": "fail", "PATH-1": "fail", "REPO-1": "fail"}),
    "policy-route": (
        "route-own",
        {"ROUTE-1": "fail", "ROUTE-2": "warning", "PATH-1": "fail", "REPO-1": "fail"},
    ),
    "remote-cluster-unreachable": ("remote-cluster-unreachable", {"PORT-3": "warning"}),
    "dns-server-down": ("dns-wrong", {"PATH-1": "fail", "REPO-1": "fail"}),
    "dns-wrong": ("dns-wrong", {"PATH-1": "fail", "REPO-1": "fail"}),
    "clock-skew": ("clock-skew", {"PATH-2": "fail"}),
    "repository-plugin-missing": (
        "repository-plugin-missing",
        {"CLUSTER-3": "warning", "REGION-2": "warning", "REPO-1": "fail"},
    ),
    "region-differs": ("region-wrong", {"REGION-1": "fail", "REPO-1": "fail"}),
    "removed-region-setting": ("would-not-start", {"REGION-3": "fail", "RESTART-1": "fail"}),
    "bucket-policy-denies-one-node": ("policy-denies-node", {"ROLE-3": "fail", "REPO-1": "fail"}),
    "s3-tls-untrusted": ("tls-untrusted", {"PATH-1": "fail", "REPO-1": "fail"}),
    "env-keys": ("static-keys-in-environment", {"SRC-1": "fail", "REPO-1": "fail"}),
    "jvm-option-keys": ("static-keys-in-environment", {"SRC-1": "fail", "REPO-1": "fail"}),
    "default-file-keys": ("static-keys-on-disk", {"SRC-1": "fail", "RESTART-1": "fail"}),
    "yml-bare-keys": ("static-keys-ignored", {"SRC-2": "warning"}),
    "snapshot-partial": ("finding-snap-1", {"SNAP-1": "warning"}),
    "elasticsearch-down": ("elasticsearch-down", {"CLUSTER-1": "fail", "REPO-1": "could not check"}),
    "node-outside-cluster": (
        "node-outside-cluster",
        {"CLUSTER-1": "fail", **dict.fromkeys(("CLUSTER-3", "REPO-1", "SNAP-1"), "could not check")},
    ),
    "cluster-split": ("cluster-split", {"CLUSTER-1": "fail"}),
}
"""Fault -> its cause, and what the victim's checks then are. Ports are told apart below: others see them."""


EVERYWHERE: dict[str, tuple[str | None, str | None]] = {
    "region-wrong": ("region-wrong", "REGION-1"),
    "bucket-other-region": ("region-wrong", "REGION-1"),
    "bucket-missing": ("bucket-missing", "PATH-1"),
    "repository-readonly": (None, None),
}
"""Fault of the whole cluster -> its cause, and the check that fails on every node; `_verify` stops at the master."""


@pytest.mark.parametrize("fault", EVERYWHERE)
def test_fault_of_the_whole_cluster_is_one_cause_on_every_node(fault):
    """Said of each node by its own path, and by `_verify` of the elected master alone."""
    cause, check = EVERYWHERE[fault]
    names = ("es-1", "es-2", "es-3")
    survey = FAULTS[fault](healthy(), DATA)
    outcomes = judged(survey)

    expected = {(check, name): "fail" for name in names if check}
    if cause:
        expected |= {("REPO-1", name): "could not check" for name in names} | {("REPO-1", MASTER): "fail"}
    assert not_passed(outcomes) == expected
    causes = diagnose(survey, outcomes).causes
    assert [(c.id, c.nodes) for c in causes] == ([(cause, names)] if cause else [])
    assert not causes or set(causes[0].explains) == set(expected)
    row = lab.FAULTS[fault]
    who = {"victim": MASTER, "others": DATA}
    shown = {(id, who[whose]): said for (id, whose), said in row.then.outcomes.items() if said != "not applicable"}
    assert row.everywhere and row.then.cause == cause
    assert shown == {pair: said for pair, said in expected.items() if pair[1] != "es-3"}


@pytest.mark.parametrize("victim", [DATA, MASTER])
@pytest.mark.parametrize("fault", EXPECTED)
def test_fault_has_its_outcomes_and_cause(fault, victim):
    """A broken master also keeps `_verify` from everybody else; that is said, and not held against them."""
    survey = FAULTS[fault](healthy(), victim)
    outcomes = judged(survey)

    cause, own = EXPECTED[fault]
    expected = {(check, victim): outcome for check, outcome in own.items()}
    if victim == MASTER and own.get("REPO-1") == "fail":
        expected |= {("REPO-1", name): "could not check" for name in ("es-2", "es-3")}
    assert not_passed(outcomes) == expected
    diagnosis = diagnose(survey, outcomes)
    assert [c.id for c in diagnosis.causes] == [cause]
    assert diagnosis.causes[0].nodes == (victim,)
    assert set(diagnosis.causes[0].explains) == set(expected)


@pytest.mark.parametrize("fault", EXPECTED)
def test_the_lab_declares_the_same(fault):
    """What the made survey gives is what the lab's row promises of a real node."""
    cause, own = EXPECTED[fault]
    row = lab.FAULTS[fault].then
    shown = {check: said for (check, _), said in row.outcomes.items() if said not in ("not applicable", "pass")}
    if row.besides:
        del shown["RESTART-1"]  # a file written on the real node has a time of its own

    assert (row.cause, shown) == (cause, own)


def test_every_fault_of_the_lab_has_its_facts_here():
    """But for another fault's facts, routes that a kernel chooses, and a host that lets nobody in."""
    alike = {"route-table-swapped", "endpoint-not-associated"}
    assert all(lab.FAULTS[name].then == lab.FAULTS["route-drift-upstream"].then for name in alike)
    by_the_lab = {"route-blackhole", "policy-route", "dns-server-down", "nacl-return-path"}
    by_the_way = {"host-frozen", "host-key-changed"}
    by_aws = {"instance-tagged-not-joined"}  # selftests/aws/test_joined.py
    assert set(lab.FAULTS) == set(FAULTS) | alike | by_the_lab | by_the_way | by_aws


@pytest.mark.parametrize("victim", [DATA, MASTER])
def test_a_half_done_rotation_is_the_cause_on_the_node_that_it_did_not_reach(victim):
    """The others' keys work and are a warning; behind a refused master nothing tells whether they do."""
    survey = half_rotated(healthy(), victim)
    outcomes = judged(survey)
    others = [name for name in ("es-1", "es-2", "es-3") if name != victim]

    own = {(check, victim): "fail" for check in ("KEY-1", "KEY-6", "REPO-1")}
    beside = {("KEY-1", name): "warning" if victim == DATA else "fail" for name in others}
    untested = {("REPO-1", name): "could not check" for name in others} if victim == MASTER else {}
    assert not_passed(outcomes) == own | beside | untested
    causes = diagnose(survey, outcomes).causes
    assert [(cause.id, cause.nodes) for cause in causes] == [
        ("keys-differ", (victim,)),
        ("static-keys-present", tuple(others)),
    ]
    assert set(causes[0].explains) == own.keys() | untested.keys()


@pytest.mark.parametrize("victim", [DATA, MASTER])
def test_a_reload_that_would_arm_another_node_is_printed_for_one_node(victim):
    """The way to mend the memory of one node may not touch what waits on another's disk."""
    survey = reload_would_arm_another(healthy(), victim)
    outcomes = judged(survey)
    peer = MASTER if victim == DATA else DATA
    found = not_passed(outcomes)

    assert found[("REPO-1", victim)] == "fail"
    assert {name for check, name in found if check in ("KEY-1", "RESTART-1")} == {peer}
    causes = {cause.id: cause for cause in diagnose(survey, outcomes).causes}
    assert set(causes) == {"stale-keys-loaded", "static-keys-waiting"}
    mend = causes["stale-keys-loaded"].remedy
    reload = next(command.text for command in mend.commands if "reload_secure_settings" in command.text)
    assert f"_nodes/{survey.node(victim).view.node_id}/reload_secure_settings" in reload
    assert any(
        f"s3.client.default.access_key and s3.client.default.secret_key on {peer}'s disk" in line
        for line in mend.advice
    )


@pytest.mark.parametrize("victim", [DATA, MASTER])
@pytest.mark.parametrize("fault", ["port-refused", "port-dropped"])
def test_port_fault_is_seen_by_the_peer(fault, victim):
    """The pair is one cause: who cannot open whose port, and how it failed."""
    peer = MASTER if victim == DATA else DATA
    survey = FAULTS[fault](healthy(), victim)
    outcomes = judged(survey)

    assert not_passed(outcomes) == {("PORT-1", peer): "fail"}
    (cause,) = diagnose(survey, outcomes).causes
    how = "refused" if fault == "port-refused" else "timeout"
    number = victim[-1]
    assert cause.id == "port-blocked"
    said = f"{peer} cannot open transport 198.18.0.1{number}:9300 of {victim}: {how}"
    assert cause.title == f"{said} (http opens; the other way opens)"


@pytest.mark.parametrize("victim", [DATA, MASTER])
def test_a_node_whose_answers_are_lost_is_told_as_its_own_traffic(victim):
    """Not as a list of pairs; nobody else's checks are touched."""
    survey = FAULTS["nacl-return-path"](healthy(), victim)
    outcomes = judged(survey)
    assert not_passed(outcomes) == {("PORT-1", victim): "fail", ("PORT-2", victim): "fail"}
    (cause,) = diagnose(survey, outcomes).causes
    assert (cause.id, cause.nodes) == ("port-blocked", (victim,))


@pytest.mark.parametrize("victim", [DATA, MASTER])
def test_another_node_at_an_address_is_told_by_whoever_meets_it(victim):
    """A fault of the address: nothing is held against the node that is meant, nor against the one that answers."""
    survey = FAULTS["wrong-peer-behind-the-address"](healthy(), victim)
    outcomes = judged(survey)
    others = [name for name in ("es-1", "es-2", "es-3") if name != victim]
    peer = DATA if victim == MASTER else "es-3"

    assert not_passed(outcomes) == {("PORT-2", name): "fail" for name in others}
    (cause,) = diagnose(survey, outcomes).causes
    assert (cause.id, cause.nodes) == ("wrong-peer", (victim,))
    assert cause.title == f"the address 198.18.0.1{victim[-1]}:9200 of {victim} leads to {peer}"
    row = lab.FAULTS["wrong-peer-behind-the-address"].then
    assert (row.cause, row.outcomes) == ("wrong-peer", {("PORT-2", "others"): "fail"})


def test_a_node_that_restarts_during_the_run_is_judged_by_what_it_is_now():
    """As a node that had those keys before: none of them waits for a start that has been."""
    survey = FAULTS["node-restarts-during-the-run"](healthy(), DATA)
    outcomes = judged(survey)

    assert not_passed(outcomes) == {("KEY-1", DATA): "fail", ("REPO-1", DATA): "fail"}
    (cause,) = diagnose(survey, outcomes).causes
    row, same = lab.FAULTS["node-restarts-during-the-run"].then, lab.FAULTS["stale-keystore"].then
    assert (cause.id, cause.nodes) == (row.cause, (DATA,))
    assert (row.cause, row.outcomes) == (same.cause, same.outcomes)


@pytest.mark.parametrize("victim", [DATA, MASTER])
def test_a_node_left_out_is_told_as_that_node(victim):
    """Two ports, two directions, four pairs: one node."""
    outcomes = judged(FAULTS["sg-missing-peer"](healthy(), victim))

    assert not_passed(outcomes) == {(c, n): "fail" for c in ("PORT-1", "PORT-2") for n in ("es-1", "es-2", "es-3")}
    (cause,) = diagnose(FAULTS["sg-missing-peer"](healthy(), victim), outcomes).causes
    assert (cause.id, cause.nodes) == ("port-blocked", (victim,))
    assert cause.title == f"{victim} and the other members do not open each other's transport and http: timeout"


@pytest.mark.parametrize("victim", [DATA, MASTER])
def test_one_pair_one_port_and_one_direction_are_told_as_that(victim):
    """One sentence each, with what opens beside it."""
    peer = MASTER if victim == DATA else DATA
    others = [name for name in ("es-1", "es-2", "es-3") if name != victim]
    expected = {
        "one-peer-blocked": (
            {(c, n): "fail" for c in ("PORT-1", "PORT-2") for n in (victim, peer)},
            f"{MASTER} and {DATA} do not open each other's transport and http: timeout",
            {victim, peer},
        ),
        "port-closed-http-only": (
            {("PORT-2", n): "fail" for n in others},
            f"no node opens http 198.18.0.1{victim[-1]}:9200 of {victim}: timeout "
            "(transport opens; the other way opens)",
            {victim},
        ),
        "port-dropped-one-way": (
            {("PORT-1", victim): "fail"},
            f"{victim} opens no other member's transport: its own outgoing traffic is cut off "
            "(http opens; the other way opens)",
            {victim},
        ),
    }
    for fault, (outcomes, title, nodes) in expected.items():
        survey = FAULTS[fault](healthy(), victim)
        assert not_passed(judged(survey)) == outcomes
        (cause,) = diagnose(survey, judged(survey)).causes
        assert (cause.id, cause.title, set(cause.nodes)) == ("port-blocked", title, nodes)
        assert set(cause.explains) == outcomes.keys()
        row = lab.FAULTS[fault].then
        assert row.cause == cause.id and row.besides == ()


def test_what_several_sources_share_is_one_line_and_two_faults_are_two():
    """Of five nodes two cannot open one's transport; another's HTTP is shut to one of them."""
    survey = port_fails(port_fails(healthy(5), "es-1", "es-3", "timeout"), "es-2", "es-3", "timeout")
    survey = port_fails(survey, "es-1", "es-5", "refused", "http")
    causes = diagnose(survey, judged(survey)).causes
    assert [cause.title for cause in causes] == [
        "es-1 and es-2 cannot open transport 198.18.0.13:9300 of es-3: timeout (http opens; the other way opens)",
        "es-1 cannot open http 198.18.0.15:9200 of es-5: refused (transport opens; the other way opens)",
    ]
    assert ("PORT-1", "es-2") in causes[0].explains and ("PORT-2", "es-1") in causes[1].explains


@pytest.mark.parametrize("victim", [DATA, MASTER])
def test_host_down_blocks_its_own_checks_only(victim):
    """One node could not be checked, all its checks are blocked by that, nothing is held against the others."""
    survey = FAULTS["host-down"](healthy(), victim)
    outcomes = judged(survey)

    found = not_passed(outcomes)
    assert found.pop(("NODE-1", victim)) == "could not check"
    assert set(found.values()) == {"blocked"}
    assert {node for _, node in found} == {victim}
    unasked = {o.check for o in outcomes if o.node == victim and o.outcome == "not applicable"}
    assert {check for check, _ in found} == set(checks()) - unasked - {"NODE-1"}
    assert unasked >= {check for check in checks() if check.startswith("AWS-")}
    (cause,) = diagnose(survey, outcomes).causes
    assert cause.id == "host-unreachable"
    assert set(cause.explains) == {*found, ("NODE-1", victim)}


def test_the_incident_is_two_causes():
    """A stale key on one node and a lost route behind another are never taken for one another."""
    survey = route_upstream(stale_keys(healthy(), "es-2"), "es-3")
    outcomes = judged(survey)
    causes = {cause.id: cause for cause in diagnose(survey, outcomes).causes}

    assert set(causes) == {"stale-static-keys", "route-upstream"}
    assert causes["stale-static-keys"].explains == (("KEY-1", "es-2"), ("REPO-1", "es-2"))
    assert set(causes["route-upstream"].explains) == {("REPO-1", "es-3"), ("PATH-1", "es-3")}
    assert any("does not exist in our records" in line for line in causes["stale-static-keys"].evidence)
    assert not any("does not exist in our records" in line for line in causes["route-upstream"].evidence)
    assert causes["stale-static-keys"].remedy.caution is None
    assert causes["stale-static-keys"].confidence == "certain"


def test_both_causes_on_one_node_are_told_apart():
    """Where S3 answered with its own sentence the key explains `_verify`, not the path; and nothing is removed yet."""
    survey = route_upstream(stale_keys(healthy(), "es-2"), "es-2")
    causes = {cause.id: cause for cause in diagnose(survey, judged(survey)).causes}

    assert causes["route-upstream"].explains == (("PATH-1", "es-2"),)
    assert causes["stale-static-keys"].explains == (("KEY-1", "es-2"), ("REPO-1", "es-2"))
    assert (causes["stale-static-keys"].remedy.caution or "").startswith("do not remove yet: role not proven on es-2")


GONE = (
    "elasticsearch-down",
    "host-down",
    "host-frozen",
    "host-key-changed",
    "node-outside-cluster",
    "cluster-split",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_red_is_without_a_cause(fault):
    """Any two faults on two nodes: every failure, warning and unchecked outcome stands under a cause."""
    left = {}
    # On which of two like nodes a fault is makes no difference, so each pair comes once.
    for second in list(FAULTS)[list(FAULTS).index(fault) :]:
        survey = healthy()
        # A node that is down takes what is seen of it away: it comes last.
        for name, node in sorted([(second, "es-3"), (fault, "es-2")], key=lambda pair: pair[0] in GONE):
            survey = FAULTS[name](survey, node)
        outcomes = judged(survey)
        explained = {pair for cause in diagnose(survey, outcomes).causes for pair in cause.explains}
        if not set(not_passed(outcomes)) <= explained:
            left[second] = set(not_passed(outcomes)) - explained

    assert left == {}


def test_a_recorded_survey_is_judged_the_same():
    """facts.json gives the same outcomes and the same diagnosis as the run that wrote it."""
    survey = route_upstream(stale_keys(healthy(), "es-2"), "es-3")
    again = load(dump(survey))

    assert judged(again) == judged(survey)
    assert diagnose(again, judged(again)) == diagnose(survey, judged(survey))


def test_a_port_that_nobody_opens_is_one_cause():
    """Two sources, one target: told as the target's, not as two pairs."""
    survey = port_fails(port_fails(healthy(), "es-1", "es-3", "timeout"), "es-2", "es-3", "timeout")
    (cause,) = diagnose(survey, judged(survey)).causes

    assert cause.title == "no node opens transport 198.18.0.13:9300 of es-3: timeout (http opens; the other way opens)"
    assert cause.explains == (("PORT-1", "es-1"), ("PORT-1", "es-2"))
    assert len(cause.remedy.commands) == 2


def test_a_node_that_reaches_nobody_is_one_cause():
    """One source, every target: its own outgoing traffic."""
    survey = port_fails(port_fails(healthy(), "es-3", "es-1", "timeout"), "es-3", "es-2", "timeout")
    (cause,) = diagnose(survey, judged(survey)).causes

    assert cause.title.startswith("es-3 opens no other member's transport: its own outgoing traffic is cut off (")
    assert cause.explains == (("PORT-1", "es-3"),)

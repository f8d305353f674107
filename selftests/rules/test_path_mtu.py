"""Packets that are too long for the way to S3: told by the length with which they pass, and by nothing less."""

from __future__ import annotations

import pytest
from judged import judged, not_passed
from msgspec.structs import replace
from surveys import FAULTS, change_buckets, given_twice, healthy, packets, with_node

from lab import faults as lab
from preflight.diagnosis import diagnose
from preflight.rules import path, path_mtu

VICTIM = "es-2"


@pytest.mark.parametrize("victim", [VICTIM, "es-1"])
def test_a_way_that_swallows_long_packets_is_the_cause_on_its_node(victim):
    """`_verify` waits for that node, whoever is the elected master, so nobody's REPO-1 is answered."""
    survey = FAULTS["mtu-blackhole"](healthy(), victim)
    outcomes = judged(survey)
    names = ("es-1", "es-2", "es-3")
    expected = {("PATH-1", victim): "fail"} | {("REPO-1", name): "could not check" for name in names}
    assert not_passed(outcomes) == expected
    (cause,) = diagnose(survey, outcomes).causes
    assert (cause.id, cause.nodes, cause.confidence) == ("path-mtu", (victim,), "certain")
    assert set(cause.explains) == set(expected)
    row = lab.FAULTS["mtu-blackhole"].then
    who = {"victim": victim, "others": "es-3"}
    shown = {(check, who[whose]): said for (check, whose), said in row.outcomes.items() if said != "not applicable"}
    assert row.cause == cause.id and shown == {pair: expected[pair] for pair in shown}
    assert ("ROLE-3", victim) in {(o.check, o.node) for o in outcomes if o.outcome == "not applicable"}


def cause_of(survey):
    return diagnose(survey, judged(survey)).causes


def test_the_evidence_is_the_same_request_in_shorter_packets_and_who_needs_none():
    survey = FAULTS["mtu-blackhole"](change_buckets(healthy(), "es-3", packets=packets(9001, None)), VICTIM)
    (cause,) = cause_of(survey)
    where = "es-snapshots.s3.ap-northeast-2.amazonaws.com:443 (198.18.1.10)"
    assert cause.evidence == (
        f"es-2: s3_backup: TCP to {where} opens, and a TLS handshake has no answer; the kernel's path MTU is 1500, "
        "packets sent again 5, not acknowledged 0",
        "es-2: the same tried again at once with packets of so many bytes at most: answered with 1000 and 576; "
        "not with 1500, 1450, 1400, 1350 and 1280",
        "from es-3 packets of up to 1500 bytes get there, and the answers back",
    )


def test_nothing_is_called_the_fix_and_what_is_printed_has_its_way_back():
    (cause,) = cause_of(FAULTS["mtu-blackhole"](healthy(), VICTIM))
    mend = cause.remedy
    assert mend.caution is not None
    assert [command.text for command in mend.commands] == [
        "ip route get 198.18.1.10; ip -o link show dev eth0",
        "tracepath -n 198.18.1.10 || { ping -c 3 -M do -s 1252 198.18.1.10; ping -c 3 -M do -s 972 198.18.1.10; }",
    ]
    assert any("ICMP type 3 code 4" in line for line in mend.advice)
    assert any(
        "sudo ip route replace default via 198.18.0.1 dev eth0 proto boot mtu 1000; the way back: "
        "sudo ip route replace default via 198.18.0.1 dev eth0 proto boot" in line
        for line in mend.advice
    )


def test_uploads_that_are_lost_fail_the_path_though_verify_passes():
    """Its markers are short; a shard's files are not."""
    survey = change_buckets(healthy(), VICTIM, packets=packets(1400, "request"))
    assert not_passed(judged(survey)) == {("PATH-1", VICTIM): "fail"}
    (cause,) = cause_of(survey)
    assert (cause.id, cause.nodes) == ("path-mtu", (VICTIM,))
    assert "answers a short request, and none that is longer than a packet" in cause.evidence[0]
    assert cause.title.startswith("es-2: packets of more than 1400 bytes to or from S3 are lost")


JUMBO = (9001, 8500, 1500, 1450, 1400, 1350, 1280, 1000, 576)


def test_a_jumbo_frame_that_the_way_does_not_take_is_told_by_both_lengths():
    survey = change_buckets(healthy(), VICTIM, packets=packets(1500, "request", JUMBO))
    finding = path.reaches_buckets(survey, survey.node(VICTIM))
    assert "of 8500 bytes are lost, of 1500 bytes they come through" in finding.observed


@pytest.mark.parametrize(
    "seen",
    [
        None,
        packets(9001, None),  # jumbo frames all the way
        replace(packets(9001, None), path_mtu=1400, retransmits=2),  # a router said so, and was heard
        replace(packets(1500, None), retransmits=6),  # a lossy link
        replace(packets(1500, "request"), unanswered=()),  # answered when it was tried again
        replace(packets(0, "request"), answered=()),  # nobody answers a long request: a filter, a slow service
        replace(packets(1400, "request"), answered=(1450, 576), unanswered=(1500, 1400, 1000)),  # chance
    ],
)
def test_what_does_not_hang_on_the_length_alone_is_no_black_hole(seen):
    survey = change_buckets(healthy(), VICTIM, packets=seen)
    assert not_passed(judged(survey)) == {}
    assert cause_of(survey) == ()


def test_a_handshake_without_an_answer_at_any_length_is_the_paths_own():
    """A service that is too busy to answer is not told as a path MTU."""
    survey = change_buckets(
        FAULTS["mtu-blackhole"](healthy(), VICTIM), VICTIM, packets=replace(packets(0, "handshake"), answered=())
    )
    (cause,) = cause_of(survey)
    assert cause.id == "bucket-not-reached" and cause.nodes == (VICTIM,)


def test_one_length_alone_is_likely_and_no_more():
    hole = path_mtu.hole(replace(healthy().node(VICTIM).buckets[0], packets=packets(576, "handshake")))
    assert (hole.through, hole.lost, hole.sure) == (576, 1000, False)


def test_a_node_given_twice_is_told_once_by_its_second_name():
    survey = given_twice(healthy(), VICTIM)
    row = lab.FAULTS["duplicate-node-in-inventory"].then
    twin = survey.node(VICTIM).host
    assert not_passed(judged(survey)) == {("CLUSTER-1", twin): "warning"}
    assert {(check, twin): said for (check, _), said in row.outcomes.items()} == not_passed(judged(survey))
    assert [(cause.id, cause.nodes) for cause in cause_of(survey)] == [(row.cause, (twin,))]


@pytest.mark.parametrize("victim", [VICTIM, "es-1"])
def test_long_packets_that_one_members_peers_do_not_get_are_that_members(victim):
    survey = FAULTS["mtu-blackhole-peers"](healthy(), victim)
    others = [name for name in ("es-1", "es-2", "es-3") if name != victim]
    assert not_passed(judged(survey)) == {("PORT-2", name): "fail" for name in others}
    (cause,) = cause_of(survey)
    row = lab.FAULTS["mtu-blackhole-peers"].then
    assert (cause.id, cause.nodes, row.outcomes) == (row.cause, (victim,), {("PORT-2", "others"): "fail"})
    assert cause.title.startswith(f"long packets between {victim} and {others[0]} and {others[1]} are lost")
    assert set(cause.explains) == {("PORT-2", name) for name in others}


def test_one_pair_of_many_is_told_as_both_ends():
    survey = FAULTS["mtu-blackhole-peers"](healthy(), VICTIM)
    dials = tuple(replace(d, tls="ok", short=None) if d.tls == "timeout" else d for d in survey.node("es-1").dials)
    (cause,) = cause_of(with_node(survey, "es-1", dials=dials))
    assert cause.nodes == ("es-3", VICTIM) and cause.explains == (("PORT-2", "es-3"),)


def test_a_member_that_is_silent_at_any_length_is_a_warning_and_no_path_mtu():
    survey = FAULTS["mtu-blackhole-peers"](healthy(), VICTIM)
    for name in ("es-1", "es-3"):
        dials = tuple(replace(d, short="timeout") if d.short else d for d in survey.node(name).dials)
        survey = with_node(survey, name, dials=dials)
    assert not_passed(judged(survey)) == {("PORT-2", name): "warning" for name in ("es-1", "es-3")}
    assert "path-mtu" not in {cause.id for cause in cause_of(survey)}

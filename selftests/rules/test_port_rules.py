"""PORT: every pair, told with how it failed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from surveys import healthy, node_id, port_fails, with_member, with_node

from preflight.addresses import stays_home
from preflight.diagnosis import packets
from preflight.facts import CouldNotCheck, Dial, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import ports


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("refused", "es-3 198.18.0.13:9300: refused after 0 ms"),
        ("timeout", "es-3 198.18.0.13:9300: timeout after 3001 ms, tried twice"),
        ("no-route", "es-3 198.18.0.13:9300: no route after 0 ms"),
        ("dns", "es-3 198.18.0.13:9300: name not resolved after 0 ms"),
        ("closed", "es-3 198.18.0.13:9300: closed by peer after 0 ms"),
    ],
)
def test_each_failure_keeps_its_kind(outcome, said):
    """Refused is a listener, timeout a filter, no route a table: three different mends."""
    survey = port_fails(healthy(), "es-1", "es-3", outcome)
    finding = ports.transport(survey, survey.node("es-1"))

    assert finding.observed == "es-1 does not reach transport of es-3"
    assert finding.details == (said,)
    assert ports.transport(survey, survey.node("es-2")) is None


def test_every_bad_pair_is_listed():
    """Two targets, two lines, one sentence."""
    survey = port_fails(port_fails(healthy(), "es-1", "es-2", "refused", "http"), "es-1", "es-3", "timeout", "http")
    finding = ports.http(survey, survey.node("es-1"))

    assert finding.observed == "es-1 does not reach http of es-2 and es-3"
    assert len(finding.details) == 2
    assert ports.transport(survey, survey.node("es-1")) is None


def test_a_dial_to_itself_does_not_count():
    """A node need not reach its own published address from inside."""
    survey = port_fails(healthy(), "es-1", "es-1", "refused")

    assert ports.transport(survey, survey.node("es-1")) is None


def test_a_target_that_was_not_dialled_is_no_pass():
    """A member joined between the two questions, or the probe left it out."""
    survey = with_node(healthy(), "es-1", dials=healthy().node("es-1").dials[:-2])

    with pytest.raises(CouldNotCheck, match="transport of es-3 was not dialled"):
        ports.transport(survey, survey.node("es-1"))


def test_unknown_dials_are_no_pass():
    """The question could not be put."""
    survey = with_node(healthy(), "es-1", dials=Unknown(reason="the probe ended early"))

    with pytest.raises(CouldNotCheck, match="ended early"):
        ports.transport(survey, survey.node("es-1"))


def test_transport_on_loopback_is_a_failure():
    """The node is told, and so is every other one that cannot reach it."""
    survey = with_member(healthy(), "es-2", transport="127.0.0.1:9300")

    for name in ("es-1", "es-2", "es-3"):
        finding = ports.transport(survey, survey.node(name))
        assert finding.observed == "es-2 publishes its transport on 127.0.0.1:9300: no other host can reach it"
        assert not finding.warning


def test_http_on_loopback_everywhere_is_not_applicable():
    """Nobody offers HTTP to others."""
    survey = healthy()
    for name in ("es-1", "es-2", "es-3"):
        survey = with_member(survey, name, http="127.0.0.1:9200")

    with pytest.raises(NotApplicable, match="no other member publishes HTTP"):
        ports.http(survey, survey.node("es-1"))


def test_a_single_node_has_no_peer():
    """Not applicable rather than green."""
    survey = healthy(1)

    with pytest.raises(NotApplicable, match="no other member"):
        ports.transport(survey, survey.node("es-1"))


def unasked(*listeners):
    """No cluster answered; es-1 dialled es-2's assumed HTTP address in vain."""
    survey = replace(healthy(2), clusters=())
    why = Unknown(reason="no login for Elasticsearch was given")
    for node in survey.nodes:
        survey = with_node(survey, node.name, view=why)
    dial = Dial(
        member="es-2", port="http", target="198.18.0.12:9200", outcome="refused", milliseconds=0.3, assumed=True
    )
    process = replace(survey.node("es-2").process, listeners=listeners)
    return with_node(with_node(survey, "es-1", dials=(dial,)), "es-2", process=process)


def test_an_assumed_address_that_fails_is_a_warning():
    """The member may publish another one."""
    survey = unasked()
    finding = ports.http(survey, survey.node("es-1"))

    assert finding.warning
    assert "assumed address" in finding.observed


def test_an_assumed_address_of_a_peer_on_loopback_is_no_finding():
    """The peer was seen to listen on loopback only: nothing is wrong."""
    survey = unasked("127.0.0.1:9200", "198.18.0.12:9300")

    assert ports.http(survey, survey.node("es-1")) is None


@pytest.mark.parametrize(
    ("target", "loopback"),
    [
        ("127.0.0.1:9300", True),
        ("127.9.9.9:9300", True),
        ("[::1]:9300", True),
        ("localhost:9300", True),
        ("10.0.0.1:9300", False),
        ("[2001:db8::1]:9300", False),
        ("es-1.example.net:9300", False),
        ("[::ffff:127.0.0.1]:9300", True),
        ("169.254.7.7:9300", True),
        ("[fe80::1]:9300", True),
    ],
)
def test_loopback_and_link_local(target, loopback):
    """IPv4, IPv6 and the name."""
    assert stays_home(target) is loopback


def test_a_member_that_was_not_given_is_dialled_too():
    """Members come from the cluster, not from --hosts."""
    survey = port_fails(healthy(), "es-1", "es-3", "timeout")
    survey = replace(survey, nodes=survey.nodes[:1])
    finding = ports.transport(survey, survey.node("es-1"))

    assert finding.details == ("es-3 198.18.0.13:9300: timeout after 3001 ms, tried twice",)
    assert node_id("es-3") == survey.clusters[0].members[2].id


def kernel_saw(survey, source, target, **changes):
    """What the kernel told of one node's dials to another."""
    dials = tuple(replace(d, **changes) if d.member == node_id(target) else d for d in survey.node(source).dials)
    return with_node(survey, source, dials=dials)


def test_an_open_port_without_a_hello_is_a_warning():
    """What opens a connection is short; a certificate is not."""
    dials = healthy().node("es-1").dials
    silent = tuple(
        replace(d, tls="timeout", chain=(), path_mtu=9001) if (d.member, d.port) == (node_id("es-3"), "http") else d
        for d in dials
    )
    survey = with_node(healthy(), "es-1", dials=silent)
    finding = ports.http(survey, survey.node("es-1"))
    assert finding.warning and finding.observed == "es-1 opens http of es-3 and gets no answer to a TLS handshake"
    assert finding.details == ("198.18.0.13:9200: path MTU 9001",)
    assert ports.http(survey, survey.node("es-2")) is None


def test_a_path_mtu_that_differs_and_packets_sent_again_are_notes():
    survey = healthy()
    for source in ("es-1", "es-2", "es-3"):
        for target in ("es-1", "es-2", "es-3"):
            size = 65_535 if source == target else 1500 if "es-2" in (source, target) else 9001
            survey = kernel_saw(survey, source, target, path_mtu=size)
    survey = kernel_saw(survey, "es-3", "es-1", retransmits=2)
    assert packets.notes(survey) == (
        "path MTU to other members, bytes: 1500 from es-1, es-2 and es-3; 9001 from es-1 and es-3. "
        "Long packets are lost where ICMP does not come through",
        "packets that were sent again to open a port: es-3 to es-1 (2)",
    )


def test_one_path_mtu_everywhere_is_no_note():
    survey = healthy()
    for source in ("es-1", "es-2", "es-3"):
        for target in ("es-1", "es-2", "es-3"):
            survey = kernel_saw(survey, source, target, path_mtu=65_535 if source == target else 9001)
    assert packets.notes(survey) == ()
    # Who cannot say which member it is dials itself as it dials the others.
    assert packets.notes(with_node(survey, "es-1", view=Unknown(reason="no login"))) == ()

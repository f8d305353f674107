"""TLS-1: what is wrong with a certificate, what is only unlike the others', and what is nobody's business."""

from __future__ import annotations

import pytest
from judged import judged, not_passed
from msgspec.structs import replace
from surveys import (
    STARTED,
    certificate_expired,
    healthy,
    port_fails,
    transport_certificate_expired,
    with_certificate,
    with_cluster,
    with_member,
    with_node,
)

from preflight import remedy
from preflight.diagnosis import diagnose
from preflight.facts import CouldNotCheck, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import tls

DAY = 86_400


def said(survey, name="es-2"):
    return tls.valid(survey, survey.node(name))


def test_an_expired_certificate_fails_on_the_node_that_shows_it():
    survey = with_certificate(healthy(), "es-2", not_after=STARTED - 23 * DAY)
    finding = said(survey)
    assert (
        finding.observed == ("HTTP certificate of es-2 expired on 2025-11-01 10:40 UTC, 23 days ago (CN=es-2)")
        and not finding.warning
    )
    assert said(survey, "es-1") is None and said(survey, "es-3") is None


def test_a_certificate_of_tomorrow_fails():
    assert (
        "is not valid before 2025-11-25" in said(with_certificate(healthy(), "es-2", not_before=STARTED + DAY)).observed
    )


@pytest.mark.parametrize(("left", "limit", "warned"), [(31, 30, False), (29, 30, True), (29, 7, False), (1, 0, False)])
def test_one_that_expires_soon_is_a_warning(left, limit, warned):
    survey = with_certificate(healthy(certificate_days=float(limit)), "es-2", not_after=STARTED + left * DAY)
    finding = said(survey)
    assert (finding is not None and finding.warning) is warned


def test_the_one_that_no_trusted_authority_signed_is_a_warning():
    finding = said(with_certificate(healthy(), "es-2", trusted=False, issuer="CN=old CA"))
    assert finding.warning and "CA file of es-1, es-2 and es-3" in finding.observed and "CN=old CA" in finding.observed


def test_authorities_that_no_node_names_are_what_was_meant():
    """A public authority for clients, the CA file of the configuration for theirs."""
    survey = healthy()
    for name in ("es-1", "es-2", "es-3"):
        survey = with_certificate(survey, name, trusted=False)
    assert not_passed(judged(survey)) == {}


def test_what_lies_between_may_not_have_been_shown():
    assert said(with_certificate(healthy(), "es-2", trusted=None)) is None


def test_the_one_without_its_address_is_a_warning_and_all_without_are_not():
    survey = with_certificate(healthy(), "es-2", names=("es-2",))
    assert said(survey).warning and "does not have the address it publishes, 198.18.0.12" in said(survey).observed
    for name in ("es-1", "es-3"):
        survey = with_certificate(survey, name, names=("*.example.net",))
    assert not_passed(judged(survey)) == {}


def test_of_two_members_neither_is_the_odd_one():
    survey = with_certificate(healthy(2), "es-2", trusted=False, names=())
    assert said(survey) is None


def test_a_member_that_was_not_given_is_told_by_who_was_shown_its_certificate():
    survey = with_certificate(healthy(), "es-3", not_after=STARTED - DAY)
    survey = replace(survey, nodes=survey.nodes[:2])
    for name in ("es-1", "es-2"):
        assert said(survey, name).observed.startswith("HTTP certificate of es-3 expired")


def test_a_file_of_the_nodes_own_that_has_run_out_fails_and_is_told_once():
    survey = transport_certificate_expired(healthy(), "es-2")
    finding = said(survey)
    assert finding.observed.startswith("certificate in certs/transport.crt of es-2 expired on 2025-11-23")
    assert finding.details == () and said(survey, "es-1") is None
    survey = with_certificate(survey, "es-2", not_after=STARTED - DAY)
    assert len(said(survey).details) == 0, "the same certificate, for both, in another file"


def test_the_file_that_has_run_out_is_the_one_that_is_shown():
    survey = transport_certificate_expired(healthy(), "es-2")
    (command,) = remedy.renew_certificate(survey, survey.node("es-2")).commands
    assert command.where == "es-2" and command.text.endswith(" -in /etc/elasticsearch/certs/transport.crt")
    (other,) = survey.node("es-2").loaded_certificates[1:]
    survey = with_node(survey, "es-2", loaded_certificates=(replace(other, path="transport.p12"),))
    assert remedy.renew_certificate(survey, survey.node("es-2")).commands == ()


def test_of_several_certificates_in_one_file_the_last_to_expire_counts():
    survey = transport_certificate_expired(healthy(), "es-2")
    old, new = survey.node("es-2").loaded_certificates
    survey = with_node(survey, "es-2", loaded_certificates=(replace(old, path="t.p12"), replace(new, path="t.p12")))
    assert said(survey) is None


def test_without_http_the_files_are_judged_alone():
    survey = with_member(transport_certificate_expired(healthy(), "es-2"), "es-2", http=None)
    assert "certs/transport.crt" in said(survey).observed


def test_another_certificate_for_some_is_a_warning():
    """A load balancer, or an address that leads elsewhere from one node."""
    survey = healthy()
    dials = tuple(
        replace(d, chain=("ab" * 32,)) if (d.port, d.target) == ("http", "198.18.0.12:9200") else d
        for d in survey.node("es-3").dials
    )
    finding = said(with_node(survey, "es-3", dials=dials))
    assert finding.warning and finding.observed == (
        "HTTP certificate of es-2 at 198.18.0.12:9200 is not the same for everybody: "
        "SHA-256 0000000000000000 to es-1 and es-2; SHA-256 abababababababab to es-3"
    )


def test_nobody_was_shown_it():
    survey = healthy()
    for name in ("es-1", "es-2", "es-3"):
        survey = port_fails(survey, name, "es-2", "timeout", "http")
    with pytest.raises(CouldNotCheck, match=r"HTTP certificate of es-2: es-1: timeout; es-2: timeout; es-3: timeout"):
        said(survey)
    assert said(survey, "es-1") is None


def test_unknown_dials_are_no_pass():
    with pytest.raises(CouldNotCheck, match="ended early"):
        said(with_node(healthy(), "es-2", dials=Unknown(reason="the probe ended early")))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"http_tls": False}, "speaks no TLS"),
        ({"http": "127.0.0.1:9200"}, "no HTTP beyond its own host"),
        ({"http": "169.254.3.3:9200"}, "no HTTP beyond its own host"),
        ({"http": None}, "no HTTP beyond its own host"),
    ],
)
def test_where_there_is_nothing_to_look_at(changes, why):
    with pytest.raises(NotApplicable, match=why):
        said(with_member(healthy(), "es-2", **changes))


def test_a_node_that_is_no_member_has_no_certificate():
    survey = healthy()
    survey = with_cluster(survey, members=tuple(m for m in survey.clusters[0].members if m.name != "es-2"))
    with pytest.raises(NotApplicable, match="no member"):
        said(survey)


@pytest.mark.parametrize("name", ["es-1", "es-2"])
def test_an_expired_certificate_is_the_cause_of_all_that_the_suite_was_not_told(name):
    """The login is not sent over a connection that is not trusted, so the node's view is missing too."""
    survey = certificate_expired(healthy(), name)
    outcomes = judged(survey)
    assert not_passed(outcomes)["TLS-1", name] == "fail"
    (cause,) = diagnose(survey, outcomes).causes
    assert (cause.id, cause.nodes) == ("certificate-expired", (name,))
    assert set(cause.explains) == set(not_passed(outcomes))
    assert {node for _, node in not_passed(outcomes)} == {name}

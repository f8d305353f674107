"""ROLE: what IMDS says, and what proves a role."""

from __future__ import annotations

import pytest
import surveys
from msgspec.structs import replace
from surveys import STARTED, healthy, with_member, with_node

from preflight.facts import CouldNotCheck, Imds, RoleCredentials, SignedList, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import role, signing


def judge(survey, name="es-2"):
    return signing.instance_role(survey, survey.node(name))


def imds(**changes):
    return with_node(healthy(), "es-2", imds=replace(healthy().node("es-2").imds, **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"token_status": 403}, "switched off for this instance (HTTP 403)"),
        ({"token_status": 401}, "refuses a session token (HTTP 401)"),
        ({"instance_id": None}, "names no instance id: not an EC2 instance"),
        ({"role_status": 404, "role": None}, "no instance profile is attached to i-0a1b2c3d4e5f60002"),
        ({"role_status": 500, "role": None}, "IMDS names no role (HTTP 500)"),
        ({"role_status": 200, "role": None}, "IMDS names no role (HTTP 200)"),
        (
            {"credentials": RoleCredentials(code="AssumeRoleUnauthorizedAccess", key_prefix="", expires=None)},
            "no credentials for role es-node: AssumeRoleUnauthorizedAccess",
        ),
        (
            {"credentials": RoleCredentials(code="Success", key_prefix="ASIA", expires=STARTED - 599)},
            "expired 10 minutes ago by this node's clock",
        ),
    ],
)
def test_each_way_to_lack_a_role_is_named(changes, said):
    """404, 403, a refused token and stale credentials have different mends."""
    assert said in judge(imds(**changes)).observed


@pytest.mark.parametrize(
    ("outcome", "said"), [("refused", "connection refused"), ("timeout", "timeout"), ("no-route", "no route")]
)
def test_no_metadata_service_at_all(outcome, said):
    """Not an EC2 instance, or out of reach: said with how it failed and how long it took."""
    survey = with_node(healthy(), "es-2", imds=Imds(outcome=outcome, milliseconds=2000.4))

    assert judge(survey).observed == (
        f"not an EC2 instance, or its metadata service is out of reach: {said} after 2000 ms"
    )


def test_a_container_is_told_of_the_hop_limit():
    """A timeout from a network namespace of its own has a usual reason."""
    process = replace(healthy().node("es-2").process, own_network_namespace=True)
    survey = with_node(healthy(), "es-2", imds=Imds(outcome="timeout", milliseconds=2000.0), process=process)

    assert "hop limit of 1" in judge(survey).observed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"credentials": None}, "credentials could not be read"),
        ({"credentials": RoleCredentials(code="Success", key_prefix="ASIA", expires=None)}, "without an expiry"),
    ],
)
def test_credentials_nobody_saw_are_no_pass(changes, said):
    """Could not check, with what is missing."""
    with pytest.raises(CouldNotCheck, match=said):
        judge(imds(**changes))


def test_the_nodes_own_clock_decides():
    """Credentials expire by the clock of the node that signs with them."""
    system = replace(healthy().node("es-2").system, clock=STARTED + 4 * 3600)

    assert "expired 60 minutes ago" in judge(with_node(healthy(), "es-2", system=system)).observed


def test_unknown_imds_is_no_pass():
    """Not seen is not answered."""
    with pytest.raises(CouldNotCheck, match="not asked"):
        judge(with_node(healthy(), "es-2", imds=Unknown(reason="IMDS was not asked")))


def test_roles_of_one_kind_must_match():
    """The odd one out is warned of; the majority is quiet."""
    survey = imds(role="es-node-old")
    finding = role.same_role(survey, survey.node("es-2"))

    assert finding.warning
    assert finding.observed == "role es-node-old; es-1 has es-node and es-3 has es-node"
    assert role.same_role(survey, survey.node("es-1")) is None


def test_two_nodes_with_two_roles_both_warn():
    """No majority, no reference."""
    survey = healthy(2)
    survey = with_node(survey, "es-2", imds=replace(survey.node("es-2").imds, role="other"))

    assert role.same_role(survey, survey.node("es-1")) is not None
    assert role.same_role(survey, survey.node("es-2")) is not None


def test_a_role_per_node_type_is_quiet():
    """A dedicated master may have another role; two data nodes may not."""
    survey = with_member(imds(role="es-master"), "es-2", roles=("master",))

    assert [role.same_role(survey, node) for node in survey.nodes] == [None, None, None]


def test_a_node_without_a_role_is_not_compared():
    """ROLE-1 says it; saying it twice helps nobody."""
    survey = surveys.no_instance_role(healthy(), "es-2")

    with pytest.raises(NotApplicable, match="ROLE-1"):
        role.same_role(survey, survey.node("es-2"))


@pytest.mark.parametrize(
    ("signed", "why"),
    [
        (SignedList(status=200, code=None, message=None), None),
        (
            SignedList(status=403, code="AccessDenied", message="Access Denied"),
            "S3 answers a list signed with the role with HTTP 403 AccessDenied: Access Denied",
        ),
        (Unknown(reason="IMDS names no role"), "IMDS names no role"),
    ],
)
def test_what_proves_a_role(signed, why):
    """Only S3's own 200 to a request that this node signed."""
    survey = with_node(healthy(), "es-2", buckets=(replace(surveys.bucket(), signed_list=signed),))
    repositories = survey.clusters[0].repositories

    assert role.unproven(survey.node("es-2"), repositories) == why


def test_a_bucket_that_was_not_tried_proves_nothing():
    """Neither does an unknown list of repositories."""
    survey = with_node(healthy(), "es-2", buckets=())

    assert "was not tried" in role.unproven(survey.node("es-2"), survey.clusters[0].repositories)
    assert "unknown" in role.unproven(survey.node("es-2"), None)

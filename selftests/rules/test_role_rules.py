"""ROLE: what IMDS says, and what proves a role."""

from __future__ import annotations

import pytest
import surveys
from judged import judged
from msgspec.structs import replace
from surveys import STARTED, healthy, with_member, with_node

from preflight.diagnosis import diagnose
from preflight.facts import CouldNotCheck, Identity, Imds, RoleCredentials, SignedList, Unknown, VerifyFailure
from preflight.judgement import NotApplicable
from preflight.rules import refusals, role, signing


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


def trouble(survey, name="es-2"):
    return role.trouble(survey, survey.node(name))


def test_a_rule_for_the_service_user_alone_is_told_as_such():
    """root is answered and Elasticsearch's user is not: no probe as root would have seen it."""
    found = trouble(surveys.imds_refuses_service_user(healthy(), "es-2"))

    assert found.kind == "user refused"
    assert found.observed == (
        "the metadata service is out of reach of user elasticsearch: connection refused after 0 ms; root is answered"
    )


def test_a_slow_answer_is_measured_against_what_the_sdk_waits():
    """A warning while Elasticsearch gets through all the same."""
    assert trouble(surveys.imds_slow(healthy(), "es-2")).observed == (
        "the metadata service takes 3010 ms for one answer; Elasticsearch waits 1000 ms"
    )
    assert trouble(imds(slowest=3010.2)).warning
    assert trouble(imds(slowest=999.0)) is None


@pytest.mark.parametrize(
    ("version", "changes", "said"),
    [
        (
            "7.4.2",
            {"tokenless_status": 401},
            "without a session token (IMDSv1), and the instance demands one (HTTP 401)",
        ),
        ("7.17.29", {"token_status": 404, "tokenless_status": 404}, "refuses a session token (HTTP 404)"),
        ("9.5.2", {"token_status": 404, "tokenless_status": 200}, "IMDSv2 is not available"),
    ],
)
def test_a_protocol_that_this_version_does_not_speak(version, changes, said):
    """Each version its own."""
    survey = surveys.imds_says(healthy(version=version), "es-2", **changes)

    assert trouble(survey).kind == "protocol"
    assert said in trouble(survey).observed


def test_imdsv1_alone_is_enough_for_7_17_and_before():
    """What is there and answers is quiet."""
    for version, token in (("7.17.29", 404), ("7.4.2", 404), ("7.4.2", 200)):
        survey = surveys.imds_says(healthy(version=version), "es-2", token_status=token, tokenless_status=200)
        assert trouble(survey) is None


@pytest.mark.parametrize(("version", "warning"), [("8.19.21", True), ("9.5.2", True), ("8.18.0", False)])
def test_an_endpoint_without_credentials_counts_by_version(version, warning):
    """SDK v2 goes on to the instance role, SDK v1 asks nothing else."""
    found = trouble(surveys.container_credentials(healthy(version=version), "es-2"))

    assert (found.kind, found.warning) == ("container", warning)
    assert "127.0.0.1:51679, which cannot be asked (refused after 2 ms)" in found.observed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": 403, "credentials": RoleCredentials(code="HTTP 403", key_prefix="", expires=None)}, "HTTP 403"),
        (
            {"credentials": RoleCredentials(code="Success", key_prefix="ASIA", expires=STARTED - 600)},
            "gives credentials that expired 10 minutes ago",
        ),
    ],
)
def test_each_way_an_endpoint_gives_none(changes, said):
    """Asked and refused, or answered with what is over."""
    survey = surveys.started_with(healthy(), "es-2", variables=("AWS_CONTAINER_CREDENTIALS_FULL_URI",))
    survey = with_node(survey, "es-2", container=surveys.container_of(**changes))

    assert said in trouble(survey).observed


def test_a_container_of_its_own_is_proven_by_elasticsearch_alone():
    """The host's answer says nothing: quiet where `_verify` passes, the hop limit where it lacks credentials."""
    process = replace(healthy().node("es-2").process, own_network_namespace=True)
    survey = with_node(healthy(), "es-2", process=process)
    failing = surveys.verify_fails(survey, "es-2", surveys.NO_CREDENTIALS)

    assert trouble(survey) is None
    assert trouble(failing).kind == "namespace"
    (cause,) = diagnose(failing, judged(failing)).causes
    assert cause.id == "imds-hop-limit"
    assert "--http-put-response-hop-limit 2" in cause.remedy.commands[0].text
    assert "i-0a1b2c3d4e5f60002" in cause.remedy.commands[0].text
    with pytest.raises(CouldNotCheck, match="network namespace of its own"):
        trouble(surveys.verify_fails(survey, "es-2", surveys.STALE))


def in_its_namespace(survey, **imds):
    """es-2 in a network namespace of its own, from where IMDS was asked."""
    node = survey.node("es-2")
    process = replace(node.process, own_network_namespace=True, addresses=("172.17.0.2",))
    return with_node(survey, "es-2", process=process, imds=replace(node.imds, in_namespace=True, **imds))


def test_a_container_from_which_imds_was_asked_needs_no_other_proof():
    survey = surveys.verify_fails(in_its_namespace(healthy()), "es-2", surveys.STALE)
    assert trouble(survey) is None


@pytest.mark.parametrize(("outcome", "hops"), [("timeout", True), ("no-route", False)])
def test_a_container_that_imds_does_not_answer_while_it_answers_the_host(outcome, hops):
    imds = Imds(outcome=outcome, milliseconds=2000.0, asked_as="elasticsearch", own_outcome="answered")
    node = healthy().node("es-2")
    process = replace(node.process, own_network_namespace=True)
    survey = with_node(healthy(), "es-2", process=process, imds=replace(imds, in_namespace=True))
    found = trouble(survey)
    assert (found.kind, "hop limit of 1" in found.observed) == ("namespace", hops)
    failing = surveys.verify_fails(survey, "es-2", surveys.NO_CREDENTIALS)
    assert [cause.id for cause in diagnose(failing, judged(failing)).causes] == ["imds-hop-limit"]


def test_how_long_credentials_in_memory_can_last_is_said():
    """The profile is gone, `_verify` still passes: until six hours from now at most."""
    finding = judge(imds(role_status=404, role=None))

    assert finding.details == (
        "_verify still passes: Elasticsearch holds credentials from before, until 16:40 UTC at most",
    )


def test_static_keys_that_s3_accepts_need_no_role():
    """A host outside EC2 with keys by policy: nothing is red because of IMDS."""
    survey = with_node(healthy(), "es-2", imds=Imds(outcome="timeout", milliseconds=2000.0))
    keystore = replace(survey.node("es-2").keystore, settings=("keystore.seed", *surveys.STATIC_KEYS))

    assert judge(survey) is not None
    with pytest.raises(NotApplicable, match="static keys in the keystore sign"):
        judge(with_node(survey, "es-2", keystore=keystore))


def test_a_declared_client_and_web_identity_need_no_role():
    """Not applicable, with the reason; 7.17 does not know web identity."""
    off = surveys.imds_off(healthy(), "es-2")
    names = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")

    with pytest.raises(NotApplicable, match="declared"):
        judge(with_node(off, "es-2", static_key_clients=("default",)))
    with pytest.raises(NotApplicable, match="web identity"):
        judge(surveys.started_with(off, "es-2", variables=names))
    old = surveys.imds_off(healthy(version="7.17.29"), "es-2")
    assert judge(surveys.started_with(old, "es-2", variables=names)) is not None


def arn(name, account="123456789012"):
    return Identity(account=account, arn=f"arn:aws:sts::{account}:assumed-role/{name}/i-0abc")


def test_roles_are_compared_by_arn_where_sts_told_them_all():
    """The same name in two accounts is two roles; where one node reaches no STS, the names decide."""
    survey = healthy()
    for found in survey.nodes:
        survey = with_node(survey, found.name, identity=arn("es-node"))
    other = with_node(survey, "es-2", identity=arn("es-node", "999999999999"))

    assert [role.same_role(survey, node) for node in survey.nodes] == [None, None, None]
    assert role.same_role(other, other.node("es-2")).observed == (
        "role arn:aws:iam::999999999999:role/es-node; es-1 has arn:aws:iam::123456789012:role/es-node "
        "and es-3 has arn:aws:iam::123456789012:role/es-node"
    )
    unreached = with_node(other, "es-3", identity=Unknown(reason="sts gave no answer"))
    assert role.same_role(unreached, unreached.node("es-2")) is None


def test_expired_credentials_are_no_key_left_in_memory():
    """S3 refuses the role's own key: nothing is reloaded and nothing removed."""
    survey = surveys.expired_role_credentials(healthy(), "es-2")
    (cause,) = diagnose(survey, judged(survey)).causes

    assert cause.id == "expired-role-credentials"
    assert any("expired" in line for line in cause.evidence)
    assert not any("reload" in command.text for command in cause.remedy.commands)


def test_a_refused_connection_for_credentials_is_not_one_to_s3():
    """AWS SDK v1, seen on 7.17.29: the innermost sentence is bare, the cause around it says what was asked."""
    chain = (
        "using a single upload",
        "sdk_client_exception: Failed to connect to service endpoint: ",
        "Connection refused",
    )

    assert refusals.of(VerifyFailure(node_id="a", sentence=chain[-1], chain=chain)).kind == "no credentials"
    assert refusals.of(VerifyFailure(node_id="a", sentence=chain[-1], chain=(chain[0], chain[-1]))).kind == "connection"

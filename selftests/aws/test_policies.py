"""Policies, roles, metadata options and DNS attributes in moto: what each does to a node, and when all is quiet."""

import json

import boto3
import judged as judging
import pytest
import surveys
from msgspec.structs import replace

from preflight.aws import records
from preflight.diagnosis import diagnose
from preflight.facts import SignedList, Unknown
from preflight.facts.policies import Decision
from preflight.rules.aws import policies

BUCKET = "es-snapshots"
ARN = f"arn:aws:s3:::{BUCKET}"


def outcome(survey, check, name="es-3"):
    return next(o for o in judging.judged(survey) if (o.check, o.node) == (check, name))


def causes(survey):
    return diagnose(survey, judging.judged(survey)).causes


def denied(survey, name="es-3"):
    """S3 answers this node's list, and `_verify`, with AccessDenied; the role is its peers'."""
    answer = SignedList(status=403, code="AccessDenied", message="Access Denied")
    return surveys.verify_fails(surveys.role_refused(survey, name, answer), name, surveys.DENIED)


def unproven(survey):
    """A run that did not call `_verify` (--read-only): S3 has accepted the lists, and nothing else."""
    return surveys.with_cluster(survey, verifications=Unknown(reason="not asked: --read-only"))


def bucket_policy(*statements):
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    boto3.client("s3", region_name=surveys.REGION).put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(document))


def only_through(*endpoints):
    return {
        "Sid": "OnlyByTheEndpoint",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [ARN, f"{ARN}/*"],
        "Condition": {"StringNotEquals": {"aws:SourceVpce": list(endpoints)}},
    }


def test_a_policy_that_asks_for_the_endpoint_hits_the_node_that_comes_by_nat(cloud):
    bucket_policy(only_through(cloud.ids["endpoint"]))
    nat = cloud.through_nat(3, 1)
    survey = denied(cloud.survey())
    found = outcome(survey, "AWS-4")
    assert found.outcome == "fail"
    (gateway,) = survey.aws.nat_gateways
    assert f"comes by NAT gateway {nat} from {gateway.public[0]}, through no endpoint" in found.reason
    assert f"OnlyByTheEndpoint: Deny where StringNotEquals aws:sourcevpce {cloud.ids['endpoint']}" in found.reason
    assert {outcome(survey, "AWS-4", name).outcome for name in ("es-1", "es-2")} == {"pass"}
    first = causes(survey)[0]
    assert first.id == "policy-on-the-way" and first.confidence == "certain" and first.nodes == ("es-3",)
    assert {("AWS-4", "es-3"), ("ROLE-3", "es-3"), ("REPO-1", "es-3")} <= set(first.explains)
    # It would lead everything else of the table there as well: named, and not called the fix.
    assert first.remedy.caution and not any("modify" in command.text for command in first.remedy.commands)
    assert any(
        f"modify-vpc-endpoint --region {surveys.REGION} --vpc-endpoint-id {cloud.ids['endpoint']}" in line
        for line in first.remedy.advice
    )


def test_what_the_policy_lets_in_is_quiet_before_s3_has_proven_it(cloud):
    bucket_policy(
        only_through(cloud.ids["endpoint"], "vpce-0123456789abcdef0"),
        {**only_through(), "Sid": "Tls", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {**only_through(), "Sid": "Office", "Condition": {"NotIpAddress": {"aws:VpcSourceIp": "10.0.0.0/16"}}},
    )
    survey = unproven(cloud.survey())
    assert {outcome(survey, "AWS-4", name).outcome for name in cloud.instances} == {"pass"}


def test_an_address_range_never_holds_for_what_comes_through_an_endpoint(cloud):
    """The usual trap: the nodes' private range under aws:SourceIp, which a request through an endpoint lacks."""
    bucket_policy({**only_through(), "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/16"}}})
    assert outcome(unproven(cloud.survey()), "AWS-4").outcome == "fail"


def test_what_s3_accepts_is_let_in_whatever_the_policy_reads_like(cloud):
    bucket_policy(only_through("vpce-0123456789abcdef0"))
    assert outcome(cloud.survey(), "AWS-4").outcome == "pass"
    # The list is proven, the rest is not.
    found = outcome(unproven(cloud.survey()), "AWS-4")
    assert found.outcome == "fail" and "s3:PutObject" in found.reason and "s3:ListBucket" not in found.reason


def test_a_condition_on_what_is_not_known_here_is_told_and_no_failure(cloud):
    bucket_policy({**only_through(), "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1234567890"}}})
    found = outcome(unproven(cloud.survey()), "AWS-4")
    assert found.outcome == "could not check" and "aws:principalorgid" in found.reason
    assert outcome(cloud.survey(), "AWS-4").outcome == "pass"


def test_a_policy_for_another_role_is_not_this_nodes(cloud):
    bucket_policy(
        {**only_through("vpce-0123456789abcdef0"), "Principal": {"AWS": "arn:aws:iam::123456789012:role/other"}}
    )
    assert outcome(unproven(cloud.survey()), "AWS-4").outcome == "pass"


def test_an_endpoint_that_allows_other_buckets_alone_shuts_this_one_out(cloud):
    document = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"],
            }
        ]
    }
    cloud.ec2.modify_vpc_endpoint(VpcEndpointId=cloud.ids["endpoint"], PolicyDocument=json.dumps(document))
    survey = denied(cloud.survey())
    found = outcome(survey, "AWS-4")
    assert found.outcome == "fail"
    assert f"the policy of endpoint {cloud.ids['endpoint']} denies" in found.reason
    assert "no statement allows it" in found.reason
    assert causes(survey)[0].id == "policy-on-the-way"
    assert outcome(cloud.survey(), "AWS-4").outcome == "pass"


@pytest.mark.parametrize(
    ("operator", "key", "values", "holds"),
    [
        ("StringEquals", "aws:sourcevpce", ["vpce-1"], True),
        ("StringNotEquals", "aws:sourcevpce", ["vpce-1", "vpce-2"], False),
        ("StringNotEquals", "aws:sourcevpce", ["vpce-2"], True),
        ("StringEquals", "aws:sourceip", ["192.0.2.1"], False),
        ("StringNotEquals", "aws:sourceip", ["192.0.2.1"], True),
        ("NotIpAddress", "aws:sourceip", ["192.0.2.0/24"], True),
        ("IpAddressIfExists", "aws:sourceip", ["192.0.2.0/24"], True),
        ("IpAddress", "aws:vpcsourceip", ["10.0.0.0/8"], True),
        ("Null", "aws:sourceip", ["true"], True),
        ("Null", "aws:sourcevpce", ["true"], False),
        ("Bool", "aws:securetransport", ["false"], False),
        ("ArnLike", "aws:principalarn", ["arn:aws:iam::1:role/es-*"], True),
        ("StringLike", "aws:sourcevpce", ["${aws:PrincipalTag/vpce}"], None),
        ("StringEquals", "aws:principalorgid", ["o-1"], None),
        ("ForAnyValue:StringEquals", "aws:sourcevpce", ["vpce-1"], None),
        ("NumericLessThan", "aws:sourcevpce", ["5"], None),
    ],
)
def test_conditions_are_met_as_iam_documents_them(operator, key, values, holds):
    context = {
        "aws:sourcevpce": ("vpce-1",),
        "aws:sourceip": None,
        "aws:vpcsourceip": ("10.0.3.15",),
        "aws:securetransport": ("true",),
        "aws:principalarn": ("arn:aws:iam::1:role/es-node",),
    }
    document = {
        "Statement": {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "*",
            "Resource": "*",
            "Condition": {operator: {key: values}},
        }
    }
    (statement,) = records.policy(json.dumps(document))
    assert policies.holds(statement.conditions[0], context) is holds


def test_what_is_no_policy_is_unknown():
    assert isinstance(records.policy("not json"), Unknown)
    assert isinstance(records.policy('{"Statement": [{"Effect": "Perhaps"}]}'), Unknown)


@pytest.fixture
def hollow(cloud):
    """es-3 starts anew with an instance profile without a role."""
    cloud.role("es-hollow", None)
    cloud.start("es-3", 3, profile="es-hollow")
    return cloud


def test_a_profile_without_a_role_is_the_cause_and_the_others_profile_its_mend(hollow):
    survey = surveys.no_instance_role(hollow.survey(), "es-3")
    instance = hollow.instances["es-3"]
    found = outcome(survey, "AWS-5")
    assert found.outcome == "fail"
    assert found.reason == f"instance profile es-hollow of {instance} has no role in it"
    (cause,) = causes(survey)
    assert cause.id == "profile-without-role"
    assert {("AWS-5", "es-3"), ("ROLE-1", "es-3"), ("REPO-1", "es-3")} <= set(cause.explains)
    assert cause.remedy.caution is None
    change = cause.remedy.commands[0].text
    assert "replace-iam-instance-profile-association" in change and f"Values={instance}" in change
    assert change.endswith("--iam-instance-profile Name=es-node")


def test_a_profile_that_no_other_node_proves_is_only_shown(hollow):
    survey = surveys.no_instance_role(hollow.survey(), "es-3")
    for name in ("es-1", "es-2"):
        survey = denied(survey, name)
    cause = next(c for c in causes(survey) if c.id == "profile-without-role")
    assert cause.remedy.caution and not any("replace" in command.text for command in cause.remedy.commands)


def test_no_profile_at_all_is_told_with_role_1(cloud):
    cloud.start("es-3", 3, profile=None)
    survey = surveys.no_instance_role(cloud.survey(), "es-3")
    assert "has no instance profile" in outcome(survey, "AWS-5").reason
    (cause,) = causes(survey)
    assert cause.id == "no-instance-role" and ("AWS-5", "es-3") in cause.explains


def test_what_the_role_may_not_do_is_named(cloud):
    cloud.allow("es-node", "s3:ListBucket", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads")
    found = outcome(unproven(cloud.survey()), "AWS-5")
    assert found.outcome == "fail"
    assert found.reason == (
        "role es-node may not, on es-snapshots/prod: s3:PutObject and s3:DeleteObject (no policy of the role allows it)"
    )
    # S3's own word counts for more.
    assert outcome(cloud.survey(), "AWS-5").outcome == "pass"
    refused = denied(cloud.survey())
    cause = next(c for c in causes(refused) if ("ROLE-3", "es-3") in c.explains)
    assert any("may not, on es-snapshots/prod" in line for line in cause.evidence)


def test_what_snapshots_do_without_is_a_warning_or_nothing(cloud):
    cloud.allow("es-node", "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
    found = outcome(cloud.survey(), "AWS-5")
    assert found.outcome == "warning" and "s3:AbortMultipartUpload" in found.reason
    cloud.allow(
        "es-node",
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListBucketMultipartUploads",
    )
    assert outcome(cloud.survey(), "AWS-5").outcome == "pass"


def test_a_key_that_a_simulation_does_not_know_decides_nothing(cloud):
    cloud.allow("es-node", "s3:*", condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}})
    survey = cloud.survey()
    (simulation,) = survey.aws.policies.simulations
    assert {d.missing for d in simulation.decisions} == {("aws:SourceVpce",)}
    found = outcome(unproven(survey), "AWS-5")
    assert found.outcome == "could not check" and "ask for aws:SourceVpce" in found.reason
    assert outcome(survey, "AWS-5").outcome == "pass"


def test_the_prefix_that_elasticsearch_lists_under_is_given(cloud):
    cloud.allow("es-node", "s3:*", condition={"StringLike": {"s3:prefix": "prod/*"}})
    (simulation,) = cloud.survey().aws.policies.simulations
    assert {d.decision for d in simulation.decisions} == {"allowed"} and not any(
        d.missing for d in simulation.decisions
    )


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (Decision(action="s3:PutObject", decision="explicitDeny"), "a policy denies it"),
        (Decision(action="s3:PutObject", decision="implicitDeny", organization=False), "the organization allows it"),
        (Decision(action="s3:PutObject", decision="implicitDeny", boundary=False), "permissions boundary"),
    ],
)
def test_who_denies_is_told(cloud, decision, words):
    """moto has neither organizations' policies nor boundaries in its answers: the answer is changed."""
    survey = unproven(cloud.survey())
    read = survey.aws.policies
    changed = tuple(replace(s, decisions=(decision,)) for s in read.simulations)
    survey = replace(survey, aws=replace(survey.aws, policies=replace(read, simulations=changed)))
    assert words in outcome(survey, "AWS-5").reason


def test_a_role_that_may_not_be_simulated_costs_nothing_where_s3_has_proven_it(cloud):
    survey = cloud.survey()
    read = survey.aws.policies
    refused = Unknown(reason="operator may not iam:SimulatePrincipalPolicy")
    changed = tuple(replace(s, decisions=refused) for s in read.simulations)
    survey = replace(survey, aws=replace(survey.aws, policies=replace(read, simulations=changed)))
    assert outcome(survey, "AWS-5").outcome == "pass"
    found = outcome(unproven(survey), "AWS-5")
    assert found.outcome == "could not check" and "may not iam:SimulatePrincipalPolicy" in found.reason


def test_metadata_that_is_switched_off_is_one_cause_with_what_the_probe_saw(cloud):
    cloud.start("es-3", 3, metadata={"HttpTokens": "required", "HttpEndpoint": "disabled"})
    survey = surveys.imds_off(cloud.survey(), "es-3")
    # A service that is off names no instance: its address does.
    survey = surveys.with_member(survey, "es-3", transport="10.0.3.16:9300")
    assert "HttpEndpoint disabled" in outcome(survey, "AWS-6").reason
    (cause,) = causes(survey)
    assert cause.id == "imds-out-of-reach" and cause.confidence == "certain"
    assert {("AWS-6", "es-3"), ("ROLE-1", "es-3"), ("REPO-1", "es-3")} <= set(cause.explains)
    assert cause.remedy.caution is None
    assert cause.remedy.commands[0].text == (
        f"aws ec2 modify-instance-metadata-options --region {surveys.REGION} "
        f"--instance-id {cloud.instances['es-3']} --http-endpoint enabled"
    )


def test_a_metadata_service_that_answers_is_on(cloud):
    cloud.start("es-3", 3, metadata={"HttpTokens": "required", "HttpEndpoint": "disabled"})
    assert outcome(cloud.survey(), "AWS-6").outcome == "pass"


def in_a_container(survey, name="es-3"):
    process = replace(survey.node(name).process, own_network_namespace=True)
    return surveys.with_node(survey, name, process=process)


def test_a_hop_limit_of_one_matters_to_a_container_without_credentials(cloud):
    survey = in_a_container(cloud.survey())
    assert outcome(survey, "AWS-6").outcome == "pass"
    survey = surveys.verify_fails(survey, "es-3", surveys.NO_CREDENTIALS)
    assert "hop limit" in outcome(survey, "AWS-6").reason
    (cause,) = causes(survey)
    assert cause.id == "imds-hop-limit" and cause.confidence == "certain" and ("AWS-6", "es-3") in cause.explains
    # What else it lets ask is nothing the facts know.
    assert cause.remedy.caution and "--http-put-response-hop-limit 2" in cause.remedy.commands[0].text
    assert outcome(surveys.verify_fails(cloud.survey(), "es-3", surveys.NO_CREDENTIALS), "AWS-6").outcome == "pass"
    heard = replace(survey.node("es-3").imds, in_namespace=True)
    assert outcome(surveys.with_node(survey, "es-3", imds=heard), "AWS-6").outcome == "pass"


def test_a_vpc_without_dns_support_is_the_cause_where_names_do_not_resolve(cloud):
    cloud.ec2.modify_vpc_attribute(VpcId=cloud.ids["vpc"], EnableDnsSupport={"Value": False})
    survey = cloud.survey()
    assert outcome(survey, "AWS-7").outcome == "pass"
    for name in cloud.instances:
        survey = unresolving(survey, name)
    found = outcome(survey, "AWS-7")
    assert (
        found.outcome == "fail" and f"{cloud.ids['vpc']} has DNS support and DNS hostnames switched off" in found.reason
    )
    (cause,) = causes(survey)
    assert cause.id == "vpc-dns" and cause.nodes == ("es-1", "es-2", "es-3")
    assert cause.remedy.caution and any("--enable-dns-support" in line for line in cause.remedy.advice)


def test_a_name_that_does_not_resolve_in_a_vpc_with_dns_is_no_attributes_fault(cloud):
    cloud.ec2.modify_vpc_attribute(VpcId=cloud.ids["vpc"], EnableDnsHostnames={"Value": True})
    assert outcome(unresolving(cloud.survey(), "es-3"), "AWS-7").outcome == "pass"


def unresolving(survey, name):
    node = surveys.s3_cut_off(survey, name).node(name)
    gone = tuple(replace(b, dns="dns", addresses=(), tcp=None) for b in node.buckets)
    survey = surveys.with_node(survey, name, buckets=gone)
    return surveys.verify_fails(survey, name, "Unable to execute HTTP request: es-snapshots: Name or service not known")

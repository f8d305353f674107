"""What AWS says of the nodes' network, asked of moto over HTTP, and what the checks make of it."""

import json
from pathlib import Path

import judged as judging
import pytest
import surveys

from preflight import aws
from preflight.diagnosis import diagnose
from preflight.facts import Unknown, dump, load
from preflight.rules.aws import pairs, s3_route

POLICY = json.loads((Path(__file__).parents[2] / "docs" / "aws-policy.json").read_text())


def outcomes(survey, *ids):
    return {(o.check, o.node): o.outcome for o in judging.judged(survey) if o.check in ids}


def causes(survey):
    return diagnose(survey, judging.judged(survey)).causes


def test_a_healthy_vpc_is_quiet(cloud):
    survey = cloud.survey()
    assert set(outcomes(survey, "AWS-1", "AWS-2").values()) == {"pass"}
    assert judging.not_passed(judging.judged(survey)) == {}


def test_everything_is_read_in_sixteen_calls(cloud):
    asked = cloud.asked()
    assert asked.calls == 16
    assert {instance.id for instance in asked.instances} == set(cloud.instances.values())
    assert {table.id for table in asked.tables if table.subnets} == {cloud.ids[f"table-{n}"] for n in (1, 2, 3)}


def test_without_the_option_aws_is_not_asked_and_nothing_is_red():
    survey = surveys.port_dropped(surveys.healthy(), "es-3")
    assert set(outcomes(survey, "AWS-1", "AWS-2").values()) == {"not applicable"}


def test_a_group_without_a_rule_for_the_port_is_named(cloud):
    group = cloud.ids["group"]
    cloud.ec2.revoke_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 9200, "ToPort": 9300, "UserIdGroupPairs": [{"GroupId": group}]}
        ],
    )
    survey = surveys.port_fails(cloud.survey(), "es-1", "es-3", "timeout")
    assert outcomes(survey, "AWS-1") == {
        ("AWS-1", "es-1"): "fail",
        ("AWS-1", "es-2"): "pass",
        ("AWS-1", "es-3"): "pass",
    }
    (cause,) = causes(survey)
    assert cause.id == "port-blocked" and cause.confidence == "certain"
    assert any(f"security group {group} has no rule that lets 10.0.1.15 in on 9300" in line for line in cause.evidence)
    assert ("AWS-1", "es-1") in cause.explains and ("PORT-1", "es-1") in cause.explains
    assert any("authorize-security-group-ingress" in line and group in line for line in cause.remedy.advice)


def test_a_filter_that_aws_does_not_have_is_on_a_host(cloud):
    survey = surveys.port_fails(cloud.survey(), "es-1", "es-3", "timeout")
    assert outcomes(survey, "AWS-1")[("AWS-1", "es-1")] == "pass"
    (cause,) = causes(survey)
    assert cause.confidence == "likely"
    assert any("AWS would let es-1 through" in line for line in cause.evidence)


def test_an_acl_that_drops_the_answers_is_named(cloud):
    acl = cloud.ec2.create_network_acl(VpcId=cloud.ids["vpc"])["NetworkAcl"]["NetworkAclId"]
    entry = {"NetworkAclId": acl, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}
    cloud.ec2.create_network_acl_entry(RuleNumber=100, Egress=False, **entry)
    cloud.ec2.create_network_acl_entry(
        RuleNumber=100, Egress=True, **{**entry, "Protocol": "6", "PortRange": {"From": 443, "To": 9300}}
    )
    found = cloud.ec2.describe_network_acls(
        Filters=[{"Name": "association.subnet-id", "Values": [cloud.ids["subnet-3"]]}]
    )["NetworkAcls"][0]
    association = next(a for a in found["Associations"] if a["SubnetId"] == cloud.ids["subnet-3"])
    cloud.ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl)
    survey = surveys.port_fails(cloud.survey(), "es-1", "es-3", "timeout")
    finding = pairs.lets_through(survey, survey.node("es-1"))
    assert f"no entry of {acl} allows outgoing TCP ports 32768-60999 to 10.0.1.15" in finding.observed
    (cause,) = causes(survey)
    assert any("describe-network-acls" in command.text and acl in command.text for command in cause.remedy.commands)


def test_a_refused_port_is_no_matter_of_aws(cloud):
    survey = surveys.port_fails(cloud.survey(), "es-1", "es-3", "refused")
    assert outcomes(survey, "AWS-1")[("AWS-1", "es-1")] == "pass"
    assert not any("AWS" in line for cause in causes(survey) for line in cause.evidence)


def test_a_table_without_the_endpoint_is_the_cause_and_the_endpoint_its_mend(cloud):
    table = cloud.without_endpoint(3)
    survey = surveys.s3_cut_off(cloud.survey(), "es-3")
    assert outcomes(survey, "AWS-2")[("AWS-2", "es-3")] == "fail"
    (cause,) = causes(survey)
    assert cause.id == "route-table" and cause.nodes == ("es-3",) and cause.confidence == "certain"
    assert f"{table} has no route to S3" in cause.evidence[0]
    assert cause.remedy.caution is None
    assert cause.remedy.commands[0].text == (
        f"aws ec2 modify-vpc-endpoint --region {surveys.REGION} --vpc-endpoint-id {cloud.ids['endpoint']} "
        f"--add-route-table-ids {table}"
    )
    assert {("AWS-2", "es-3"), ("PATH-1", "es-3"), ("REPO-1", "es-3")} <= set(cause.explains)


def test_a_node_that_reaches_s3_has_a_way_whatever_its_table_reads_like(cloud):
    """Another way than most nodes' is worth a look, no more."""
    cloud.without_endpoint(3)
    survey = cloud.survey()
    assert outcomes(survey, "AWS-2") == {
        ("AWS-2", "es-1"): "pass",
        ("AWS-2", "es-2"): "pass",
        ("AWS-2", "es-3"): "warning",
    }
    (cause,) = causes(survey)
    assert cause.id == "route-table" and cause.remedy.caution


def test_a_right_table_leaves_what_is_behind_it(cloud):
    survey = surveys.s3_cut_off(cloud.survey(), "es-3")
    assert outcomes(survey, "AWS-2")[("AWS-2", "es-3")] == "pass"
    (cause,) = causes(survey)
    assert cause.id == "route-upstream"
    assert any(cloud.ids["endpoint"] in line for line in cause.evidence)


def test_a_deleted_nat_gateway_is_a_way_that_ends(cloud):
    table = cloud.without_endpoint(3)
    nat = cloud.ec2.create_nat_gateway(SubnetId=cloud.ids["subnet-1"], ConnectivityType="private")["NatGateway"]
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat["NatGatewayId"])
    healthy = cloud.survey()
    way = s3_route.way(healthy, healthy.node("es-3"))
    assert (way.kind, way.target, way.broken) == ("NAT gateway", nat["NatGatewayId"], False)
    cloud.ec2.delete_nat_gateway(NatGatewayId=nat["NatGatewayId"])
    survey = surveys.s3_cut_off(cloud.survey(), "es-3")
    finding = s3_route.leads_to_s3(survey, survey.node("es-3"))
    assert nat["NatGatewayId"] in finding.observed and not finding.warning
    # What a NAT gateway should be replaced by is nothing the facts prove.
    (cause,) = causes(survey)
    assert cause.remedy.caution


def test_nodes_of_another_account_could_not_be_checked(cloud):
    survey = surveys.port_fails(surveys.s3_cut_off(cloud.survey(), "es-3"), "es-1", "es-3", "timeout")
    cloud.instances = dict.fromkeys(cloud.instances, "i-0123456789abcdef0")
    survey = cloud.survey(survey)
    assert outcomes(survey, "AWS-2")[("AWS-2", "es-3")] == "could not check"
    assert outcomes(survey, "AWS-1")[("AWS-1", "es-1")] == "could not check"
    assert isinstance(survey.aws.tables, Unknown)


def test_without_credentials_aws_is_not_asked(cloud, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    found = cloud.asked()
    assert isinstance(found, Unknown) and "redentials" in found.reason
    assert "aws sts get-caller-identity" in found.remedy


def test_a_profile_that_does_not_exist_is_named(cloud):
    found = aws.ask(aws.Wanted(region=surveys.REGION, ids=(), addresses=()), "nobody", 5.0)
    assert isinstance(found, Unknown) and "nobody" in found.reason


def test_what_is_recorded_is_judged_alike(cloud):
    survey = cloud.survey()
    assert load(dump(survey)) == survey


def test_the_documented_policy_is_enough(cloud, enforced):
    group, listed = (
        cloud.ids["group"],
        cloud.ec2.create_managed_prefix_list(
            PrefixListName="office", MaxEntries=1, AddressFamily="IPv4", Entries=[{"Cidr": "192.0.2.0/24"}]
        )["PrefixList"]["PrefixListId"],
    )
    cloud.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": listed}]}
        ],
    )
    enforced(POLICY)
    asked = cloud.asked()
    assert unknowns(asked) == []
    assert asked.caller.endswith("user/operator")
    assert any(found.cidrs == ("192.0.2.0/24",) for found in asked.prefix_lists)


def unknowns(fact):
    """Every part of it that could not be read."""
    if isinstance(fact, Unknown):
        return [fact]
    if isinstance(fact, tuple):
        return [found for part in fact for found in unknowns(part)]
    names = getattr(fact, "__struct_fields__", ())
    return [found for name in names for found in unknowns(getattr(fact, name))]


@pytest.mark.parametrize("action", [action for statement in POLICY["Statement"] for action in statement["Action"]])
def test_a_missing_action_is_named_and_costs_its_own_part_alone(cloud, enforced, action):
    left = [{**s, "Action": [a for a in s["Action"] if a != action]} for s in POLICY["Statement"]]
    enforced({**POLICY, "Statement": [s for s in left if s["Action"]]})
    unknown = unknowns(cloud.asked())
    assert unknown and all(f"may not {action}" in part.reason and action in part.remedy for part in unknown)
    # Without the instances nobody knows which VPC to read.
    assert len(unknown) == (1 if action != "ec2:DescribeInstances" else 9)

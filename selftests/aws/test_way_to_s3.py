"""What filters between a node and S3, and ends of a way there, in moto: named where the node is cut off, else quiet."""

import judged as judging
import pytest
import surveys
from msgspec.structs import replace

from preflight.diagnosis import diagnose
from preflight.facts import Unknown
from preflight.rules.aws import s3_route

ANYWHERE = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def outcome(survey, check="AWS-2", name="es-3"):
    return next(o for o in judging.judged(survey) if (o.check, o.node) == (check, name))


def only_cause(survey):
    (cause,) = diagnose(survey, judging.judged(survey)).causes
    return cause


def s3_list(cloud):
    lists = cloud.ec2.describe_managed_prefix_lists()["PrefixLists"]
    return next(x["PrefixListId"] for x in lists if x["PrefixListName"] == f"com.amazonaws.{surveys.REGION}.s3")


def own_group(cloud, *egress):
    """es-3 gets a group of its own that lets out only this."""
    group = cloud.ec2.create_security_group(GroupName="own", Description="-", VpcId=cloud.ids["vpc"])["GroupId"]
    cloud.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[ANYWHERE])
    if egress:
        cloud.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=list(egress))
    cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ANYWHERE])
    cloud.move("es-3", group)
    return group


def own_acl(cloud, number, *entries):
    """The subnet gets an ACL with these entries as (rule, egress, protocol, ports, cidr), all of them allowing."""
    acl = cloud.ec2.create_network_acl(VpcId=cloud.ids["vpc"])["NetworkAcl"]["NetworkAclId"]
    for rule, egress, protocol, ports, cidr in entries:
        ranged = {"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {}
        cloud.ec2.create_network_acl_entry(
            NetworkAclId=acl,
            RuleNumber=rule,
            Egress=egress,
            Protocol=protocol,
            RuleAction="allow",
            CidrBlock=cidr,
            **ranged,
        )
    subnet = cloud.ids[f"subnet-{number}"]
    found = cloud.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
    association = next(a for a in found["NetworkAcls"][0]["Associations"] if a["SubnetId"] == subnet)
    cloud.ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl)
    return acl


def test_a_group_that_lets_nothing_out_to_s3_is_named(cloud):
    group = own_group(
        cloud, {"IpProtocol": "tcp", "FromPort": 9200, "ToPort": 9300, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
    )
    survey = surveys.s3_cut_off(cloud.survey(), "es-3")
    found = outcome(survey)
    assert found.outcome == "fail"
    assert f"security group {group} lets nothing out to {surveys.S3_ADDRESS} on 443" in found.reason
    cause = only_cause(survey)
    assert cause.id == "route-table" and "security group" in cause.title
    assert {("AWS-2", "es-3"), ("PATH-1", "es-3"), ("REPO-1", "es-3")} <= set(cause.explains)
    # Whether it should is its owner's: the rule is named and not called the fix.
    assert cause.remedy.caution and any(
        f"authorize-security-group-egress --region {surveys.REGION} --group-id {group}" in line
        and f"PrefixListId={s3_list(cloud)}" in line
        for line in cause.remedy.advice
    )


def test_a_node_that_reaches_s3_is_let_through_whatever_its_group_reads_like(cloud):
    own_group(cloud, {"IpProtocol": "tcp", "FromPort": 9200, "ToPort": 9300, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]})
    assert outcome(cloud.survey()).outcome == "pass"


def test_s3s_prefix_list_is_a_way_out_for_all_of_its_ranges(cloud):
    listed = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": s3_list(cloud)}]}
    own_group(cloud, listed)
    survey = cloud.survey()
    assert outcome(survey).outcome == "pass"
    (s3,) = survey.aws.prefix_lists
    node = survey.node("es-3")
    paths = tuple(replace(b, addresses=(s3.cidrs[0].partition("/")[0],)) for b in node.buckets)
    cut = surveys.s3_cut_off(surveys.with_node(survey, "es-3", buckets=paths), "es-3")
    assert outcome(cut).outcome == "pass"


def test_a_list_that_could_not_be_read_leaves_a_node_that_is_cut_off_undecided(cloud):
    listed = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": s3_list(cloud)}]}
    own_group(cloud, listed)
    survey = cloud.survey()
    denied = Unknown(reason="operator may not ec2:GetManagedPrefixListEntries")
    (s3,) = survey.aws.prefix_lists
    survey = replace(survey, aws=replace(survey.aws, prefix_lists=(replace(s3, cidrs=denied),)))
    assert outcome(survey).outcome == "pass"
    found = outcome(surveys.s3_cut_off(survey, "es-3"))
    assert found.outcome == "could not check" and "may not ec2:GetManagedPrefixListEntries" in found.reason


def test_a_part_of_s3s_ranges_is_worth_a_look(cloud):
    """DNS gives another of S3's addresses tomorrow."""
    ranges = cloud.ec2.get_managed_prefix_list_entries(PrefixListId=s3_list(cloud))["Entries"]
    first = {"CidrIp": ranges[0]["Cidr"]}
    group = own_group(cloud, {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [first]})
    found = outcome(cloud.survey())
    assert found.outcome == "warning"
    assert group in found.reason and ranges[1]["Cidr"] in found.reason and first["CidrIp"] not in found.reason


def test_an_acl_that_drops_s3s_answers_is_named(cloud):
    acl = own_acl(
        cloud,
        3,
        (100, True, "-1", None, "0.0.0.0/0"),
        (100, False, "-1", None, "10.0.0.0/16"),
    )
    survey = surveys.s3_cut_off(cloud.survey(), "es-3")
    found = outcome(survey)
    assert f"no entry of {acl} allows incoming TCP ports 32768-60999 from {surveys.S3_ADDRESS}" in found.reason
    cause = only_cause(survey)
    assert acl in cause.remedy.commands[0].text and cause.remedy.caution
    assert outcome(cloud.survey(), name="es-1").outcome == "pass"


def test_an_acl_of_the_nat_gateways_subnet_is_on_the_way_too(cloud):
    nat = cloud.through_nat(3, 1)
    acl = own_acl(cloud, 1, (100, True, "-1", None, "0.0.0.0/0"), (100, False, "-1", None, "10.0.0.0/16"))
    survey = surveys.s3_cut_off(cloud.survey(), "es-3")
    assert s3_route.way(survey, survey.node("es-3")).target == nat
    found = outcome(survey)
    assert (
        f"network ACL of {cloud.ids['subnet-1']}: no entry of {acl} allows incoming TCP ports 1024-65535"
        in found.reason
    )


@pytest.fixture
def interface_endpoint(cloud):
    """S3 under its own name at an address of the VPC, behind a group of its own: (endpoint, group)."""
    group = cloud.ec2.create_security_group(GroupName="s3", Description="-", VpcId=cloud.ids["vpc"])["GroupId"]
    made = cloud.ec2.create_vpc_endpoint(
        VpcId=cloud.ids["vpc"],
        ServiceName=f"com.amazonaws.{surveys.REGION}.s3",
        VpcEndpointType="Interface",
        SubnetIds=[cloud.ids["subnet-1"]],
        SecurityGroupIds=[group],
        PrivateDnsEnabled=True,
    )["VpcEndpoint"]
    return made["VpcEndpointId"], group


def resolved(survey, address):
    for node in survey.nodes:
        buckets = tuple(replace(b, addresses=(address,)) for b in node.buckets)
        survey = surveys.with_node(survey, node.name, buckets=buckets)
    return survey


def test_the_group_of_an_interface_endpoint_has_to_let_the_node_in(cloud, interface_endpoint):
    endpoint, group = interface_endpoint
    survey = resolved(cloud.survey(), "10.0.1.77")
    assert {o.outcome for o in judging.judged(survey) if o.check == "AWS-2"} == {"pass"}
    cut = surveys.s3_cut_off(survey, "es-3")
    found = outcome(cut)
    assert (
        f"security group {group} of interface endpoint {endpoint} has no rule that lets 10.0.3.15 in on 443"
        in found.reason
    )
    assert any(f"--group-id {group}" in line and cloud.ids["group"] in line for line in only_cause(cut).remedy.advice)
    cloud.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": cloud.ids["group"]}]}
        ],
    )
    assert outcome(surveys.s3_cut_off(resolved(cloud.survey(), "10.0.1.77"), "es-3")).outcome == "pass"


def test_an_endpoint_that_is_not_available_ends_the_way(cloud, interface_endpoint):
    """moto knows no such state: the answer is changed."""
    survey = resolved(cloud.survey(), "10.0.1.77")
    endpoints = tuple(
        replace(e, state="rejected") if e.id == interface_endpoint[0] else e for e in survey.aws.endpoints
    )
    survey = replace(survey, aws=replace(survey.aws, endpoints=endpoints))
    assert outcome(survey).outcome == "pass"
    found = outcome(surveys.s3_cut_off(survey, "es-3"))
    assert found.outcome == "fail" and "whose state is rejected" in found.reason


def test_a_deleted_gateway_endpoint_takes_its_routes_with_it(cloud):
    cloud.ec2.delete_vpc_endpoints(VpcEndpointIds=[cloud.ids["endpoint"]])
    survey = surveys.s3_cut_off(cloud.survey(), "es-3")
    found = outcome(survey)
    assert found.outcome == "fail" and "has no route to S3" in found.reason
    # No other node shows an endpoint to add.
    assert only_cause(survey).remedy.caution


def test_an_internet_gateway_forwards_nothing_of_an_instance_without_a_public_address(cloud):
    cloud.ec2.delete_vpc_endpoints(VpcEndpointIds=[cloud.ids["endpoint"]])
    gateway = cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.ids["vpc"])
    for number in (1, 2, 3):
        cloud.ec2.create_route(
            RouteTableId=cloud.ids[f"table-{number}"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway
        )
    survey = cloud.survey()
    assert outcome(survey).outcome == "pass"
    assert "has no public address" in outcome(surveys.s3_cut_off(survey, "es-3")).reason


def test_a_gateway_endpoint_is_no_way_to_another_regions_bucket(cloud):
    cloud.through_nat(3, 1, keep_endpoint=True)
    survey = cloud.survey()
    node = survey.node("es-3")
    assert s3_route.way(survey, node).kind == "gateway endpoint"
    away = tuple(replace(b, bucket_region="eu-west-1") for b in node.buckets)
    survey = surveys.with_node(survey, "es-3", buckets=away)
    assert s3_route.way(survey, survey.node("es-3")).kind == "NAT gateway"

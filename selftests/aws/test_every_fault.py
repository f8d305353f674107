"""Every fault of the control plane in one topology of three subnets: what is found, and what asking costs in calls.

scripts/aws-faults prints the table. moto is the control plane; what the nodes feel is the made survey's. Where moto
answers otherwise than AWS the fault is built around it: an endpoint is taken out of a subnet by another table (moto's
modify_vpc_endpoint leaves the routes), a blackhole is written into the answer (moto has none), and an instance with
another profile or other metadata options is another instance.
"""

import json

import judged as judging
import pytest
import surveys
from msgspec.structs import replace
from test_policies import bucket_policy, denied, only_through, unresolving
from test_way_to_s3 import own_acl, own_group

from preflight.diagnosis import diagnose

REGION = surveys.REGION
ROWS = {}
TABLE = []


def fault(name, *, check, cause, evidence):
    """A row: what is done to es-3's part, the check that fails there, the first cause and what it says."""

    def register(make):
        ROWS[name] = (make, check, cause, evidence)
        return make

    return register


@fault("sg-missing-peer", check="AWS-1", cause="port-blocked", evidence="has no rule that lets")
def _(cloud):
    group = cloud.ec2.create_security_group(GroupName="apart", Description="-", VpcId=cloud.ids["vpc"])["GroupId"]
    cloud.move("es-3", group)
    return surveys.left_out(cloud.survey(), "es-3")


@fault("sg-egress-missing", check="AWS-2", cause="route-table", evidence="lets nothing out to")
def _(cloud):
    own_group(cloud)
    return surveys.s3_cut_off(cloud.survey(), "es-3")


@fault("nacl-return-path", check="AWS-1", cause="port-blocked", evidence="allows outgoing TCP ports 32768-60999")
def _(cloud):
    everything_in = (100, False, "-1", None, "0.0.0.0/0")
    own_acl(cloud, 3, everything_in, (100, True, "6", (443, 9300), "0.0.0.0/0"))
    survey = cloud.survey()
    for port in ("transport", "http"):
        for source in ("es-1", "es-2"):
            survey = surveys.port_fails(survey, source, "es-3", "timeout", port)
    return survey


@fault("nacl-return-path-s3", check="AWS-2", cause="route-table", evidence="allows incoming TCP ports 32768-60999")
def _(cloud):
    own_acl(cloud, 3, (100, True, "-1", None, "0.0.0.0/0"), (100, False, "-1", None, "10.0.0.0/16"))
    return surveys.s3_cut_off(cloud.survey(), "es-3")


@fault("endpoint-not-associated", check="AWS-2", cause="route-table", evidence="has no route to S3")
def _(cloud):
    cloud.without_endpoint(3)
    return surveys.s3_cut_off(cloud.survey(), "es-3")


@fault("endpoint-deleted", check="AWS-2", cause="route-table", evidence="has no route to S3")
def _(cloud):
    cloud.ec2.delete_vpc_endpoints(VpcEndpointIds=[cloud.ids["endpoint"]])
    survey = cloud.survey()
    for name in cloud.instances:
        survey = surveys.s3_cut_off(survey, name)
    return survey


@fault("endpoint-policy", check="AWS-4", cause="policy-on-the-way", evidence="no statement allows it")
def _(cloud):
    other = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::logs/*"}]}
    cloud.ec2.modify_vpc_endpoint(VpcEndpointId=cloud.ids["endpoint"], PolicyDocument=json.dumps(other))
    survey = cloud.survey()
    for name in cloud.instances:
        survey = denied(survey, name)
    return survey


@fault("route-blackhole", check="AWS-2", cause="route-table", evidence="which is a blackhole")
def _(cloud):
    cloud.through_nat(3, 1)
    survey = cloud.survey()
    tables = tuple(
        replace(t, routes=tuple(replace(r, blackhole=(r.target or "").startswith("nat-")) for r in t.routes))
        for t in survey.aws.tables
    )
    return surveys.s3_cut_off(replace(survey, aws=replace(survey.aws, tables=tables)), "es-3")


@fault("nat-gone", check="AWS-2", cause="route-table", evidence="whose state is deleted")
def _(cloud):
    cloud.ec2.delete_nat_gateway(NatGatewayId=cloud.through_nat(3, 1))
    return surveys.s3_cut_off(cloud.survey(), "es-3")


@fault("no-public-address", check="AWS-2", cause="route-table", evidence="has no public address")
def _(cloud):
    gateway = cloud.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.ids["vpc"])
    table = cloud.without_endpoint(3)
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    return surveys.s3_cut_off(cloud.survey(), "es-3")


@fault("interface-endpoint-group", check="AWS-2", cause="route-table", evidence="of interface endpoint")
def _(cloud):
    group = cloud.ec2.create_security_group(GroupName="s3", Description="-", VpcId=cloud.ids["vpc"])["GroupId"]
    cloud.ec2.create_vpc_endpoint(
        VpcId=cloud.ids["vpc"],
        ServiceName=f"com.amazonaws.{REGION}.s3",
        VpcEndpointType="Interface",
        SubnetIds=[cloud.ids["subnet-1"]],
        SecurityGroupIds=[group],
        PrivateDnsEnabled=True,
    )
    survey = cloud.survey()
    inside = tuple(replace(b, addresses=("10.0.1.77",)) for b in survey.node("es-3").buckets)
    return surveys.s3_cut_off(surveys.with_node(survey, "es-3", buckets=inside), "es-3")


@fault("bucket-policy-source-vpce", check="AWS-4", cause="policy-on-the-way", evidence="StringNotEquals aws:sourcevpce")
def _(cloud):
    bucket_policy(only_through(cloud.ids["endpoint"]))
    cloud.through_nat(3, 1)
    return denied(cloud.survey(), "es-3")


@fault("profile-without-role", check="AWS-5", cause="profile-without-role", evidence="has no role in it")
def _(cloud):
    cloud.role("es-hollow", None)
    cloud.start("es-3", 3, profile="es-hollow")
    return surveys.no_instance_role(cloud.survey(), "es-3")


@fault("role-lacks-actions", check="AWS-5", cause="role-denied", evidence="no policy of the role allows it")
def _(cloud):
    logs = {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"]}
    cloud.role("es-bare", {"Version": "2012-10-17", "Statement": [logs]})
    cloud.start("es-3", 3, profile="es-bare")
    return surveys.role_without_bucket_access(cloud.survey(), "es-3")


@fault("metadata-off", check="AWS-6", cause="imds-out-of-reach", evidence="HttpEndpoint disabled")
def _(cloud):
    cloud.start("es-3", 3, metadata={"HttpTokens": "required", "HttpEndpoint": "disabled"})
    survey = surveys.imds_off(cloud.survey(), "es-3")
    return surveys.with_member(survey, "es-3", transport="10.0.3.16:9300")


@fault("hop-limit", check="AWS-6", cause="imds-hop-limit", evidence="the hop limit of")
def _(cloud):
    survey = cloud.survey()
    process = replace(survey.node("es-3").process, own_network_namespace=True)
    survey = surveys.with_node(survey, "es-3", process=process)
    return surveys.verify_fails(survey, "es-3", surveys.NO_CREDENTIALS)


@fault("dns-off", check="AWS-7", cause="vpc-dns", evidence="has DNS support and DNS hostnames switched off")
def _(cloud):
    cloud.ec2.modify_vpc_attribute(VpcId=cloud.ids["vpc"], EnableDnsSupport={"Value": False})
    survey = cloud.survey()
    for name in cloud.instances:
        survey = unresolving(survey, name)
    return survey


@pytest.mark.parametrize("name", ROWS)
def test_each_fault_is_found_where_it_is(cloud, name):
    make, check, cause, evidence = ROWS[name]
    survey = make(cloud)
    outcomes = judging.judged(survey)
    broken = {o.node for o in outcomes if o.check == check and o.outcome == "fail"}
    assert broken
    first = diagnose(survey, outcomes).causes[0]
    lines = [line for line in first.evidence if evidence in line]
    assert first.id == cause and lines, (first.id, first.evidence)
    others = {(o.check, o.outcome) for o in outcomes if o.check.startswith("AWS-") and o.check != check}
    assert not {what for what in others if what[1] in ("fail", "could not check")}, others
    TABLE.append((name, check, ", ".join(sorted(broken)), cause, survey.aws.calls, lines[0]))


def test_the_calls_at_3_and_at_300_instances(cloud, capsys):
    few = cloud.asked().calls
    for number in (1, 2, 3):
        started = cloud.ec2.run_instances(
            ImageId="ami-0123456789abcdef0",
            MinCount=99,
            MaxCount=99,
            SubnetId=cloud.ids[f"subnet-{number}"],
            SecurityGroupIds=[cloud.ids["group"]],
            IamInstanceProfile={"Name": "es-node"},
        )["Instances"]
        cloud.instances |= {f"more-{number}-{i}": instance["InstanceId"] for i, instance in enumerate(started)}
    asked = cloud.asked()
    assert len(asked.instances) == 300
    # A request names at most 200 instances.
    assert (few, asked.calls) == (16, 17)
    with capsys.disabled():
        print(_printed(few, asked.calls))


def _printed(few, many):
    if not TABLE:
        return ""
    head = ("fault", "check", "on", "first cause", "calls", "evidence")
    widths = [max(len(str(row[column])) for row in (head, *TABLE)) for column in range(5)]
    lines = [
        "  ".join([*(str(row[column]).ljust(widths[column]) for column in range(5)), row[5]]) for row in (head, *TABLE)
    ]
    return "\n".join(["", *lines, f"calls at 3 instances: {few}, at 300: {many}"])

"""A VPC of three subnets in moto, one node in each, described as the made survey's nodes are."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
import surveys
from msgspec.structs import replace
from shapes import three_subnets

from preflight import aws
from preflight.s3 import BUCKET_ACTIONS, OBJECT_ACTIONS

REGION = surveys.REGION
BUCKET = "es-snapshots"


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory):
    """URL of a moto server on loopback that asks nobody who they are."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # Hundreds of images, read again at every reset.
    environment["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.simulation", "-H", "127.0.0.1", "-p", str(port)],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        give_up = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5):
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < give_up, log.read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


ROLE_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": list(BUCKET_ACTIONS), "Resource": f"arn:aws:s3:::{BUCKET}"},
        {"Effect": "Allow", "Action": list(OBJECT_ACTIONS), "Resource": f"arn:aws:s3:::{BUCKET}/*"},
    ],
}


METADATA = {"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1}


@dataclass
class Cloud:
    """What was made. ids: {what: id}; instances: {node: instance id}"""

    ec2: Any
    ids: dict[str, str] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)

    def asked(self, **changes):
        """What the suite reads of it, by the calls that it makes."""
        wanted = {
            "region": REGION,
            "ids": tuple(self.instances.values()),
            "addresses": (),
            "places": (aws.Place(bucket=BUCKET, base_path="prod"),),
            **changes,
        }
        return aws.ask(aws.Wanted(**wanted), None, 10.0)

    def role(self, name, policy):
        """A role with an instance profile of its name; no role in the profile where there is no policy."""
        iam = boto3.client("iam", region_name=REGION)
        iam.create_instance_profile(InstanceProfileName=name)
        if policy is not None:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
            iam.put_role_policy(RoleName=name, PolicyName="snapshots", PolicyDocument=json.dumps(policy))
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    def start(self, name, number, profile="es-node", metadata=METADATA):
        """An instance for a node, in place of the one that it has, with another address: moto gives none back.

        It changes neither a profile nor metadata options as AWS does, so that another of either is another instance.
        """
        host = 15 if name not in self.instances else 16
        self.instances[name] = self.ec2.run_instances(
            ImageId="ami-0123456789abcdef0",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.ids[f"subnet-{number}"],
            PrivateIpAddress=f"10.0.{number}.{host}",
            SecurityGroupIds=[self.ids["group"]],
            MetadataOptions=metadata,
            **({"IamInstanceProfile": {"Name": profile}} if profile else {}),
        )["Instances"][0]["InstanceId"]

    def allow(self, role, *actions, condition=None):
        """The role's policy allows these actions and no others."""
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = {
            "Version": "2012-10-17",
            "Statement": [{**statement, **({"Condition": condition} if condition else {})}],
        }
        boto3.client("iam", region_name=REGION).put_role_policy(
            RoleName=role, PolicyName="snapshots", PolicyDocument=json.dumps(document)
        )

    def move(self, name, group):
        """Put a node into one security group. On EC2 the first call is enough; moto keeps the interface's apart."""
        instance = self.instances[name]
        self.ec2.modify_instance_attribute(InstanceId=instance, Groups=[group])
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        interface = found["NetworkInterfaces"][0]["NetworkInterfaceId"]
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])

    def through_nat(self, number, inside, keep_endpoint=False):
        """A subnet's way to S3 becomes a NAT gateway in another subnet, whose id is returned."""
        table = self.ids[f"table-{number}"]
        nat = self.ec2.create_nat_gateway(
            SubnetId=self.ids[f"subnet-{inside}"], AllocationId=self.ec2.allocate_address()["AllocationId"]
        )["NatGateway"]["NatGatewayId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        if not keep_endpoint:
            self.without_endpoint(number, nat)
        return nat

    def without_endpoint(self, number, nat=None):
        """The subnet moves to a table that the endpoint is not in, whose id is returned."""
        table = self.ec2.create_route_table(VpcId=self.ids["vpc"])["RouteTable"]["RouteTableId"]
        given = self.ec2.describe_route_tables(RouteTableIds=[self.ids[f"table-{number}"]])["RouteTables"][0]
        association = next(a for a in given["Associations"] if a.get("SubnetId"))
        self.ec2.replace_route_table_association(
            AssociationId=association["RouteTableAssociationId"], RouteTableId=table
        )
        if nat:
            self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        return table

    def survey(self, survey=None):
        """The made survey of three subnets, with its nodes being these instances and AWS asked."""
        survey = _in_three_subnets() if survey is None else survey
        for name, instance in self.instances.items():
            imds = replace(survey.node(name).imds, instance_id=instance)
            survey = surveys.with_node(survey, name, imds=imds)
        return replace(survey, aws=self.asked())


def _in_three_subnets():
    survey = three_subnets(surveys.healthy())
    moved = {member.id: member for member in survey.clusters[0].members}
    for node in survey.nodes:
        dials = tuple(replace(d, target=getattr(moved[d.member], d.port)) for d in node.dials)
        survey = surveys.with_node(survey, node.name, dials=dials)
    return survey


@pytest.fixture
def cloud(moto_server, monkeypatch):
    """Three subnets with a table each, S3's gateway endpoint in all of them, one security group that names itself."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": moto_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    reset = urllib.request.Request(f"{moto_server}/moto-api/reset", method="POST")
    with urllib.request.urlopen(reset, timeout=10):
        pass
    ec2 = boto3.client("ec2", region_name=REGION)
    made = Cloud(ec2)
    profile = made.ids["profile"] = "es-node"
    made.role(profile, ROLE_POLICY)
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    vpc = made.ids["vpc"] = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = made.ids["group"] = ec2.create_security_group(GroupName="es", Description="nodes", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 9200, "ToPort": 9300, "UserIdGroupPairs": [{"GroupId": group}]}
        ],
    )
    for number in (1, 2, 3):
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        made.ids |= {f"subnet-{number}": subnet, f"table-{number}": table}
        made.start(f"es-{number}", number)
    made.ids["endpoint"] = ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.{REGION}.s3",
        VpcEndpointType="Gateway",
        RouteTableIds=[made.ids[f"table-{number}"] for number in (1, 2, 3)],
    )["VpcEndpoint"]["VpcEndpointId"]
    return made


@pytest.fixture
def enforced(cloud, moto_server, monkeypatch):
    """Let AWS ask who it is: act(policy) signs with a user's keys that this policy holds for."""
    iam = boto3.client("iam", region_name=REGION)
    iam.create_user(UserName="operator")
    key = iam.create_access_key(UserName="operator")["AccessKey"]

    def act(policy):
        iam.put_user_policy(UserName="operator", PolicyName="preflight", PolicyDocument=json.dumps(policy))
        _actions_without_asking(moto_server, "0")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])

    yield act
    _actions_without_asking(moto_server, "inf")


def _actions_without_asking(url, count):
    request = urllib.request.Request(
        f"{url}/moto-api/reset-auth", data=count.encode(), headers={"Content-Type": "text/plain"}
    )
    with urllib.request.urlopen(request, timeout=10):
        pass

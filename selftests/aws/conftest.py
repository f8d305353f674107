"""A VPC of three subnets in moto, one node in each, described as the made survey's nodes are."""

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

REGION = surveys.REGION


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


@dataclass
class Cloud:
    """What was made. ids: {what: id}; instances: {node: instance id}"""

    ec2: Any
    ids: dict[str, str] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)

    def asked(self, **changes):
        """What the suite reads of it, by the calls that it makes."""
        wanted = aws.Wanted(region=REGION, ids=tuple(self.instances.values()), addresses=(), **changes)
        return aws.ask(wanted, None, 10.0)

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
        made.instances[f"es-{number}"] = ec2.run_instances(
            ImageId="ami-0123456789abcdef0",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            PrivateIpAddress=f"10.0.{number}.15",
            SecurityGroupIds=[group],
        )["Instances"][0]["InstanceId"]
    made.ids["endpoint"] = ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.{REGION}.s3",
        VpcEndpointType="Gateway",
        RouteTableIds=[made.ids[f"table-{number}"] for number in (1, 2, 3)],
    )["VpcEndpoint"]["VpcEndpointId"]
    return made

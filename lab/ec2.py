"""What EC2 says of the lab: a subnet with its route table and S3's gateway endpoint, a security group, the instances.

moto draws ids by lot; the nodes' metadata services know theirs beforehand, so a node's instance gets its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import names
from .files import write_secret

GROUP = "es-nodes"
BARE_GROUP = "es-left-behind"
"""A group that lets out everything and nobody in: what an instance is left with that was forgotten in a change."""

PORTS = ((names.HTTP_PORT, names.HTTP_PORT), (names.TRANSPORT_PORT, names.TRANSPORT_PORT))
PROFILE = "lab"
"""The operator's profile in the lab's AWS configuration file: --aws-profile=lab."""


def tags(name: str) -> list[dict[str, str]]:
    """What an instance of the cluster carries."""
    return [{"Key": "Name", "Value": name}, {"Key": "Cluster", "Value": names.CLUSTER}]


def draw(ec2: Any, instances: Mapping[str, str]) -> None:
    """Create the picture, an instance for each node. instances: {node name: instance id}"""
    vpc = ec2.create_vpc(CidrBlock=names.SUBNET)["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=names.SUBNET)["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.{names.REGION}.s3",
        VpcEndpointType="Gateway",
        RouteTableIds=[table],
    )
    group = ec2.create_security_group(GroupName=GROUP, Description="Elasticsearch", VpcId=vpc)["GroupId"]
    ec2.create_security_group(GroupName=BARE_GROUP, Description="nobody in", VpcId=vpc)
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "UserIdGroupPairs": [{"GroupId": group}]}
            for first, last in PORTS
        ],
    )
    addresses = {node.name: node.address for node in names.nodes(names.MOST_NODES)}
    for name, identity in instances.items():
        with _next_instance(identity):
            ec2.run_instances(
                ImageId="ami-0123456789abcdef0",
                MinCount=1,
                MaxCount=1,
                SubnetId=subnet,
                PrivateIpAddress=addresses[name],
                SecurityGroupIds=[group],
                IamInstanceProfile={"Name": names.ROLE},
                MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
                TagSpecifications=[{"ResourceType": "instance", "Tags": tags(name)}],
            )


def write_profile(file: Path, key: Mapping[str, str], endpoint: str) -> None:
    """An AWS configuration file with the operator's key, and where the lab's AWS answers."""
    write_secret(
        file,
        f"[profile {PROFILE}]\nregion = {names.REGION}\nendpoint_url = {endpoint}\n"
        f"aws_access_key_id = {key['access_key']}\naws_secret_access_key = {key['secret_key']}\n",
    )


def move_to_group(node: names.Node, group: str) -> None:
    """Put the node's instance into one security group, as the lab's administrator."""
    import boto3

    record = json.loads((names.AWS_STATE / "aws.json").read_text())
    ec2 = boto3.client(
        "ec2",
        region_name=names.REGION,
        endpoint_url=record["endpoints"]["http"],
        aws_access_key_id=record["admin_key"]["access_key"],
        aws_secret_access_key=record["admin_key"]["secret_key"],
    )
    found = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [group]}])["SecurityGroups"]
    groups = [found[0]["GroupId"]]
    instance = ec2.describe_instances(InstanceIds=[node.instance_id])["Reservations"][0]["Instances"][0]
    ec2.modify_instance_attribute(InstanceId=node.instance_id, Groups=groups)
    # On EC2 the first is enough; moto keeps the interface's apart and tells of both.
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)


@contextmanager
def _next_instance(identity: str) -> Iterator[None]:
    from moto.ec2.models import instances

    models: Any = instances
    drawn = models.random_instance_id
    models.random_instance_id = lambda: identity
    try:
        yield
    finally:
        models.random_instance_id = drawn

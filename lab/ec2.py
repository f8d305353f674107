"""What EC2 says of the lab: subnets with their route tables and S3's gateway endpoint, a security group, the instances.

moto draws ids by lot; the nodes' metadata services know theirs beforehand, so a node's instance gets its own.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import names
from .files import write_secret

GROUP = "es-nodes"
BARE_GROUP = "es-left-behind"
"""A group that lets out everything and nobody in: what an instance is left with that was forgotten in a change."""

OLD_TABLE = "es-old"
"""Name of a route table that no subnet uses and that S3's endpoint was never associated with."""

ACL = "es-nodes-strict"
"""Name of the network ACL that lets the nodes' questions out and their answers not back in."""

PORTS = ((names.HTTP_PORT, names.HTTP_PORT), (names.TRANSPORT_PORT, names.TRANSPORT_PORT))
PROFILE = "lab"
"""The operator's profile in the lab's AWS configuration file: --aws-profile=lab."""


SPARE = "es-spare"
SPARE_ID = "i-0e5ffffffffffffff"
SPARE_ADDRESS = "198.18.0.99"
"""An instance like the nodes' that AWS knows, that has no host behind it and not the cluster's tag."""


def tags(name: str) -> list[dict[str, str]]:
    """What an instance of the cluster carries."""
    return [{"Key": "Name", "Value": name}, {"Key": "Cluster", "Value": names.CLUSTER}]


def draw(ec2: Any, instances: Mapping[str, str], count: int) -> None:
    """Create the picture, an instance for each node. instances: {node name: instance id}; count: of subnets"""
    first, *others = names.SUBNETS[:count]
    vpc = ec2.create_vpc(CidrBlock=first.cidr)["Vpc"]["VpcId"]
    for subnet in others:
        # A secondary block each: one block for all of them would hold AWS's own addresses too.
        ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=subnet.cidr)
    subnets, tables = {}, []
    for subnet in (first, *others):
        created = ec2.create_subnet(VpcId=vpc, CidrBlock=subnet.cidr, AvailabilityZone=subnet.zone)["Subnet"]
        subnets[subnet] = created["SubnetId"]
        tables.append(ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"])
        ec2.associate_route_table(RouteTableId=tables[-1], SubnetId=subnets[subnet])
    old = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_tags(Resources=[old], Tags=[{"Key": "Name", "Value": OLD_TABLE}])
    _lead_to_s3(ec2, vpc, tables)
    group = ec2.create_security_group(GroupName=GROUP, Description="Elasticsearch", VpcId=vpc)["GroupId"]
    ec2.create_security_group(GroupName=BARE_GROUP, Description="nobody in", VpcId=vpc)
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "UserIdGroupPairs": [{"GroupId": group}]}
            for first, last in PORTS
        ],
    )
    nodes = {node.name: node for node in names.nodes(names.MOST_NODES, count)}
    placed = [(name, identity, nodes[name].subnet, nodes[name].address) for name, identity in instances.items()]
    for name, identity, subnet, address in (*placed, (SPARE, SPARE_ID, first, SPARE_ADDRESS)):
        with _next_instance(identity):
            ec2.run_instances(
                ImageId="ami-0123456789abcdef0",
                MinCount=1,
                MaxCount=1,
                SubnetId=subnets[subnet],
                PrivateIpAddress=address,
                SecurityGroupIds=[group],
                IamInstanceProfile={"Name": names.ROLE},
                MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
                TagSpecifications=[
                    {"ResourceType": "instance", "Tags": tags(name) if name != SPARE else tags(name)[:1]}
                ],
            )


def tag_spare(*, tagged: bool) -> None:
    """Whether the instance that is no member carries the cluster's tag."""
    ec2 = _administrator()
    cluster = [tag for tag in tags(SPARE) if tag["Key"] == "Cluster"]
    (ec2.create_tags if tagged else ec2.delete_tags)(Resources=[SPARE_ID], Tags=cluster)


def write_profile(file: Path, key: Mapping[str, str], endpoint: str) -> None:
    """An AWS configuration file with the operator's key, and where the lab's AWS answers."""
    write_secret(
        file,
        f"[profile {PROFILE}]\nregion = {names.REGION}\nendpoint_url = {endpoint}\n"
        f"aws_access_key_id = {key['access_key']}\naws_secret_access_key = {key['secret_key']}\n",
    )


def move_to_group(node: names.Node, group: str) -> None:
    """Put the node's instance into one security group, as the lab's administrator."""
    ec2 = _administrator()
    found = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [group]}])["SecurityGroups"]
    groups = [found[0]["GroupId"]]
    instance = ec2.describe_instances(InstanceIds=[node.instance_id])["Reservations"][0]["Instances"][0]
    ec2.modify_instance_attribute(InstanceId=node.instance_id, Groups=groups)
    # On EC2 the first is enough; moto keeps the interface's apart and tells of both.
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)


def swap_table(node: names.Node, *, swapped: bool) -> None:
    """Have the table that was left behind hold for the node's subnet, or the subnet's own again."""
    ec2 = _administrator()
    subnet = _subnet_of(ec2, node)
    tables = ec2.describe_route_tables()["RouteTables"]
    association = next(a for t in tables for a in t["Associations"] if a.get("SubnetId") == subnet)
    if swapped:
        wanted = next(t for t in tables if {"Key": "Name", "Value": OLD_TABLE} in t["Tags"])
        # Remembered where the next command finds it: whose it was.
        ec2.create_tags(Resources=[association["RouteTableId"]], Tags=[{"Key": "swapped", "Value": subnet}])
    else:
        wanted = next((t for t in tables if {"Key": "swapped", "Value": subnet} in t["Tags"]), None)
        if wanted is None:
            return
        ec2.delete_tags(Resources=[wanted["RouteTableId"]], Tags=[{"Key": "swapped"}])
    ec2.replace_route_table_association(
        AssociationId=association["RouteTableAssociationId"], RouteTableId=wanted["RouteTableId"]
    )


def associate_endpoint(node: names.Node, *, associated: bool) -> None:
    """Whether the table of the node's subnet has the route to S3's gateway endpoint."""
    ec2 = _administrator()
    subnet = _subnet_of(ec2, node)
    tables = ec2.describe_route_tables()["RouteTables"]
    own = next(t["RouteTableId"] for t in tables if any(a.get("SubnetId") == subnet for a in t["Associations"]))
    led = {t["RouteTableId"] for t in tables if any("DestinationPrefixListId" in route for route in t["Routes"])}
    wanted = led | {own} if associated else led - {own}
    if wanted == led:
        return
    # On EC2 modify_vpc_endpoint does this; moto's says that it did and changes no route, so the endpoint is made anew.
    present = [e for e in ec2.describe_vpc_endpoints()["VpcEndpoints"] if e["State"].lower() == "available"]
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"] for endpoint in present])
    _lead_to_s3(ec2, present[0]["VpcId"], sorted(wanted))


def _lead_to_s3(ec2: Any, vpc: str, tables: Sequence[str]) -> None:
    ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.{names.REGION}.s3",
        VpcEndpointType="Gateway",
        RouteTableIds=list(tables),
    )


def restrict(node: names.Node, peers: Sequence[names.Node]) -> None:
    """Give the node's subnet a network ACL that lets everything in but answers from these peers' subnets."""
    ec2 = _administrator()
    subnet = _subnet_of(ec2, node)
    acl = ec2.create_network_acl(
        VpcId=ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"],
        TagSpecifications=[{"ResourceType": "network-acl", "Tags": [{"Key": "Name", "Value": f"{ACL}-{node.name}"}]}],
    )["NetworkAcl"]["NetworkAclId"]
    denied: list[dict[str, Any]] = [
        {"Protocol": "6", "CidrBlock": cidr, "RuleAction": "deny", "PortRange": {"From": 32768, "To": 60999}}
        for cidr in sorted({peer.subnet.cidr for peer in peers})
    ]
    everything: dict[str, Any] = {"Protocol": "-1", "CidrBlock": "0.0.0.0/0", "RuleAction": "allow"}
    for number, entry in enumerate([*denied, everything], start=1):
        ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=100 * number, Egress=False, **entry)
    ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=True, **everything)
    _use_acl(ec2, subnet, acl)


def unrestrict(node: names.Node) -> None:
    """The VPC's default network ACL for the node's subnet again."""
    ec2 = _administrator()
    acls = ec2.describe_network_acls()["NetworkAcls"]
    subnet = _subnet_of(ec2, node)
    vpc = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
    default = next(acl for acl in acls if acl["IsDefault"] and acl["VpcId"] == vpc)
    _use_acl(ec2, subnet, default["NetworkAclId"])
    for acl in acls:
        if {"Key": "Name", "Value": f"{ACL}-{node.name}"} in acl["Tags"]:
            ec2.delete_network_acl(NetworkAclId=acl["NetworkAclId"])


def _use_acl(ec2: Any, subnet: str, acl: str) -> None:
    found = [a for entry in ec2.describe_network_acls()["NetworkAcls"] for a in entry["Associations"]]
    association = next(a for a in found if a["SubnetId"] == subnet)
    if association["NetworkAclId"] != acl:
        ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl)


def _subnet_of(ec2: Any, node: names.Node) -> str:
    instance = ec2.describe_instances(InstanceIds=[node.instance_id])["Reservations"][0]["Instances"][0]
    return str(instance["SubnetId"])


def _administrator() -> Any:
    import boto3

    record = json.loads((names.AWS_STATE / "aws.json").read_text())
    return boto3.client(
        "ec2",
        region_name=names.REGION,
        endpoint_url=record["endpoints"]["http"],
        aws_access_key_id=record["admin_key"]["access_key"],
        aws_secret_access_key=record["admin_key"]["secret_key"],
    )


@contextmanager
def _next_instance(identity: str) -> Iterator[None]:
    from moto.ec2.models import instances

    models: Any = instances
    drawn, now = models.random_instance_id, models.utcnow
    models.random_instance_id = lambda: identity
    # A cluster's instances have been running for a while: one just started would still be on its way into it.
    models.utcnow = lambda: now() - datetime.timedelta(days=1)
    try:
        yield
    finally:
        models.random_instance_id, models.utcnow = drawn, now

"""What AWS's answers become: one record of facts for each thing that was listed."""

from __future__ import annotations

from typing import Any

from ..facts.aws import (
    AclEntry,
    Direction,
    Endpoint,
    GroupRule,
    Instance,
    Interface,
    NetworkAcl,
    RouteTable,
    SecurityGroup,
    Subnet,
    TableRoute,
)


def subnet(given: dict[str, Any]) -> Subnet:
    """One of DescribeSubnets."""
    six = [a["Ipv6CidrBlock"] for a in given.get("Ipv6CidrBlockAssociationSet", []) if a.get("Ipv6CidrBlock")]
    return Subnet(id=given["SubnetId"], cidrs=(given["CidrBlock"], *six))


def instance(given: dict[str, Any]) -> Instance:
    """One of DescribeInstances."""
    return Instance(
        id=given["InstanceId"],
        vpc=given.get("VpcId", ""),
        state=given["State"]["Name"],
        interfaces=tuple(
            Interface(
                id=interface["NetworkInterfaceId"],
                subnet=interface.get("SubnetId", ""),
                addresses=(
                    *(address["PrivateIpAddress"] for address in interface.get("PrivateIpAddresses", [])),
                    *(address["Ipv6Address"] for address in interface.get("Ipv6Addresses", [])),
                ),
                groups=tuple(group["GroupId"] for group in interface.get("Groups", [])),
            )
            for interface in given.get("NetworkInterfaces", [])
        ),
    )


def group(given: dict[str, Any]) -> SecurityGroup:
    """One of DescribeSecurityGroups."""
    directions: tuple[tuple[Direction, str], ...] = (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress"))
    rules = []
    for direction, key in directions:
        for rule in given.get(key, []):
            first, last = rule.get("FromPort"), rule.get("ToPort")
            peers = (
                *(r["CidrIp"] for r in rule.get("IpRanges", [])),
                *(r["CidrIpv6"] for r in rule.get("Ipv6Ranges", [])),
                *(r["GroupId"] for r in rule.get("UserIdGroupPairs", [])),
                *(r["PrefixListId"] for r in rule.get("PrefixListIds", [])),
            )
            rules.append(
                GroupRule(
                    direction=direction,
                    protocol=_protocol(rule["IpProtocol"]),
                    # -1 in either place means every port, as does a protocol that has none.
                    ports=None if first in (None, -1) or last in (None, -1) else (first, last),
                    peers=peers,
                )
            )
    return SecurityGroup(id=given["GroupId"], name=given.get("GroupName", ""), rules=tuple(rules))


def acl(given: dict[str, Any]) -> NetworkAcl:
    """One of DescribeNetworkAcls, its entries in the order that they are asked in."""
    entries = []
    for entry in sorted(given.get("Entries", []), key=lambda e: int(e["RuleNumber"])):
        ports = entry.get("PortRange")
        cidr = entry.get("CidrBlock") or entry.get("Ipv6CidrBlock")
        if cidr:
            entries.append(
                AclEntry(
                    number=entry["RuleNumber"],
                    direction="egress" if entry["Egress"] else "ingress",
                    allow=entry["RuleAction"] == "allow",
                    protocol=_protocol(entry["Protocol"]),
                    ports=(ports["From"], ports["To"]) if ports else None,
                    cidr=cidr,
                )
            )
    subnets = tuple(a["SubnetId"] for a in given.get("Associations", []) if a.get("SubnetId"))
    return NetworkAcl(id=given["NetworkAclId"], subnets=subnets, entries=tuple(entries))


def _protocol(text: str) -> str:
    return {"6": "tcp", "-1": "all"}.get(str(text), str(text))


TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
    "InstanceId",
    "EgressOnlyInternetGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
)
"""Where a route may say what it hands a packet to; an interface comes before the instance that has it."""


def table(given: dict[str, Any]) -> RouteTable:
    """One of DescribeRouteTables."""
    routes = []
    for route in given.get("Routes", []):
        destination = (
            route.get("DestinationCidrBlock")
            or route.get("DestinationIpv6CidrBlock")
            or route.get("DestinationPrefixListId")
        )
        if destination:
            target = next((route[key] for key in TARGETS if route.get(key)), None)
            blackhole = route.get("State") in ("blackhole", "filtered")
            routes.append(TableRoute(destination=destination, target=target, blackhole=blackhole))
    associations = given.get("Associations", [])
    return RouteTable(
        id=given["RouteTableId"],
        vpc=given["VpcId"],
        main=any(association.get("Main") for association in associations),
        subnets=tuple(a["SubnetId"] for a in associations if a.get("SubnetId")),
        routes=tuple(routes),
    )


def endpoint(given: dict[str, Any]) -> Endpoint:
    """One of DescribeVpcEndpoints."""
    return Endpoint(
        id=given["VpcEndpointId"],
        vpc=given["VpcId"],
        service=given["ServiceName"],
        kind=given.get("VpcEndpointType", "Gateway"),
        # The API's model says "Available", its answers "available".
        state=str(given.get("State", "")).lower(),
    )

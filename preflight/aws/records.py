"""What AWS's answers become: one record of facts for each thing that was listed."""

from __future__ import annotations

import json
from typing import Any

from ..facts import Unknown
from ..facts.aws import (
    AclEntry,
    Direction,
    Endpoint,
    GroupRule,
    Instance,
    Interface,
    NatGateway,
    NetworkAcl,
    RouteTable,
    SecurityGroup,
    Subnet,
    TableRoute,
)
from ..facts.policies import Condition, Decision, MetadataOptions, Policy, Statement


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
        profile=given.get("IamInstanceProfile", {}).get("Arn"),
        launched=given["LaunchTime"].timestamp() if given.get("LaunchTime") else None,
        zone=given.get("Placement", {}).get("AvailabilityZone"),
        public=tuple(
            dict.fromkeys(
                address["Association"]["PublicIp"]
                for interface in given.get("NetworkInterfaces", [])
                for address in interface.get("PrivateIpAddresses", [])
                if address.get("Association", {}).get("PublicIp")
            )
        ),
        tags={tag["Key"]: tag["Value"] for tag in given.get("Tags", []) if not tag["Key"].startswith("aws:")},
        metadata=_metadata(given.get("MetadataOptions") or {}),
    )


def _metadata(given: dict[str, Any]) -> MetadataOptions | None:
    if "HttpEndpoint" not in given or "HttpTokens" not in given:
        return None
    return MetadataOptions(
        endpoint=given["HttpEndpoint"],
        tokens=given["HttpTokens"],
        hop_limit=given.get("HttpPutResponseHopLimit"),
        state=given.get("State", "applied"),
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
        policy=policy(given["PolicyDocument"]) if given.get("PolicyDocument") else None,
        groups=tuple(group["GroupId"] for group in given.get("Groups", [])),
        private_dns=given.get("PrivateDnsEnabled"),
    )


def nat_gateway(given: dict[str, Any]) -> NatGateway:
    """One of DescribeNatGateways."""
    public = (address.get("PublicIp") for address in given.get("NatGatewayAddresses", []))
    return NatGateway(
        id=given["NatGatewayId"],
        state=given["State"],
        subnet=given.get("SubnetId"),
        public=tuple(a for a in public if a),
    )


def policy(text: str) -> Policy | Unknown:
    """The statements of a policy's document; Unknown where it is not read as one."""
    try:
        document = json.loads(text)
        return tuple(_statement(given) for given in _several(document["Statement"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Unknown(reason=f"a policy could not be read: {type(error).__name__}")


def _statement(given: dict[str, Any]) -> Statement:
    def part(name: str) -> tuple[str, ...] | None:
        return tuple(map(str, _several(given[name]))) if name in given else None

    if given["Effect"] not in ("Allow", "Deny"):
        raise ValueError(given["Effect"])
    return Statement(
        effect=given["Effect"],
        sid=str(given.get("Sid", "")),
        principals=_principals(given["Principal"]) if "Principal" in given else None,
        not_principals=_principals(given["NotPrincipal"]) if "NotPrincipal" in given else None,
        actions=part("Action"),
        not_actions=part("NotAction"),
        resources=part("Resource"),
        not_resources=part("NotResource"),
        conditions=tuple(
            Condition(operator=operator, key=key.lower(), values=tuple(map(_value, _several(values))))
            for operator, keys in given.get("Condition", {}).items()
            for key, values in keys.items()
        ),
    )


def _principals(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    return tuple(
        value if kind == "AWS" else f"{kind.lower()}:{value}"
        for kind, named in given.items()
        for value in _several(named)
    )


def _several(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _value(given: Any) -> str:
    # JSON's true and 443 stand for AWS's "true" and "443".
    return str(given).lower() if isinstance(given, bool) else str(given)


def decision(given: dict[str, Any]) -> Decision:
    """One of SimulatePrincipalPolicy for one resource; missing keys stand beside the resource or beside the action."""
    missing = set(given.get("MissingContextValues", []))
    for resource in given.get("ResourceSpecificResults", []):
        missing |= set(resource.get("MissingContextValues", []))
    return Decision(
        action=given["EvalActionName"],
        decision=given["EvalDecision"],
        missing=tuple(sorted(missing)),
        organization=given.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations"),
        boundary=given.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary"),
    )

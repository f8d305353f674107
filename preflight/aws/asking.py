"""Ask AWS's control plane about the nodes' network: about ten read-only calls for a cluster of any size.

Only with --aws. Whatever is denied is Unknown by itself, with the action that is missing; docs/aws-policy.json has all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ..addresses import is_address
from ..facts import Unknown
from ..facts.aws import (
    Aws,
    Instance,
    NatGateway,
    PrefixList,
    SecurityGroup,
)
from . import records

T = TypeVar("T")

DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
FILTER_VALUES = 200
"""Most values that one filter of an EC2 request may have."""

POLICY = "docs/aws-policy.json is the policy that is enough"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances to look for. ids: of nodes that their metadata service names; addresses: of everybody else,
    looked for in the VPCs that the former are in; region: of the nodes"""

    region: str
    ids: tuple[str, ...]
    addresses: tuple[str, ...]


def ask(wanted: Wanted, profile: str | None, timeout: float) -> Aws | Unknown:
    """What AWS says of these instances' network. timeout: seconds for a connection and for each answer.

    Credentials are looked up as every AWS tool does, profile first. Unknown where there are none, where they are
    refused, or where AWS is not reached; never raises for either.
    """
    config = Config(
        region_name=wanted.region,
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"mode": "adaptive", "max_attempts": 4},
    )
    try:
        session = boto3.Session(profile_name=profile, region_name=wanted.region)
        caller = str(session.client("sts", config=config).get_caller_identity()["Arn"])
        return _Asking(session.client("ec2", config=config), caller).everything(wanted)
    except ClientError as error:
        reason = f"AWS refuses the credentials of this machine: {error.response['Error']['Code']}"
    except BotoCoreError as error:
        reason = f"AWS was not asked: {error}"
    return Unknown(reason=reason, remedy="check them with: aws sts get-caller-identity")


class _Asking:
    """One run's calls to EC2, counted."""

    def __init__(self, client: Any, caller: str) -> None:
        self.client, self.caller, self.calls = client, caller, 1

    def everything(self, wanted: Wanted) -> Aws:
        instances = self.known(lambda: self.instances(wanted))
        found = () if isinstance(instances, Unknown) else instances
        vpcs = sorted({instance.vpc for instance in found})
        here = [{"Name": "vpc-id", "Values": vpcs}]

        def of_vpcs(read: Callable[[], T]) -> T | Unknown:
            if isinstance(instances, Unknown):
                return instances
            return (
                self.known(read) if vpcs else Unknown(reason="AWS knows none of the nodes in this account and region")
            )

        groups = of_vpcs(
            lambda: tuple(map(records.group, self.pages("describe_security_groups", "SecurityGroups", here)))
        )
        return Aws(
            region=wanted.region,
            caller=self.caller,
            instances=instances,
            subnets=of_vpcs(lambda: tuple(map(records.subnet, self.pages("describe_subnets", "Subnets", here)))),
            groups=groups,
            acls=of_vpcs(lambda: tuple(map(records.acl, self.pages("describe_network_acls", "NetworkAcls", here)))),
            tables=of_vpcs(lambda: tuple(map(records.table, self.pages("describe_route_tables", "RouteTables", here)))),
            endpoints=of_vpcs(
                lambda: tuple(map(records.endpoint, self.pages("describe_vpc_endpoints", "VpcEndpoints", here)))
            ),
            nat_gateways=of_vpcs(
                lambda: tuple(
                    NatGateway(id=nat["NatGatewayId"], state=nat["State"])
                    for nat in self.pages("describe_nat_gateways", "NatGateways", here, filters="Filter")
                )
            ),
            prefix_lists=of_vpcs(lambda: self.prefix_lists(wanted.region, groups)),
            calls=self.calls,
        )

    def known(self, read: Callable[[], T]) -> T | Unknown:
        """What `read` gives; Unknown naming the missing action where it is denied, else what went wrong."""
        try:
            return read()
        except ClientError as error:
            code, action = error.response["Error"]["Code"], f"ec2:{error.operation_name}"
            if code in DENIED:
                return Unknown(reason=f"{self.caller} may not {action}", remedy=f"allow {action}: {POLICY}")
            return Unknown(reason=f"AWS answered {action} with {code}")
        except BotoCoreError as error:
            return Unknown(reason=f"AWS was not asked: {error}")

    def pages(
        self, operation: str, key: str, conditions: Sequence[dict[str, Any]], filters: str = "Filters"
    ) -> Iterable[dict[str, Any]]:
        for page in self.client.get_paginator(operation).paginate(**{filters: list(conditions)}):
            self.calls += 1
            yield from page[key]

    def instances(self, wanted: Wanted) -> tuple[Instance, ...]:
        found = {i.id: i for i in self.with_values("instance-id", wanted.ids, [])}
        seen = {address for i in found.values() for interface in i.interfaces for address in interface.addresses}
        vpcs = sorted({instance.vpc for instance in found.values()})
        others = [address for address in wanted.addresses if address not in seen and is_address(address)]
        if vpcs and others:
            # A private address alone names nobody: other VPCs may have the same.
            same_vpcs = [{"Name": "vpc-id", "Values": vpcs}]
            found |= {i.id: i for i in self.with_values("private-ip-address", others, same_vpcs)}
        return tuple(found.values())

    def with_values(self, name: str, values: Collection[str], conditions: list[dict[str, Any]]) -> Iterable[Instance]:
        rest = iter(values)
        while chunk := list(itertools.islice(rest, FILTER_VALUES)):
            for reservation in self.pages(
                "describe_instances", "Reservations", [{"Name": name, "Values": chunk}, *conditions]
            ):
                yield from map(records.instance, reservation["Instances"])

    def prefix_lists(self, region: str, groups: tuple[SecurityGroup, ...] | Unknown) -> tuple[PrefixList, ...]:
        """S3's own, which routes name, and those that security groups name, with their entries."""
        named = set()
        if not isinstance(groups, Unknown):
            named = {peer for group in groups for rule in group.rules for peer in rule.peers if peer.startswith("pl-")}
        found = []
        for given in self.pages("describe_managed_prefix_lists", "PrefixLists", []):
            identity, name = given["PrefixListId"], given["PrefixListName"]
            if identity in named:
                self.calls += 1
                pages = self.client.get_paginator("get_managed_prefix_list_entries").paginate(PrefixListId=identity)
                cidrs = tuple(entry["Cidr"] for page in pages for entry in page["Entries"])
                found.append(PrefixList(id=identity, name=name, cidrs=cidrs))
            elif name == f"com.amazonaws.{region}.s3":
                found.append(PrefixList(id=identity, name=name, cidrs=None))
        return tuple(found)

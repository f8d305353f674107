"""Ask AWS's control plane about the nodes' network: about ten read-only calls for a cluster of any size.

Only with --aws. Whatever is denied is Unknown by itself, with the action that is missing; docs/aws-policy.json has all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ..addresses import is_address
from ..facts import Unknown
from ..facts.aws import (
    Aws,
    Instance,
    PrefixList,
    SecurityGroup,
    Tagged,
)
from ..facts.policies import Vpc
from . import records
from .calls import Calls
from .policies import Place, Reading

T = TypeVar("T")

FILTER_VALUES = 200
"""Most values that one filter of an EC2 request may have."""


class Tags(msgspec.Struct, frozen=True, kw_only=True):
    """As facts.aws.Tagged has them."""

    source: Literal["discovery.ec2", "ec2://"]
    tags: dict[str, tuple[str, ...]]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances to look for. ids: of nodes that their metadata service names; addresses: of everybody else,
    looked for in the VPCs that the former are in; region: of the nodes; tags: by which nodes find
    each other, None where nothing says so; places: where repositories on AWS lie"""

    region: str
    ids: tuple[str, ...]
    addresses: tuple[str, ...]
    places: tuple[Place, ...] = ()
    tags: Tags | None = None


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
        calls = Calls(caller)
        network = _Asking(session.client("ec2", config=config), calls).everything(wanted)
        reading = Reading(session.client("s3", config=config), session.client("iam", config=config), calls)
        instances = () if isinstance(network.instances, Unknown) else network.instances
        policies = reading.everything(wanted.places, (i.profile for i in instances if i.profile))
        return msgspec.structs.replace(network, policies=policies, calls=calls.count)
    except ClientError as error:
        reason = f"AWS refuses the credentials of this machine: {error.response['Error']['Code']}"
    except BotoCoreError as error:
        reason = f"AWS was not asked: {error}"
    return Unknown(reason=reason, remedy="check them with: aws sts get-caller-identity")


class _Asking:
    """One run's calls to EC2."""

    def __init__(self, client: Any, calls: Calls) -> None:
        self.client, self.calls = client, calls

    def everything(self, wanted: Wanted) -> Aws:
        instances = self.calls.known("ec2", lambda: self.instances(wanted))
        found = () if isinstance(instances, Unknown) else instances
        vpcs = sorted({instance.vpc for instance in found})
        here = [{"Name": "vpc-id", "Values": vpcs}]

        def of_vpcs(read: Callable[[], T]) -> T | Unknown:
            if isinstance(instances, Unknown):
                return instances
            if not vpcs:
                return Unknown(reason="AWS knows none of the nodes in this account and region")
            return self.calls.known("ec2", read)

        groups = of_vpcs(
            lambda: tuple(map(records.group, self.pages("describe_security_groups", "SecurityGroups", here)))
        )
        return Aws(
            region=wanted.region,
            caller=self.calls.caller,
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
                    map(records.nat_gateway, self.pages("describe_nat_gateways", "NatGateways", here, filters="Filter"))
                )
            ),
            prefix_lists=of_vpcs(lambda: self.prefix_lists(wanted.region, groups)),
            vpcs=of_vpcs(lambda: tuple(map(self.vpc, vpcs))),
            tagged=None
            if (tags := wanted.tags) is None
            else Tagged(source=tags.source, tags=tags.tags, instances=of_vpcs(lambda: self.tagged(tags.tags, here))),
            calls=self.calls.count,
        )

    def pages(
        self, operation: str, key: str, conditions: Sequence[dict[str, Any]], filters: str = "Filters"
    ) -> Iterable[dict[str, Any]]:
        for page in self.client.get_paginator(operation).paginate(**{filters: list(conditions)}):
            self.calls.count += 1
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

    def tagged(self, tags: Mapping[str, Sequence[str]], here: list[dict[str, Any]]) -> tuple[Instance, ...]:
        conditions = [
            {"Name": "instance-state-name", "Values": ["running"]},
            *({"Name": f"tag:{key}", "Values": list(values)} for key, values in tags.items()),
        ]
        pages = self.pages("describe_instances", "Reservations", [*here, *conditions])
        return tuple(records.instance(given) for reservation in pages for given in reservation["Instances"])

    def with_values(self, name: str, values: Collection[str], conditions: list[dict[str, Any]]) -> Iterable[Instance]:
        rest = iter(values)
        while chunk := list(itertools.islice(rest, FILTER_VALUES)):
            for reservation in self.pages(
                "describe_instances", "Reservations", [{"Name": name, "Values": chunk}, *conditions]
            ):
                yield from map(records.instance, reservation["Instances"])

    def vpc(self, identity: str) -> Vpc:
        names = ("enableDnsSupport", "enableDnsHostnames")
        self.calls.count += len(names)
        answers = [self.client.describe_vpc_attribute(VpcId=identity, Attribute=name) for name in names]
        support, hostnames = (
            bool(answer[name[0].upper() + name[1:]]["Value"]) for name, answer in zip(names, answers, strict=True)
        )
        return Vpc(id=identity, dns_support=support, dns_hostnames=hostnames)

    def prefix_lists(self, region: str, groups: tuple[SecurityGroup, ...] | Unknown) -> tuple[PrefixList, ...]:
        """S3's own, which routes name, and those that security groups name, with their entries."""
        wanted = set()
        if not isinstance(groups, Unknown):
            wanted = {peer for group in groups for rule in group.rules for peer in rule.peers if peer.startswith("pl-")}
        found = []
        for given in self.pages("describe_managed_prefix_lists", "PrefixLists", []):
            identity, name = given["PrefixListId"], given["PrefixListName"]
            is_s3 = name == f"com.amazonaws.{region}.s3"
            if identity in wanted or is_s3:
                cidrs = self.calls.known("ec2", lambda identity=identity: self.entries(identity))  # type: ignore[misc]
                found.append(PrefixList(id=identity, name=name, cidrs=cidrs))
        return tuple(found)

    def entries(self, identity: str) -> tuple[str, ...]:
        self.calls.count += 1
        pages = self.client.get_paginator("get_managed_prefix_list_entries").paginate(PrefixListId=identity)
        return tuple(entry["Cidr"] for page in pages for entry in page["Entries"])

"""Which instance and which interface a node is, and which subnet, table and ACL that puts it behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from ...addresses import host_of
from ...facts import CouldNotCheck, Imds, NodeFacts, Survey, known
from ...facts.aws import Aws, Instance, Interface, NetworkAcl, PrefixList, RouteTable, SecurityGroup
from ...judgement import NotApplicable

T = TypeVar("T", SecurityGroup, PrefixList)

NOT_ASKED = "AWS's control plane is asked only with --aws"


def control_plane(survey: Survey) -> Aws:
    """What AWS said. Raises NotApplicable without --aws, CouldNotCheck where AWS could not be asked."""
    if survey.aws is None:
        raise NotApplicable(NOT_ASKED)
    return known(survey.aws)


def at(aws: Aws, address: str) -> tuple[Instance, Interface] | None:
    """The instance and the interface that have this address; None where AWS lists none, or several."""
    found = [
        (instance, interface)
        for instance in known(aws.instances)
        for interface in instance.interfaces
        if address in interface.addresses
    ]
    return found[0] if len(found) == 1 else None


def of_node(survey: Survey, node: NodeFacts) -> tuple[Instance, Interface, str]:
    """The node's instance, the interface it publishes its transport on (else its first), and that address.

    Raises CouldNotCheck where AWS lists no such instance in the account and region that were asked.
    """
    aws = control_plane(survey)
    instances = known(aws.instances)
    member = survey.member_of(node)
    published = host_of(member.transport) if member else node.host
    named = node.imds.instance_id if isinstance(node.imds, Imds) else None
    if named is not None:
        instance = next((i for i in instances if i.id == named), None)
        if instance is None:
            raise CouldNotCheck(
                f"{named} is not among the instances that {aws.caller} sees in {aws.region}",
                "ask with a profile of the nodes' account: --aws-profile=NAME",
            )
        if not instance.interfaces:
            raise CouldNotCheck(f"{named} has no network interface (state: {instance.state})")
        own = next((i for i in instance.interfaces if published in i.addresses), None)
        if own is not None:
            return instance, own, published
        return instance, instance.interfaces[0], instance.interfaces[0].addresses[0]
    found = at(aws, published)
    if found is None:
        raise CouldNotCheck(f"which instance {node.name} is could not be told: no metadata service named it")
    return (*found, published)


def by_id(things: tuple[T, ...]) -> Mapping[str, T]:
    """The things by their ids."""
    return {thing.id: thing for thing in things}


def table_of(aws: Aws, vpc: str, subnet: str) -> RouteTable:
    """The table that holds for a subnet: the one that names it, else its VPC's main one. Raises CouldNotCheck."""
    tables = known(aws.tables)
    explicit = next((table for table in tables if subnet in table.subnets), None)
    main = next((table for table in tables if table.main and table.vpc == vpc), None)
    found = explicit or main
    if found is None:
        raise CouldNotCheck(f"AWS lists no route table for {subnet}")
    return found


def acl_of(aws: Aws, subnet: str) -> NetworkAcl:
    """The subnet's network ACL. Raises CouldNotCheck."""
    found = next((acl for acl in known(aws.acls) if subnet in acl.subnets), None)
    if found is None:
        raise CouldNotCheck(f"AWS lists no network ACL for {subnet}")
    return found

"""Which instance and which interface a node is, and which subnet, table and ACL that puts it behind."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from ...addresses import host_of
from ...facts import CouldNotCheck, Imds, NodeFacts, Survey, Unknown, known
from ...facts.aws import Aws, Endpoint, Instance, Interface, NatGateway, NetworkAcl, PrefixList, RouteTable
from ...judgement import NotApplicable
from . import groups

NOT_ASKED = "AWS's control plane is asked only with --aws"


class Named(Protocol):
    """Whatever AWS gives an id."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Named)


def control_plane(survey: Survey) -> Aws:
    """What AWS said. Raises NotApplicable without --aws, CouldNotCheck where AWS could not be asked."""
    if survey.aws is None:
        raise NotApplicable(NOT_ASKED)
    return known(survey.aws)


class Index:
    """One survey's instances by id and address, and what was worked out of it already.

    answers: of questions that many nodes or pairs share, by whoever asks them
    """

    def __init__(self, survey: Survey) -> None:
        aws = control_plane(survey)
        self.survey = survey
        self.answers: dict[Hashable, Any] = {}
        self.instances = {i.id: i for i in ([] if isinstance(aws.instances, Unknown) else aws.instances)}
        self.by_address: dict[str, list[tuple[Instance, Interface]]] = {}
        for instance in self.instances.values():
            for interface in instance.interfaces:
                for address in interface.addresses:
                    self.by_address.setdefault(address, []).append((instance, interface))
        subnets = () if isinstance(aws.subnets, Unknown) else aws.subnets
        self.subnets = {subnet.id: subnet.cidrs for subnet in subnets}
        self.groups = _by_id(aws.groups)
        self.lists: Mapping[str, PrefixList] = _by_id(aws.prefix_lists)
        self.endpoints: Mapping[str, Endpoint] = _by_id(aws.endpoints)
        self.nat_gateways: Mapping[str, NatGateway] = _by_id(aws.nat_gateways)


_latest: Index | None = None


def index(survey: Survey) -> Index:
    """The survey's index, made once: a run judges one survey, node by node. Raises as control_plane does."""
    global _latest
    if _latest is None or _latest.survey is not survey:
        _latest = Index(survey)
    return _latest


def _by_id(things: Iterable[T] | Unknown) -> dict[str, T]:
    return {} if isinstance(things, Unknown) else {thing.id: thing for thing in things}


def at(survey: Survey, address: str) -> tuple[Instance, Interface] | None:
    """The instance and the interface that have this address; None where AWS lists none, or several."""
    known(control_plane(survey).instances)
    found = index(survey).by_address.get(address, [])
    return found[0] if len(found) == 1 else None


def of_node(survey: Survey, node: NodeFacts) -> tuple[Instance, Interface, str]:
    """The node's instance, the interface it publishes its transport on (else its first), and that address.

    Raises CouldNotCheck where AWS lists no such instance in the account and region that were asked.
    """
    control_plane(survey)
    answers, key = index(survey).answers, ("node", node.name)
    if key not in answers or answers[key][0] is not node:
        answers[key] = node, _of_node(survey, node)
    found: tuple[Instance, Interface, str] = answers[key][1]
    return found


def _of_node(survey: Survey, node: NodeFacts) -> tuple[Instance, Interface, str]:
    aws = control_plane(survey)
    known(aws.instances)
    member = survey.member_of(node)
    published = host_of(member.transport) if member else node.host
    named = node.imds.instance_id if isinstance(node.imds, Imds) else None
    if named is not None:
        instance = index(survey).instances.get(named)
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
    found = at(survey, published)
    if found is None:
        raise CouldNotCheck(f"which instance {node.name} is could not be told: no metadata service named it")
    return (*found, published)


def table_of(survey: Survey, vpc: str, subnet: str) -> RouteTable:
    """The table that holds for a subnet: the one that names it, else its VPC's main one. Raises CouldNotCheck."""
    tables = known(control_plane(survey).tables)
    explicit = next((table for table in tables if subnet in table.subnets), None)
    main = next((table for table in tables if table.main and table.vpc == vpc), None)
    found = explicit or main
    if found is None:
        raise CouldNotCheck(f"AWS lists no route table for {subnet}")
    return found


def acl_of(survey: Survey, subnet: str) -> NetworkAcl:
    """The subnet's network ACL. Raises CouldNotCheck."""
    found = next((acl for acl in known(control_plane(survey).acls) if subnet in acl.subnets), None)
    if found is None:
        raise CouldNotCheck(f"AWS lists no network ACL for {subnet}")
    return found


def subnet_at(survey: Survey, address: str) -> str:
    """The subnet of the nodes' VPCs that an address is in. Raises CouldNotCheck."""
    for subnet in known(control_plane(survey).subnets):
        if any(groups.inside(address, cidr) for cidr in subnet.cidrs):
            return subnet.id
    raise CouldNotCheck(f"AWS lists no subnet with {address}")

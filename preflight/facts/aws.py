"""What AWS's control plane says of the nodes' network, read by the operator's own credentials (--aws).

Ids are AWS's own. A port range is (first, last), None for every port. Each part is Unknown by itself where the call
that it is read from was denied.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .base import Fact, Unknown
from .policies import MetadataOptions, Policies, Policy, Vpc

Direction = Literal["ingress", "egress"]


class Subnet(Fact, frozen=True, kw_only=True):
    """One subnet and its ranges. source: DescribeSubnets."""

    id: str
    cidrs: tuple[str, ...]


class GroupRule(Fact, frozen=True, kw_only=True):
    """One permission of a security group; whatever no rule allows is dropped.

    protocol: "tcp", "all", or another's name or number; peers: CIDRs, ids of security groups, ids of prefix lists
    """

    direction: Direction
    protocol: str
    ports: tuple[int, int] | None
    peers: tuple[str, ...]


class SecurityGroup(Fact, frozen=True, kw_only=True):
    """One security group. source: DescribeSecurityGroups."""

    id: str
    name: str
    rules: tuple[GroupRule, ...]


class AclEntry(Fact, frozen=True, kw_only=True):
    """One entry of a network ACL: the lowest number that matches decides. Stateless: answers need an entry too."""

    number: int
    direction: Direction
    allow: bool
    protocol: str
    ports: tuple[int, int] | None
    cidr: str


class NetworkAcl(Fact, frozen=True, kw_only=True):
    """The network ACL of some subnets. source: DescribeNetworkAcls; every subnet has exactly one."""

    id: str
    subnets: tuple[str, ...]
    entries: tuple[AclEntry, ...]


class TableRoute(Fact, frozen=True, kw_only=True):
    """One route of a subnet's table.

    destination: a CIDR or the id of a prefix list; target: "local", or the id of what the packet is handed to (igw-,
    nat-, vpce-, tgw-, eni-, ...); blackhole: what it is handed to does not exist any more
    """

    destination: str
    target: str | None
    blackhole: bool = False


class RouteTable(Fact, frozen=True, kw_only=True):
    """One route table. main: holds for every subnet of its VPC that no table names. source: DescribeRouteTables."""

    id: str
    vpc: str
    main: bool
    subnets: tuple[str, ...]
    routes: tuple[TableRoute, ...]


class Endpoint(Fact, frozen=True, kw_only=True):
    """One VPC endpoint. kind: Gateway | Interface ...; state: in lower case. source: DescribeVpcEndpoints.

    policy: None where the answer had none; groups, private_dns: of an interface endpoint
    """

    id: str
    vpc: str
    service: str
    kind: str
    state: str
    policy: Policy | Unknown | None = None
    groups: tuple[str, ...] = ()
    private_dns: bool | None = None


class PrefixList(Fact, frozen=True, kw_only=True):
    """A named list of CIDRs: S3's own, which routes name, and those that security groups name.

    source: DescribeManagedPrefixLists, GetManagedPrefixListEntries
    """

    id: str
    name: str
    cidrs: tuple[str, ...] | Unknown


class NatGateway(Fact, frozen=True, kw_only=True):
    """One NAT gateway. state: pending | failed | available | deleting | deleted; subnet: that it is in;
    public: its addresses towards the internet, none of a private one. source: DescribeNatGateways."""

    id: str
    state: str
    subnet: str | None = None
    public: tuple[str, ...] = ()


class Interface(Fact, frozen=True, kw_only=True):
    """One network interface of an instance, with all its private addresses."""

    id: str
    subnet: str
    addresses: tuple[str, ...]
    groups: tuple[str, ...]


class Instance(Fact, frozen=True, kw_only=True):
    """One instance that is a node or a member, or carries their tags. source: DescribeInstances.

    profile: ARN of its instance profile, None for none; launched: seconds since the epoch, of its last start
    tags: key to value, those of AWS's own making (aws:...) left out; public: its public addresses
    metadata: None where the answer had none
    """

    id: str
    vpc: str
    state: str
    interfaces: tuple[Interface, ...]
    profile: str | None = None
    launched: float | None = None
    zone: str | None = None
    public: tuple[str, ...] = ()
    tags: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    metadata: MetadataOptions | None = None


class Tagged(Fact, frozen=True, kw_only=True):
    """Running instances of the nodes' VPCs that carry the tags by which nodes find each other.

    source: discovery.ec2 (discovery.ec2.tag.* of the nodes) | ec2:// (--hosts)
    tags: key to values, all keys and any of a key's values, in which * is any text
    """

    source: Literal["discovery.ec2", "ec2://"]
    tags: dict[str, tuple[str, ...]]
    instances: tuple[Instance, ...] | Unknown


class Aws(Fact, frozen=True, kw_only=True):
    """The network as AWS describes it, of the VPCs that the nodes are in.

    caller: ARN that asked; calls: requests made, pages included
    tagged: None where nothing says by which tags nodes find each other
    """

    region: str
    caller: str
    calls: int
    instances: tuple[Instance, ...] | Unknown
    subnets: tuple[Subnet, ...] | Unknown
    groups: tuple[SecurityGroup, ...] | Unknown
    acls: tuple[NetworkAcl, ...] | Unknown
    tables: tuple[RouteTable, ...] | Unknown
    endpoints: tuple[Endpoint, ...] | Unknown
    prefix_lists: tuple[PrefixList, ...] | Unknown
    nat_gateways: tuple[NatGateway, ...] | Unknown
    vpcs: tuple[Vpc, ...] | Unknown = Unknown(reason="not asked")
    policies: Policies = msgspec.field(default_factory=Policies)
    tagged: Tagged | None = None

"""What Elasticsearch says of itself: members, repositories, and how `_verify` ended."""

from __future__ import annotations

from typing import Literal

import msgspec

from .base import Fact, Unknown
from .evidence import IlmPolicy, Indicator, MountedIndex, NewestSnapshot, SlmPolicy

NO_CLUSTER = "_na_"
"""The uuid of the cluster that a node sees which has never joined one."""


class View(Fact, frozen=True, kw_only=True):
    """The cluster as one node sees it, asked on that node itself.

    source: GET _nodes/_local and GET _cluster/state/master_node,blocks with local=true
    cluster_uuid: of the cluster that its data is of, whether it has joined it or not; NO_CLUSTER for none
    master_id: None where it sees no elected master
    carrier: direct-tcpip | probe | session (Session Manager's) | direct: how the request reached the node
    url: the address asked; of a node that others told of, over ssm://, the one it publishes
    """

    node_id: str
    node_name: str
    cluster_uuid: str
    cluster_name: str
    master_id: str | None
    url: str
    carrier: Literal["direct-tcpip", "probe", "session", "direct"]


class S3Client(Fact, frozen=True, kw_only=True):
    """The non-secure settings of one S3 client as the running node reports them (`s3.client.NAME.*`)."""

    name: str
    region: str | None = None
    endpoint: str | None = None
    protocol: str | None = None
    path_style_access: bool | None = None


class Remote(Fact, frozen=True, kw_only=True):
    """One remote cluster that a node is configured with: cluster.remote.NAME.*, the cluster's before its file's.

    addresses: "host:port", of which one has to open: the seeds (mode sniff), or the proxy's (mode proxy)
    skip_unavailable: None where it is the version's own
    """

    name: str
    mode: Literal["sniff", "proxy"]
    addresses: tuple[str, ...]
    skip_unavailable: bool | None = None


class Member(Fact, frozen=True, kw_only=True):
    """One member of the cluster, from GET _nodes.

    transport, http: publish address "host:port"; http is None where the node offers no HTTP
    clients: its configured S3 clients; a client without any plain setting is not listed
    jvm: version and vendor; plugins: "NAME VERSION" of its repository plugins (from 8.0 on repository-s3 is a module
    and comes with the version); None where not asked for
    http_tls: its HTTP speaks TLS, and does not insist on a client's certificate
    remotes: the remote clusters that it is configured with, by name
    """

    id: str
    name: str
    version: str
    roles: tuple[str, ...]
    transport: str
    http: str | None
    clients: tuple[S3Client, ...]
    jvm: str | None = None
    plugins: tuple[str, ...] | None = None
    http_tls: bool = False
    remotes: tuple[Remote, ...] | Unknown = ()

    @property
    def connects(self) -> bool:
        """It opens connections to remote clusters; before 7.7 there was no role for that."""
        return "remote_cluster_client" in self.roles or self.version.startswith(("6.", *(f"7.{n}." for n in range(7))))


class Repository(Fact, frozen=True, kw_only=True):
    """One registered snapshot repository, from GET _snapshot. Secrets never appear there.

    client, base_path: "default" and "" where not set; region, endpoint: overrides in the repository's own settings
    server_side_encryption, canned_acl, storage_class: what every object is written with, None where not set
    """

    name: str
    type: str
    bucket: str | None = None
    client: str = "default"
    base_path: str = ""
    region: str | None = None
    endpoint: str | None = None
    protocol: str | None = None
    path_style_access: bool | None = None
    readonly: bool = False
    server_side_encryption: bool = False
    canned_acl: str | None = None
    storage_class: str | None = None


class VerifyFailure(Fact, frozen=True, kw_only=True):
    """One failure that a `_verify` answer carries.

    node_id: the node it names, None where it names none (the elected master failed first)
    sentence: the innermost cause, which for S3 is AWS's own sentence; chain: outermost to innermost reasons
    """

    node_id: str | None
    sentence: str
    chain: tuple[str, ...]


class Verification(Fact, frozen=True, kw_only=True):
    """One POST _snapshot/REPOSITORY/_verify.

    verified: ids of the nodes it names as good; failures: empty when it succeeded
    status: HTTP status; master_before, master_after: elected master read around the call; milliseconds: its duration
    started: when the call began, seconds since the epoch by the controller's clock; None in facts of older versions
    """

    repository: str
    status: int
    verified: tuple[str, ...]
    failures: tuple[VerifyFailure, ...]
    master_before: str | None
    master_after: str | None
    milliseconds: float
    started: float | None = None


NOT_ASKED = Unknown(reason="not gathered: no selected check needs it")


class Dependents(Fact, frozen=True, kw_only=True):
    """Who needs the repositories, as far as this login may see it and this cluster has the module."""

    mounted: tuple[MountedIndex, ...] | Unknown = NOT_ASKED
    slm: tuple[SlmPolicy, ...] | Unknown = NOT_ASKED
    ilm: tuple[IlmPolicy, ...] | Unknown = NOT_ASKED


class Cluster(Fact, frozen=True, kw_only=True):
    """One cluster, keyed by its uuid; asked through one of its given members.

    asked: name of the node it was asked through; verifications: Unknown where not allowed or not wanted (--read-only),
    one entry a repository of type s3 otherwise
    health: of the two indicators that concern snapshots; newest: of each S3 repository whose `_verify` succeeded
    """

    uuid: str
    name: str
    asked: str
    master_id: str | None
    members: tuple[Member, ...]
    repositories: tuple[Repository, ...] | Unknown
    verifications: tuple[Verification | Unknown, ...] | Unknown
    dependents: Dependents = msgspec.field(default_factory=Dependents)
    health: tuple[Indicator, ...] | Unknown = NOT_ASKED
    newest: tuple[NewestSnapshot, ...] | Unknown = NOT_ASKED

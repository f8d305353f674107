"""The survey: everything one run has seen, the only input of rules, diagnosis and report."""

from __future__ import annotations

import msgspec

from .aws import Aws
from .base import Fact, Unknown
from .cluster import NOT_ASKED, Cluster, Member, View
from .evidence import Log
from .filters import Filters
from .node import (
    BucketPath,
    Certificate,
    ChosenPath,
    Config,
    Container,
    Dial,
    Identity,
    Imds,
    Install,
    Keystore,
    LoadedCertificate,
    Login,
    Process,
    Routing,
    Sources,
    System,
)

FORMAT = 1
"""Version of facts.json; another one is refused by `load`."""


class NodeFacts(Fact, frozen=True, kw_only=True):
    """All that is known of one given node.

    name: as the user gave it, unique in the run; host: where it was dialled
    ssh: the command line that logs in there as this run did ("ssh -F FILE admin@10.0.0.1"), for printed commands
    process: None where no Elasticsearch process runs
    view: Unknown where its Elasticsearch could not be asked (no login, not running, refused)
    dials, paths, buckets: Unknown as a whole where the question could not be put
    container: None where the process's environment names no endpoint for credentials
    identity: None where STS was not asked: no credentials of a role, or a repository that does not go to AWS
    certificates: of the members' HTTP, as they were shown to this node; of a large cluster those of its neighbours
    loaded_certificates: those of its own files; None where its Elasticsearch did not tell
    static_key_clients: S3 clients that its inventory declares as meant to sign with static keys
    filters: None where nothing to or from the node failed to open
    """

    name: str
    host: str
    ssh: str
    login: Login | Unknown
    system: System | Unknown
    install: Install | Unknown | None
    process: Process | Unknown | None
    keystore: Keystore | Unknown
    config: Config | Unknown
    sources: Sources | Unknown
    imds: Imds | Unknown
    routing: Routing | Unknown
    view: View | Unknown
    dials: tuple[Dial, ...] | Unknown
    paths: tuple[ChosenPath, ...] | Unknown
    buckets: tuple[BucketPath, ...] | Unknown
    static_key_clients: tuple[str, ...] = ()
    container: Container | Unknown | None = None
    identity: Identity | Unknown | None = None
    log: Log | Unknown = NOT_ASKED
    certificates: tuple[Certificate, ...] | Unknown = NOT_ASKED
    loaded_certificates: tuple[LoadedCertificate, ...] | None = None
    filters: Filters | Unknown | None = None


class Options(Fact, frozen=True, kw_only=True):
    """The options of the run that judgement depends on, kept so that a recorded survey judges the same.

    reference: --reference, a node's name or None; complete: --complete; read_only: --read-only
    certificate_days: --certificate-days
    elasticsearch_login: "api-key" | "user" | None: which login the run had; never its value
    """

    reference: str | None = None
    complete: bool = False
    read_only: bool = False
    insecure_host_keys: bool = False
    elasticsearch_login: str | None = None
    certificate_days: float = 30.0


class Survey(Fact, frozen=True, kw_only=True):
    """Everything one run has seen. started, finished: seconds since the epoch. aws: None without --aws."""

    format: int
    version: str
    started: float
    finished: float
    options: Options
    nodes: tuple[NodeFacts, ...]
    clusters: tuple[Cluster, ...]
    aws: Aws | Unknown | None = None

    def node(self, name: str) -> NodeFacts:
        """The node of that name. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def cluster_of(self, node: NodeFacts) -> Cluster | None:
        """The cluster the node sees itself in; None where its view is unknown or that cluster could not be asked."""
        if isinstance(node.view, Unknown):
            return None
        return next((cluster for cluster in self.clusters if cluster.uuid == node.view.cluster_uuid), None)

    def member_of(self, node: NodeFacts) -> Member | None:
        """The member that this node is, matched by node id; None where unknown."""
        cluster = self.cluster_of(node)
        if cluster is None or isinstance(node.view, Unknown):
            return None
        return next((member for member in cluster.members if member.id == node.view.node_id), None)

    def given(self, node_id: str) -> NodeFacts | None:
        """The given node that is the member with this id; None where that member was not given."""
        return next((n for n in self.nodes if not isinstance(n.view, Unknown) and n.view.node_id == node_id), None)


def dump(survey: Survey) -> bytes:
    """facts.json: indented, keys in the order of the records."""
    return msgspec.json.format(msgspec.json.encode(survey), indent=1)


def load(text: bytes) -> Survey:
    """The survey in facts.json.

    Raises ValueError naming what does not fit: another format version, an unknown field, a wrong type.
    """
    try:
        header = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    found = header.get("format") if isinstance(header, dict) else None
    if found != FORMAT:
        raise ValueError(f"facts of format {found}; this version reads format {FORMAT}")
    try:
        return msgspec.json.decode(text, type=Survey)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error

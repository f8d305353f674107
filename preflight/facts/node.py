"""What one node says of itself: the sections of the probe's first answer.

Times are seconds since the epoch (float), durations milliseconds (float), file modes octal text ("0660").
A section is a value or Unknown. Values of secure settings never appear: names only.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .base import Fact, Unknown


class Login(Fact, frozen=True, kw_only=True):
    """The one login of this run.

    user: who logged in; sudo_user: whom the probe ran as, None without sudo
    carrier: "paramiko", "ssh" (this machine's OpenSSH) or "ssm"; milliseconds: until the probe could be started
    host_key: verified | not verified (--insecure-host-keys) | not applicable (over "ssm", where AWS knows the instance)
    """

    user: str
    sudo_user: str | None
    carrier: str
    milliseconds: float
    host_key: Literal["verified", "not verified", "not applicable"]


class System(Fact, frozen=True, kw_only=True):
    """The operating system as the probe sees it. source: probe section `system`.

    clock: the node's own time when asked; clock_offset: node minus controller in seconds, half the round trip removed,
    None where the controller did not measure it
    """

    hostname: str
    user: str
    os: str
    kernel: str
    python: str
    clock: float
    clock_offset: float | None = None


class Install(Fact, frozen=True, kw_only=True):
    """The Elasticsearch installation the process (or, without one, the packaged layout) points at.

    layout: deb | rpm | tar | docker; version from the server jar's name, None where unreadable
    service_user: owner of the process, else of the packaged layout
    java_home: where the process's JVM is; None where that is the one that comes with Elasticsearch, or unknown
    source: probe section `install`
    """

    layout: Literal["deb", "rpm", "tar", "docker"]
    home: str
    path_conf: str
    version: str | None
    service_user: str | None
    java_home: str | None = None


class Process(Fact, frozen=True, kw_only=True):
    """The Elasticsearch server JVM. source: probe section `process`, from /proc.

    started: its start time
    environment: names of AWS_*, ES_* and proxy variables it runs with; properties: names of -D options that
    credentials, region, proxies or metadata depend on. Names only, except region: AWS_REGION's and -Daws.region's value
    listeners: "address:port" it listens on; empty where /proc/net is another namespace's
    own_network_namespace: it does not share the host's network namespace; None where that could not be read
    addresses: of the namespace that it has of its own, without loopback and link-local ones
    unit: the systemd unit it runs in ("elasticsearch.service"), None where none is seen
    others: how many more Elasticsearch processes run on this host
    """

    pid: int
    user: str
    started: float
    environment: tuple[str, ...]
    properties: tuple[str, ...]
    region_environment: str | None
    region_property: str | None
    listeners: tuple[str, ...]
    own_network_namespace: bool | None
    addresses: tuple[str, ...] = ()
    unit: str | None = None
    others: int = 0


class AccessKey(Fact, frozen=True, kw_only=True):
    """What may be told of one access key id.

    prefix: AKIA (long-lived) or ASIA (temporary), None for an id that begins otherwise
    fingerprint: HMAC-SHA-256 of the id under a key drawn for the run, in hex, its first 128 bits: equal where ids are
    """

    prefix: Literal["AKIA", "ASIA"] | None
    fingerprint: str


PROTECTED = "password-protected"
"""Stands in the reason where a keystore is Unknown because of its password."""


class Keystore(Fact, frozen=True, kw_only=True):
    """elasticsearch.keystore: names and the file's state, never a value. source: probe section `keystore`.

    settings: sorted setting names; format: 3-7, None where only the tool could read it
    read_by: "file" (the JVM-less reader) or "elasticsearch-keystore"
    readable_by_service, creatable_by_service: what owners, groups and modes allow the user that Elasticsearch runs as:
    to read it, and to write the folder it is in, every folder on the way included; None where they do not decide it
    access_keys: s3.client.NAME.access_key -> what may be told of it; None where the tool read the file, which gives
    names alone. Nothing is ever told of a secret key or a session token
    protected: it has a password, and that was given
    An absent file is exists=False with empty settings; a file that cannot be read is Unknown, never empty.
    """

    path: str
    exists: bool
    settings: tuple[str, ...]
    format: int | None
    owner: str | None
    group: str | None
    mode: str | None
    modified: float | None
    read_by: Literal["file", "elasticsearch-keystore"] | None
    readable_by_service: bool | None = None
    creatable_by_service: bool | None = None
    access_keys: dict[str, AccessKey] | None = None
    protected: bool = False


class Config(Fact, frozen=True, kw_only=True):
    """elasticsearch.yml. source: probe section `config`.

    settings: flat names to values for those whose value is no secret and matters here (non-secure s3.client.NAME.*,
    cloud.aws.*region, discovery.ec2.endpoint and .tag.*, discovery.seed_hosts and .seed_providers, cluster.name and
    .initial_master_nodes, path.data, node.name, node.roles, network.*, http.*, transport.*,
    xpack.security.http.ssl.enabled and .certificate_authorities); names: every flat setting name in the file
    """

    path: str
    modified: float
    settings: dict[str, str]
    names: tuple[str, ...]


class Source(Fact, frozen=True, kw_only=True):
    """One line on disk that gives Elasticsearch a variable or a -D option when it starts next.

    kind: jvm-options | variables (a file of NAME=value lines) | unit (Environment= of a systemd unit or its drop-in)
    name: of the variable (AWS_ACCESS_KEY_ID) or of the option (aws.accessKeyId)
    through: the variable whose value carries the option (ES_JAVA_OPTS), None elsewhere
    key_prefix: AKIA or ASIA where it holds an access key id that begins so; line: counted from 1
    """

    kind: Literal["jvm-options", "variables", "unit"]
    path: str
    line: int
    name: str
    through: str | None = None
    key_prefix: Literal["AKIA", "ASIA"] | None = None


class Sources(Fact, frozen=True, kw_only=True):
    """What the files that feed Elasticsearch's start say of credentials and region. source: probe section `sources`.

    files: those that were read, in the order they are; modified: when each of them was last changed
    found: lines with AWS_* variables, -Daws.*, -Dcom.amazonaws.*, -Des.allow_insecure_settings=true and
    ES_KEYSTORE_PASSPHRASE_FILE. elasticsearch.yml is in Config
    """

    files: tuple[str, ...]
    found: tuple[Source, ...]
    modified: dict[str, float] = msgspec.field(default_factory=dict)


class RoleCredentials(Fact, frozen=True, kw_only=True):
    """What IMDS handed out for the role; the key itself stays on the node.

    code: "Success" or what IMDS said; key_prefix: first four letters of the key id; expires: Expiration
    """

    code: str
    key_prefix: str
    expires: float | None


class Imds(Fact, frozen=True, kw_only=True):
    """The instance metadata service, asked without a proxy. source: probe section `imds`.

    outcome: answered | refused | timeout | no-route: how the token request ended; milliseconds until then
    token_status: HTTP status of PUT /latest/api/token; role_status: of GET .../iam/security-credentials/
    tokenless_status: of the same without a token (IMDSv1), asked where no token was given or this Elasticsearch has
    none; None where not asked or not answered
    role: None where role_status is not 200; slowest: milliseconds of the request that took longest
    asked_as: whose connections they were; as_service: that is the user Elasticsearch runs as, None where none runs
    in_namespace: asked from the network namespace that Elasticsearch has of its own; False where it has none, or where
    the probe may not enter it and asked from the host
    own_outcome: how the token request ended as the probe's own user on the host, asked where it did not end well
    otherwise
    """

    outcome: Literal["answered", "refused", "timeout", "no-route"]
    milliseconds: float
    token_status: int | None = None
    instance_id: str | None = None
    region: str | None = None
    availability_zone: str | None = None
    role_status: int | None = None
    role: str | None = None
    credentials: RoleCredentials | None = None
    tokenless_status: int | None = None
    slowest: float | None = None
    asked_as: str | None = None
    as_service: bool | None = None
    in_namespace: bool = False
    own_outcome: Literal["answered", "refused", "timeout", "no-route"] | None = None


class Container(Fact, frozen=True, kw_only=True):
    """The endpoint for credentials that the process's environment names. source: probe section `container`.

    variable: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI; host: "host:port", its path is a secret
    outcome: answered | refused | timeout | no-route | dns | tls; status: HTTP status; credentials: on an answer
    """

    variable: str
    host: str
    outcome: Literal["answered", "refused", "timeout", "no-route", "dns", "tls"]
    milliseconds: float
    status: int | None
    credentials: RoleCredentials | None = None


class Identity(Fact, frozen=True, kw_only=True):
    """Who the node is to AWS: sts:GetCallerIdentity, signed with the role's credentials through the region's endpoint.

    account: id; arn: arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION. source: probe question `paths`
    """

    account: str
    arn: str

    @property
    def role_arn(self) -> str:
        """arn:aws:iam::ACCOUNT:role/ROLE, a path in front of the role's name left out; `arn` where it is no role's."""
        head, _, rest = self.arn.partition(":assumed-role/")
        return f"{head.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}" if rest else self.arn


class Address(Fact, frozen=True, kw_only=True):
    """One address of an interface. family: inet | inet6; scope: global | link | host."""

    device: str
    family: Literal["inet", "inet6"]
    address: str
    prefix: int
    scope: str


class Route(Fact, frozen=True, kw_only=True):
    """One route as `ip -j route show table all` gives it.

    kind: unicast | blackhole | unreachable | prohibit | throw | local ...; table: "main", "local" or its name or number
    destination: "default" or a prefix; expiring attributes are left out
    """

    family: Literal["inet", "inet6"]
    table: str
    kind: str
    destination: str
    gateway: str | None
    device: str | None
    source: str | None
    metric: int | None
    protocol: str | None
    scope: str | None


class Rule(Fact, frozen=True, kw_only=True):
    """One routing policy rule. text: selector and action, as `ip rule` prints it without its priority."""

    family: Literal["inet", "inet6"]
    priority: int
    text: str


class Routing(Fact, frozen=True, kw_only=True):
    """The node's own routing state, without the kernel's `local` table. source: probe section `routing`."""

    routes: tuple[Route, ...]
    rules: tuple[Rule, ...]
    addresses: tuple[Address, ...]


class Dial(Fact, frozen=True, kw_only=True):
    """One TCP connection attempt from a node to a peer's published address, or to a remote cluster's.

    member: node id of the peer, name of the remote cluster; port: transport | http | remote; target: "host:port"; from
    the network namespace that Elasticsearch has of its own, where the probe may enter it, and there the node's own HTTP
    where it listens
    outcome: open | refused | timeout | no-route | dns | closed (by the peer, at once); milliseconds until the outcome
    tries: 2 after a first timeout, or a first end by the peer
    assumed: the cluster could not be asked; member is a given node's name and the port one that it listens on or the
    default, 9300 or 9200
    tls: how a TLS handshake ended: "ok", "timeout", or OpenSSL's words; None where none was tried
    chain: SHA-256 fingerprints of the certificates shown, the server's own first; whole_chain: those are all
    path_mtu: bytes, retransmits: packets sent again, both as the kernel saw this connection; None: not told
    short: tls once more with packets of at most 576 bytes, tried where tls is "timeout"
    source: probe question `paths`, one non-blocking connect per target, all targets at once; open is still up after a
    tenth of a second, or has finished a handshake
    """

    member: str
    port: Literal["transport", "http", "remote"]
    target: str
    outcome: Literal["open", "refused", "timeout", "no-route", "dns", "closed"]
    milliseconds: float
    tries: int = 1
    assumed: bool = False
    tls: str | None = None
    chain: tuple[str, ...] = ()
    whole_chain: bool = False
    path_mtu: int | None = None
    retransmits: int = 0
    short: str | None = None


class Certificate(Fact, frozen=True, kw_only=True):
    """One certificate that a server showed to this node.

    fingerprint: SHA-256 of its DER, hex; subject, issuer: RFC 4514; not_before, not_after: seconds since the epoch
    names: of subjectAltName, DNS names and addresses
    trusted: whether an authority in the CA file of this node's configuration stands behind it; None where that file is
    not known, or where what lies between was not shown
    """

    fingerprint: str
    subject: str
    issuer: str
    not_before: float
    not_after: float
    names: tuple[str, ...] = ()
    trusted: bool | None = None


class LoadedCertificate(Fact, frozen=True, kw_only=True):
    """One certificate with its key that the node's Elasticsearch has from a file, for HTTP, transport or anything else.

    path: as it is configured; subject: its name; not_after: seconds since the epoch
    source: GET _ssl/certificates, on the node itself
    """

    path: str
    subject: str
    not_after: float


class ChosenPath(Fact, frozen=True, kw_only=True):
    """The route the kernel chooses for one destination (`ip route get`), once more from the source it has chosen.

    purpose: "s3:REPOSITORY", "imds", "dns" (one for each resolver of resolv.conf), "peer:NODE_ID" (a second one from
    the address that the node publishes, where that is not the chosen source); target: the address asked for
    kind: local | on-link | gateway | blackhole | unreachable | prohibit | none
    """

    purpose: str
    target: str
    kind: Literal["local", "on-link", "gateway", "blackhole", "unreachable", "prohibit", "none"]
    gateway: str | None = None
    device: str | None = None
    source: str | None = None


class SignedList(Fact, frozen=True, kw_only=True):
    """One ListObjectsV2 (max-keys 1) under the repository's base path, signed with the instance role's own credentials;
    or one step of a Marker.

    status: HTTP status; code: S3's error code, None on 200; message: S3's own sentence, no key in it
    """

    status: int
    code: str | None
    message: str | None


class Marker(Fact, frozen=True, kw_only=True):
    """One small object that the node's role put into the bucket, read back and deleted, each step as S3 answered it.

    key: under the repository's base path; written with the repository's own encryption, ACL and storage class
    put, get, delete: None where not tried; status 0 without an answer, 200 with code OtherContent for another content
    left: it may be in the bucket still
    """

    key: str
    put: SignedList | None
    get: SignedList | None
    delete: SignedList | None
    left: bool


class LeftoverFolder(Fact, frozen=True, kw_only=True):
    """Objects under one `tests-...` folder of a base path. folder: without its last "/".

    youngest: age of the youngest in seconds by S3's clock; known: all are named as _verify or --try-role names them
    """

    folder: str
    objects: int
    youngest: float
    known: bool


class Leftovers(Fact, frozen=True, kw_only=True):
    """What begins with `tests-` under a repository's base path: a page of it. more: there are more pages."""

    folders: tuple[LeftoverFolder, ...]
    more: bool


class Packets(Fact, frozen=True, kw_only=True):
    """What became of packets as long as the kernel sends them to a bucket.

    path_mtu: bytes, retransmits: packets sent again, unacknowledged: packets; as the kernel saw the connection
    step: what had no answer in time: "handshake" (TLS, after the client's hello) or "request" (a HEAD with a header
    that makes it longer than a packet); None where both were answered
    answered, unanswered: most bytes of a packet, path_mtu among them, with which the same had an answer and had none
    when it was tried once more, all at once (TCP_MAXSEG); none where step is None
    source: probe question `paths`
    """

    path_mtu: int | None
    retransmits: int
    unacknowledged: int
    step: Literal["handshake", "request"] | None = None
    answered: tuple[int, ...] = ()
    unanswered: tuple[int, ...] = ()


class BucketPath(Fact, frozen=True, kw_only=True):
    """The node's own path to one repository's bucket. source: probe question `bucket`.

    host, port: the bucket's endpoint; dns, tcp: outcome, None where not reached; addresses: what the name resolved to
    tls: "ok" or the verification error; head_status and bucket_region: of the unsigned HEAD
    clock_offset: node minus S3's Date header, seconds
    signed_list: Unknown where it was not tried (no role, not AWS, path down: the reason says which); its time is S3's
    leftovers: None on all nodes but the one that was asked for them
    hosts_lines: lines of /etc/hosts that gave the name its addresses; resolver: what DNS alone gives it, asked only
    where such a line does, None where not asked or without an answer
    trust_store: the JVM's own, by which tls was decided; None where that is this host's (nothing runs, or the JVM's
    cannot be read without a password); host_trusts: whether this host's accepts what the JVM's refuses
    marker: None where none was asked for (--try-role, or a fix that hangs on it), or the list was refused
    packets: None where no connection got as far, or ended otherwise than in time or late
    """

    repository: str
    host: str
    port: int
    dns: Literal["ok", "dns"]
    addresses: tuple[str, ...]
    tcp: Literal["open", "refused", "timeout", "no-route"] | None
    milliseconds: float
    tls: str | None
    head_status: int | None
    bucket_region: str | None
    clock_offset: float | None
    signed_list: SignedList | Unknown
    hosts_lines: tuple[int, ...] = ()
    resolver: tuple[str, ...] | None = None
    trust_store: str | None = None
    host_trusts: bool | None = None
    marker: Marker | None = None
    leftovers: Leftovers | Unknown | None = None
    packets: Packets | None = None

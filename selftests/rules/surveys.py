"""Surveys made in Python: a healthy three-node cluster on EC2, and that cluster with one thing wrong.

`healthy()` is what every check must stay quiet on. Each entry of FAULTS takes a survey and a node's name and returns
the survey in which that fault is seen, so that two faults combine:
`route_upstream(stale_keys(healthy(), "es-2"), "es-3")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import rulesets
from msgspec.structs import replace

from preflight.facts import (
    FORMAT,
    AccessKey,
    Address,
    BucketPath,
    Certificate,
    ChosenPath,
    Cluster,
    Config,
    Container,
    Dial,
    Imds,
    Install,
    Keystore,
    Leftovers,
    LoadedCertificate,
    Login,
    Member,
    NewestSnapshot,
    NodeFacts,
    Options,
    Packets,
    Process,
    Remote,
    Repository,
    RoleCredentials,
    Route,
    Routing,
    Rule,
    S3Client,
    ShardFailures,
    SignedList,
    Source,
    Sources,
    Survey,
    System,
    Unknown,
    Verification,
    VerifyFailure,
    View,
)

STARTED = 1_763_980_800.0
"""2025-11-24T10:40:00Z: when the made surveys begin."""

STALE = "The AWS Access Key Id you provided does not exist in our records."
STALE_ELSEWHERE = "The access key ID you provided does not exist in our records."
NO_CREDENTIALS = "Unable to load credentials from any of the providers in the chain AwsCredentialsProviderChain"
DENIED = "Access Denied"
EXPIRED = "The provided token has expired."
CONNECT_TIMED_OUT = "Unable to execute HTTP request: Connect timed out"
STATIC_KEYS = ("s3.client.default.access_key", "s3.client.default.secret_key")
REDIRECT = (
    "The bucket you are attempting to access must be addressed using the specified endpoint. "
    "Please send all future requests to this endpoint."
)
NO_BUCKET = "The specified bucket does not exist"
PKIX = "PKIX path building failed: unable to find valid certification path to requested target"
REGION = "ap-northeast-2"
BUCKET = f"es-snapshots.s3.{REGION}.amazonaws.com"
S3_ADDRESS = "198.18.1.10"
UUID = "Q9l6sXhVRSaXn0zcmXkD5w"
ROLES = ("data", "ingest", "master", "remote_cluster_client")


def node_id(name: str) -> str:
    """The node id of a made node: 22 characters, as Elasticsearch's are."""
    return (name.replace("-", "") + "_" * 22)[:22]


def address(number: int) -> str:
    """The lab address of node 1, 2, 3."""
    return f"198.18.0.{10 + number}"


def member(number: int, *, version: str = "8.19.21") -> Member:
    """A member that can be elected and holds data."""
    return Member(
        id=node_id(f"es-{number}"),
        name=f"es-{number}",
        version=version,
        roles=ROLES,
        transport=f"{address(number)}:9300",
        http=f"{address(number)}:9200",
        clients=(S3Client(name="default", region=REGION),),
        jvm="21.0.4 (Eclipse Adoptium)",
        plugins=() if version.startswith(("8.", "9.")) else (f"repository-s3 {version}",),
        http_tls=True,
    )


def certificate(number: int, **changes: Any) -> Certificate:
    """What a member's HTTP shows: a certificate of the cluster's own authority, for its name and address."""
    return replace(
        Certificate(
            fingerprint=f"{number:064x}",
            subject=f"CN=es-{number}",
            issuer="CN=Elasticsearch CA",
            not_before=STARTED - 100 * 86_400,
            not_after=STARTED + 200 * 86_400,
            names=(f"es-{number}", "localhost", address(number), "127.0.0.1"),
            trusted=True,
        ),
        **changes,
    )


def with_certificate(survey: Survey, name: str, **changes: Any) -> Survey:
    """The node's HTTP shows another certificate, to everybody."""
    number = int(name.rpartition("-")[2])
    for node in survey.nodes:
        assert not isinstance(node.certificates, Unknown)
        shown = tuple(replace(c, **changes) if c.fingerprint == f"{number:064x}" else c for c in node.certificates)
        survey = with_node(survey, node.name, certificates=shown)
    return survey


def certificate_expired(survey: Survey, name: str) -> Survey:
    """The node's HTTP certificate ran out yesterday; the suite refuses it like everybody else, and is told no view."""
    why = "TLS to Elasticsearch failed: certificate verify failed: certificate has expired"
    survey = with_certificate(survey, name, not_after=STARTED - 86_400)
    return with_node(survey, name, view=Unknown(reason=why, remedy="renew the certificate of that node's HTTP (TLS-1)"))


def transport_certificate_expired(survey: Survey, name: str) -> Survey:
    """A file of the node's own; nobody is shown it before the next connection."""
    loaded = (
        LoadedCertificate(path="certs/http.crt", subject=f"CN={name}", not_after=STARTED + 200 * 86_400),
        LoadedCertificate(path="certs/transport.crt", subject=f"CN={name}", not_after=STARTED - 86_400),
    )
    return with_node(survey, name, loaded_certificates=loaded)


def route(destination: str, *, gateway: str | None = None, device: str = "eth0", **more: Any) -> Route:
    """One route of the main table."""
    return Route(
        family=more.pop("family", "inet"),
        table=more.pop("table", "main"),
        kind=more.pop("kind", "unicast"),
        destination=destination,
        gateway=gateway,
        device=device,
        source=more.pop("source", None),
        metric=more.pop("metric", None),
        protocol=more.pop("protocol", "boot"),
        scope=more.pop("scope", None),
    )


def routing(own: str, gateway: str = "198.18.0.1", *, prefix: int = 24, extra: Iterable[Route] = ()) -> Routing:
    """A host with one interface: its subnet and a default route."""
    subnet = own.rpartition(".")[0] + f".0/{prefix}"
    return Routing(
        routes=(
            route("default", gateway=gateway),
            route(subnet, source=own, protocol="kernel", scope="link"),
            *extra,
        ),
        rules=(),
        addresses=(
            Address(device="lo", family="inet", address="127.0.0.1", prefix=8, scope="host"),
            Address(device="eth0", family="inet", address=own, prefix=prefix, scope="global"),
        ),
    )


def bucket(repository: str = "s3_backup") -> BucketPath:
    """A bucket that answers and accepts the role."""
    return BucketPath(
        repository=repository,
        host=BUCKET,
        port=443,
        dns="ok",
        addresses=(S3_ADDRESS,),
        tcp="open",
        milliseconds=2.1,
        tls="ok",
        head_status=403,
        bucket_region=REGION,
        clock_offset=0.2,
        signed_list=SignedList(status=200, code=None, message=None),
        leftovers=Leftovers(folders=(), more=False),
    )


def node(number: int, members: tuple[Member, ...]) -> NodeFacts:
    """One healthy node of the lab's kind: Debian package, one interface, role from IMDS."""
    name, own = f"es-{number}", address(number)
    return NodeFacts(
        name=name,
        host=own,
        ssh=f"ssh -F lab/ssh_config {name}",
        login=Login(user="admin", sudo_user="root", carrier="paramiko", milliseconds=180.0, host_key="verified"),
        system=System(
            hostname="ip-" + own.replace(".", "-"),
            user="root",
            os="Debian GNU/Linux 12 (bookworm)",
            kernel="6.1.0-28-cloud-amd64",
            python="3.11.2",
            clock=STARTED + 1,
            clock_offset=0.01,
        ),
        install=Install(
            layout="deb",
            home="/usr/share/elasticsearch",
            path_conf="/etc/elasticsearch",
            version="8.19.21",
            service_user="elasticsearch",
        ),
        process=Process(
            pid=812,
            user="elasticsearch",
            started=STARTED - 86_400,
            environment=("ES_HOME", "ES_PATH_CONF"),
            properties=("es.path.conf", "es.path.home"),
            region_environment=None,
            region_property=None,
            listeners=(f"{own}:9200", f"{own}:9300"),
            own_network_namespace=False,
        ),
        keystore=Keystore(
            path="/etc/elasticsearch/elasticsearch.keystore",
            exists=True,
            settings=("keystore.seed",),
            format=7,
            owner="root",
            group="elasticsearch",
            mode="0660",
            modified=STARTED - 2 * 86_400,
            read_by="file",
            readable_by_service=True,
            creatable_by_service=False,
            access_keys={},
        ),
        config=Config(
            path="/etc/elasticsearch/elasticsearch.yml",
            modified=STARTED - 2 * 86_400,
            settings={
                "cluster.name": "es-lab",
                "node.name": name,
                "path.data": "/var/lib/elasticsearch",
                "discovery.seed_hosts": ",".join(other.transport.rpartition(":")[0] for other in members),
                "s3.client.default.region": REGION,
                "xpack.security.http.ssl.certificate_authorities": "certs/ca.crt",
            },
            names=(
                "cluster.name",
                "discovery.seed_hosts",
                "node.name",
                "path.data",
                "s3.client.default.region",
                "xpack.security.http.ssl.certificate_authorities",
                "xpack.security.http.ssl.enabled",
            ),
        ),
        sources=Sources(
            files=("/etc/elasticsearch/jvm.options", "/etc/default/elasticsearch"),
            found=(),
            modified={
                "/etc/elasticsearch/jvm.options": STARTED - 9 * 86_400,
                "/etc/default/elasticsearch": STARTED - 2 * 86_400,
            },
        ),
        imds=Imds(
            outcome="answered",
            milliseconds=1.5,
            token_status=200,
            instance_id=f"i-0a1b2c3d4e5f6000{number}",
            region=REGION,
            availability_zone=f"{REGION}a",
            role_status=200,
            role="es-node",
            credentials=RoleCredentials(code="Success", key_prefix="ASIA", expires=STARTED + 3 * 3600),
        ),
        routing=routing(own),
        view=View(
            node_id=node_id(name),
            node_name=name,
            cluster_uuid=UUID,
            cluster_name="es-lab",
            master_id=node_id("es-1"),
            url=f"https://{own}:9200",
            carrier="direct-tcpip",
        ),
        dials=tuple(
            Dial(
                member=other.id,
                port=port,  # type: ignore[arg-type]
                target=target,
                outcome="open",
                milliseconds=0.4,
                tls="ok" if port == "http" else None,
                chain=(certificate(int(other.name.rpartition("-")[2])).fingerprint,) if port == "http" else (),
            )
            for other in members
            for port, target in (("transport", other.transport), ("http", other.http))
            if target
        ),
        paths=(
            ChosenPath(
                purpose="s3:s3_backup",
                target=S3_ADDRESS,
                kind="gateway",
                gateway="198.18.0.1",
                device="eth0",
                source=own,
            ),
            ChosenPath(purpose="imds", target="169.254.169.254", kind="local", device="lo", source="169.254.169.254"),
            *(
                ChosenPath(
                    purpose=f"peer:{other.id}",
                    target=other.transport.rpartition(":")[0],
                    kind="on-link",
                    device="eth0",
                    source=own,
                )
                for other in members
                if other.name != name
            ),
        ),
        buckets=(bucket(),),
        certificates=tuple(certificate(int(other.name.rpartition("-")[2])) for other in members),
    )


def verified(repository: str, ids: Iterable[str], master: str = "es-1") -> Verification:
    """A `_verify` that succeeded and names these nodes."""
    return Verification(
        repository=repository,
        status=200,
        verified=tuple(sorted(ids)),
        failures=(),
        master_before=node_id(master),
        master_after=node_id(master),
        milliseconds=210.0,
    )


def healthy(count: int = 3, *, version: str = "8.19.21", **options: Any) -> Survey:
    """A green cluster of `count` nodes, es-1 its elected master. options: as facts.Options has them."""
    members = tuple(member(number, version=version) for number in range(1, count + 1))
    cluster = Cluster(
        uuid=UUID,
        name="es-lab",
        asked="es-1",
        master_id=node_id("es-1"),
        members=members,
        repositories=(
            Repository(name="s3_backup", type="s3", bucket="es-snapshots", client="default", base_path="prod"),
        ),
        verifications=(verified("s3_backup", (m.id for m in members)),),
        newest=(NewestSnapshot(repository="s3_backup", snapshot="nightly-1", state="SUCCESS", started=STARTED - 3600),),
    )
    return Survey(
        format=FORMAT,
        version="0.1.0",
        started=STARTED,
        finished=STARTED + 4.2,
        options=Options(elasticsearch_login="user", **options),
        nodes=tuple(node(number, members) for number in range(1, count + 1)),
        clusters=(cluster,),
    )


def with_node(survey: Survey, name: str, **sections: Any) -> Survey:
    """The survey with sections of one node replaced."""
    assert any(n.name == name for n in survey.nodes), name
    return replace(survey, nodes=tuple(replace(n, **sections) if n.name == name else n for n in survey.nodes))


def with_cluster(survey: Survey, **sections: Any) -> Survey:
    """The survey with parts of its (first) cluster replaced."""
    return replace(survey, clusters=(replace(survey.clusters[0], **sections), *survey.clusters[1:]))


def with_member(survey: Survey, name: str, **changes: Any) -> Survey:
    """The survey with one member of its cluster changed."""
    members = tuple(replace(m, **changes) if m.name == name else m for m in survey.clusters[0].members)
    return with_cluster(survey, members=members)


def verify_fails(survey: Survey, name: str, sentence: str, repository: str | None = None) -> Survey:
    """`_verify` fails on this node: named where it is a data node, unnamed where it is the elected master.

    repository: of this one alone, None for all
    """
    cluster = survey.clusters[0]
    assert not isinstance(cluster.verifications, Unknown)
    broken: list[Verification | Unknown] = []
    for verification in cluster.verifications:
        if isinstance(verification, Unknown):  # without an answer of anybody
            broken.append(verification)
            continue
        master = cluster.master_id == node_id(name)
        failure = VerifyFailure(
            node_id=None if master else node_id(name),
            sentence=sentence,
            chain=(f"[{verification.repository}] path [prod] is not accessible", sentence),
        )
        others = () if master else verification.failures
        if repository not in (None, verification.repository):
            broken.append(verification)
        elif any(f.node_id is None for f in verification.failures):
            broken.append(verification)  # the elected master failed first: nobody else is tested
        else:
            broken.append(replace(verification, status=500, verified=(), failures=(*others, failure)))
    return with_cluster(survey, verifications=tuple(broken))


def with_keys(survey: Survey, name: str, *settings: str, key: str = "old", modified: float | None = None) -> Survey:
    """The keystore of one node holds these settings besides its seed. key: same text, same access key ids."""
    file = survey.node(name).keystore
    assert isinstance(file, Keystore)
    changes: dict[str, Any] = {} if modified is None else {"modified": modified}
    keys = {
        setting: AccessKey(prefix="AKIA", fingerprint=f"{key}{'0' * 32}"[:32])
        for setting in settings
        if setting.startswith("s3.client.") and setting.endswith(".access_key")
    }
    return with_node(
        survey, name, keystore=replace(file, settings=("keystore.seed", *settings), access_keys=keys, **changes)
    )


def declared(survey: Survey, *clients: str) -> Survey:
    """The inventory says that these clients are meant to sign with static keys, on every node."""
    return replace(survey, nodes=tuple(replace(n, static_key_clients=clients) for n in survey.nodes))


def stale_keys(survey: Survey, name: str) -> Survey:
    """Static keys that IAM no longer knows, in the keystore and loaded."""
    return verify_fails(with_keys(survey, name, *STATIC_KEYS), name, STALE)


def current_key(survey: Survey, name: str) -> Survey:
    """Static keys that S3 accepts."""
    return with_keys(survey, name, *STATIC_KEYS, key="new")


def half_rotated(survey: Survey, name: str) -> Survey:
    """A rotation that did not reach this node: it signs with the old key, every other one with the new."""
    for node in survey.nodes:
        if isinstance(node.keystore, Keystore):
            survey = with_keys(survey, node.name, *STATIC_KEYS, key="old" if node.name == name else "new")
    return verify_fails(survey, name, STALE)


def reload_would_arm_another(survey: Survey, name: str) -> Survey:
    """A key only in the memory of this node, and one that waits on its peer's disk."""
    survey, peer = stale_in_memory(survey, name), _peer(survey, name)
    return stale_on_disk(survey, peer) if isinstance(survey.node(peer).keystore, Keystore) else survey


def keystore_password(survey: Survey, name: str) -> Survey:
    """A keystore with a password that neither the run nor the service has."""
    why = "the keystore is password-protected, and no password was given"
    return with_node(survey, name, keystore=Unknown(reason=why, remedy="--keystore-password-file=FILE"))


MINIO = ("s3.client.minio.access_key", "s3.client.minio.secret_key")


def elsewhere(survey: Survey, *, without: str = "", old: str = "") -> Survey:
    """A client that goes to MinIO with keys of its own, beside the one that goes to AWS.

    without: a node that lacks the keys; old: one that has another
    """
    client = S3Client(name="minio", endpoint="https://minio.example.net:9000", path_style_access=True)
    cluster = survey.clusters[0]
    assert not isinstance(cluster.repositories, Unknown)
    survey = with_cluster(
        survey,
        repositories=(*cluster.repositories, Repository(name="minio", type="s3", bucket="backup", client="minio")),
        verifications=(
            *cluster.verifications,  # type: ignore[misc]
            verified("minio", (m.id for m in cluster.members)),
        ),
    )
    for found in survey.nodes:
        name, file, ways = found.name, found.keystore, found.buckets
        if isinstance(file, Keystore) and name != without:
            key = AccessKey(prefix="AKIA", fingerprint=("replaced" if name == old else "current").ljust(32, "0"))
            keys = {**(file.access_keys or {}), MINIO[0]: key}
            survey = with_node(
                survey, name, keystore=replace(file, settings=(*file.settings, *MINIO), access_keys=keys)
            )
        if not isinstance(ways, Unknown):
            there: dict[str, Any] = {"host": "minio.example.net", "port": 9000, "bucket_region": None}
            way = replace(bucket("minio"), **there, signed_list=Unknown(reason="minio.example.net is not AWS"))
            survey = with_node(survey, name, buckets=(*ways, way))
    for one in survey.clusters[0].members:
        survey = with_member(survey, one.name, clients=(*one.clients, client))
    return survey


def elsewhere_without_keys(survey: Survey, name: str) -> Survey:
    """One node lacks the keys for MinIO: its role signs, and MinIO has never heard of that key."""
    return verify_fails(elsewhere(survey, without=name), name, STALE_ELSEWHERE, "minio")


def elsewhere_with_an_old_key(survey: Survey, name: str) -> Survey:
    """One node still has the key for MinIO that was replaced on the others."""
    return verify_fails(elsewhere(survey, old=name), name, STALE_ELSEWHERE, "minio")


def stale_in_memory(survey: Survey, name: str) -> Survey:
    """Keys that were loaded and are gone from the file, without a reload."""
    found = survey.node(name)
    assert isinstance(found.keystore, Keystore)
    survey = with_node(survey, name, keystore=replace(found.keystore, modified=STARTED - 600))
    return verify_fails(survey, name, STALE)


def keys_on_disk(survey: Survey, name: str, *settings: str) -> Survey:
    """Settings put into the keystore after the process started, and not loaded."""
    return with_keys(survey, name, *settings, modified=STARTED - 600)


def stale_on_disk(survey: Survey, name: str) -> Survey:
    """A whole pair in the file, not loaded."""
    return keys_on_disk(survey, name, *STATIC_KEYS)


def keystore_half(survey: Survey, name: str) -> Survey:
    """An access key without its secret, not loaded."""
    return keys_on_disk(survey, name, STATIC_KEYS[0])


def lone_session_token(survey: Survey, name: str) -> Survey:
    """A session token alone, not loaded."""
    return keys_on_disk(survey, name, "s3.client.default.session_token")


def keystore_unreadable(survey: Survey, name: str) -> Survey:
    """root's alone: Elasticsearch's user cannot read it again."""
    file = survey.node(name).keystore
    assert isinstance(file, Keystore)
    return with_node(survey, name, keystore=replace(file, group="root", mode="0600", readable_by_service=False))


def keystore_missing(survey: Survey, name: str) -> Survey:
    """Moved away while Elasticsearch runs."""
    file = survey.node(name).keystore
    assert isinstance(file, Keystore)
    gone = Keystore(
        path=file.path,
        exists=False,
        settings=(),
        format=None,
        owner=None,
        group=None,
        mode=None,
        modified=None,
        read_by=None,
        creatable_by_service=False,
    )
    return with_node(survey, name, keystore=gone)


def _with_default_client(survey: Survey, name: str, *default: S3Client) -> Survey:
    """Another default client on this node, or none; its other clients stay."""
    (member,) = (m for m in survey.clusters[0].members if m.name == name)
    return with_member(survey, name, clients=(*default, *(c for c in member.clients if c.name != "default")))


def region_missing(survey: Survey, name: str) -> Survey:
    """No region setting on this node: IMDS alone gives one."""
    config = survey.node(name).config
    assert isinstance(config, Config)
    gone = "s3.client.default.region"
    config = replace(
        config,
        settings={n: v for n, v in config.settings.items() if n != gone},
        names=tuple(n for n in config.names if n != gone),
    )
    return _with_default_client(with_node(survey, name, config=config), name)


def no_instance_role(survey: Survey, name: str) -> Survey:
    """IMDS answers but names no role: no instance profile."""
    found = survey.node(name)
    assert isinstance(found.imds, Imds)
    assert not isinstance(found.buckets, Unknown)
    why = Unknown(reason="not tried: IMDS gives no role credentials")
    survey = with_node(
        survey,
        name,
        imds=replace(found.imds, role_status=404, role=None, credentials=None),
        buckets=tuple(replace(b, signed_list=why) for b in found.buckets),
    )
    return verify_fails(survey, name, NO_CREDENTIALS)


def other_role(survey: Survey, name: str, role: str = "es-node-b") -> Survey:
    """Another role than the other nodes', which may do the same."""
    found = survey.node(name)
    assert isinstance(found.imds, Imds)
    return with_node(survey, name, imds=replace(found.imds, role=role))


def imds_says(survey: Survey, name: str, **changes: Any) -> Survey:
    """The node's metadata service answers otherwise."""
    found = survey.node(name)
    assert isinstance(found.imds, Imds)
    return with_node(survey, name, imds=replace(found.imds, **changes))


def untried(survey: Survey, name: str, why: str) -> Survey:
    """No list was signed, and Elasticsearch has nothing to sign with either."""
    found = survey.node(name)
    assert not isinstance(found.buckets, Unknown)
    unsigned = Unknown(reason=f"not tried: {why}")
    survey = with_node(survey, name, buckets=tuple(replace(b, signed_list=unsigned) for b in found.buckets))
    return verify_fails(survey, name, NO_CREDENTIALS)


def imds_off(survey: Survey, name: str) -> Survey:
    """Nobody at the metadata address."""
    refused = Imds(
        outcome="refused", milliseconds=0.4, asked_as="elasticsearch", as_service=True, own_outcome="refused"
    )
    return untried(with_node(survey, name, imds=refused), name, "IMDS names no role")


def imds_refuses_service_user(survey: Survey, name: str) -> Survey:
    """Nobody for Elasticsearch's user; root is answered."""
    refused = Imds(
        outcome="refused", milliseconds=0.4, asked_as="elasticsearch", as_service=True, own_outcome="answered"
    )
    return untried(with_node(survey, name, imds=refused), name, "IMDS names no role")


def imds_slow(survey: Survey, name: str) -> Survey:
    """Three seconds an answer."""
    survey = imds_says(survey, name, milliseconds=3004.0, slowest=3010.2, instance_id=None, region=None)
    return untried(survey, name, "IMDS answers later than Elasticsearch waits")


def expired_role_credentials(survey: Survey, name: str) -> Survey:
    """IMDS hands out what S3 no longer accepts."""
    late = RoleCredentials(code="Success", key_prefix="ASIA", expires=STARTED - 600)
    survey = imds_says(survey, name, credentials=late)
    refused = SignedList(status=400, code="ExpiredToken", message=EXPIRED)
    return verify_fails(role_refused(survey, name, refused), name, EXPIRED)


def container_of(**changes: Any) -> Container:
    """An endpoint for container credentials that hands them out."""
    given: dict[str, Any] = {
        "variable": "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "host": "127.0.0.1:51679",
        "outcome": "answered",
        "milliseconds": 2.0,
        "status": 200,
        "credentials": RoleCredentials(code="Success", key_prefix="ASIA", expires=STARTED + 3600),
    }
    return Container(**{**given, **changes})


def container_credentials(survey: Survey, name: str) -> Survey:
    """The process's environment names an endpoint where nobody is."""
    survey = started_with(survey, name, variables=("AWS_CONTAINER_CREDENTIALS_FULL_URI",))
    return with_node(survey, name, container=container_of(outcome="refused", status=None, credentials=None))


def role_refused(survey: Survey, name: str, answer: SignedList) -> Survey:
    """What S3 answers to every list that this node signs with its role."""
    found = survey.node(name)
    assert not isinstance(found.buckets, Unknown)
    return with_node(survey, name, buckets=tuple(replace(b, signed_list=answer) for b in found.buckets))


def role_without_bucket_access(survey: Survey, name: str) -> Survey:
    """Another role, which S3 denies the bucket."""
    denied = SignedList(status=403, code="AccessDenied", message="Access Denied")
    return verify_fails(role_refused(other_role(survey, name, "es-bare"), name, denied), name, DENIED)


def port_fails(survey: Survey, source: str, target: str, outcome: str, port: str = "transport") -> Survey:
    """From source, target's port does not open."""
    found = survey.node(source)
    assert not isinstance(found.dials, Unknown)
    changes: dict[str, Any] = {"outcome": outcome, "milliseconds": 3001.0 if outcome == "timeout" else 0.3}
    changes |= {"tls": None, "chain": ()}
    if outcome == "timeout":
        changes["tries"] = 2
    dials = tuple(replace(d, **changes) if d.member == node_id(target) and d.port == port else d for d in found.dials)
    return with_node(survey, source, dials=dials)


def port_refused(survey: Survey, name: str) -> Survey:
    """Transport of this node refuses one peer."""
    return port_fails(survey, _peer(survey, name), name, "refused")


def port_dropped(survey: Survey, name: str) -> Survey:
    """Transport of this node drops one peer's packets."""
    return port_fails(survey, _peer(survey, name), name, "timeout")


def left_out(survey: Survey, name: str) -> Survey:
    """The node's security group lets nobody in, and nobody else's lets the node in."""
    others = [node.name for node in survey.nodes if node.name != name]
    for source, target in [(name, other) for other in others] + [(other, name) for other in others]:
        for port in ("transport", "http"):
            survey = port_fails(survey, source, target, "timeout", port)
    return survey


def one_peer_blocked(survey: Survey, name: str) -> Survey:
    """Between the node and one peer nothing new comes through, either way, on either port."""
    for source, target in ((name, _peer(survey, name)), (_peer(survey, name), name)):
        for port in ("transport", "http"):
            survey = port_fails(survey, source, target, "timeout", port)
    return survey


def port_closed_http_only(survey: Survey, name: str) -> Survey:
    """The node's HTTP drops everybody else's packets."""
    for node in survey.nodes:
        if node.name != name:
            survey = port_fails(survey, node.name, name, "timeout", "http")
    return survey


def port_dropped_one_way(survey: Survey, name: str) -> Survey:
    """The node opens nobody's transport, and everybody its own."""
    for node in survey.nodes:
        if node.name != name:
            survey = port_fails(survey, name, node.name, "timeout")
    return survey


def _peer(survey: Survey, name: str) -> str:
    return next(n.name for n in survey.nodes if n.name != name)


def s3_cut_off(survey: Survey, name: str) -> Survey:
    """DNS answers, TCP to the bucket's endpoint does not."""
    found = survey.node(name)
    assert not isinstance(found.buckets, Unknown)
    gone = tuple(
        replace(
            b,
            tcp="timeout",
            milliseconds=3002.0,
            tls=None,
            head_status=None,
            bucket_region=None,
            clock_offset=None,
            signed_list=Unknown(reason="not tried: no TCP connection to the bucket's endpoint"),
        )
        for b in found.buckets
    )
    return verify_fails(with_node(survey, name, buckets=gone), name, CONNECT_TIMED_OUT)


def route_upstream(survey: Survey, name: str) -> Survey:
    """The node's own table is as its peers'; what lies behind its gateway drops its S3 traffic."""
    return s3_cut_off(survey, name)


def s3_dropped_by_host(survey: Survey, name: str) -> Survey:
    """A rule of the node's own nftables drops what goes to S3."""
    rule = f"ip daddr {S3_ADDRESS} tcp dport 443 drop"
    own = rulesets.chain(rule, hook="output", addresses=(*rulesets.ADDRESSES, S3_ADDRESS), ports=(443,))
    return with_node(s3_cut_off(survey, name), name, filters=own)


def route_blackhole(survey: Survey, name: str) -> Survey:
    """A route of the node's own swallows what goes to S3."""
    found = survey.node(name)
    assert isinstance(found.routing, Routing) and not isinstance(found.paths, Unknown)
    swallowed = route(S3_ADDRESS, kind="blackhole", device=None)
    paths = tuple(
        replace(p, kind="blackhole", gateway=None, device=None) if p.purpose.startswith("s3:") else p
        for p in found.paths
    )
    table = replace(found.routing, routes=(*found.routing.routes, swallowed))
    return s3_cut_off(with_node(survey, name, routing=table, paths=paths), name)


WAITED_FOR = Unknown(reason="_verify of s3_backup gave no answer within 20 s", remedy="give it longer")
SIZES = (1500, 1450, 1400, 1350, 1280, 1000, 576)


def packets(through: int, step: str | None, sizes: tuple[int, ...] = SIZES) -> Packets:
    """What a way that takes so many bytes at most and tells nobody does to a step; step: None, nothing is lost."""
    return Packets(
        path_mtu=sizes[0],
        retransmits=5 if step else 0,
        unacknowledged=2 if step == "request" else 0,
        step=step,  # type: ignore[arg-type]
        answered=tuple(size for size in sizes if size <= through) if step else (),
        unanswered=tuple(size for size in sizes if size > through) if step else (),
    )


def mtu_blackhole(survey: Survey, name: str) -> Survey:
    """S3 shows a certificate that is too long to come through: Elasticsearch waits, and `_verify` for Elasticsearch."""
    seen = change_buckets(
        survey,
        name,
        tls="timeout",
        milliseconds=15_020.0,
        head_status=None,
        bucket_region=None,
        clock_offset=None,
        signed_list=Unknown(reason=f"not tried: no TLS connection to {BUCKET} (timeout)"),
        leftovers=None,
        packets=packets(1000, "handshake"),
    )
    return with_cluster(seen, verifications=(WAITED_FOR,))


def mtu_blackhole_peers(survey: Survey, name: str) -> Survey:
    """What the node's HTTP answers its peers is lost where it is longer than a short packet."""
    for other in survey.nodes:
        if other.name != name and not isinstance(other.dials, Unknown):
            dials = tuple(
                replace(d, tls="timeout", chain=(), path_mtu=1500, short="ok")
                if (d.member, d.port) == (node_id(name), "http")
                else d
                for d in other.dials
            )
            survey = with_node(survey, other.name, dials=dials)
    return survey


SEED = "10.9.0.7:9300"


def with_remote(
    survey: Survey, *, shut: tuple[str, ...] = (), addresses: tuple[str, ...] = (SEED,), **more: Any
) -> Survey:
    """Every node is configured with a remote cluster, and dials it; shut: the nodes from which it does not open."""
    remote = Remote(name="archive", mode="sniff", addresses=addresses, **more)
    for one in survey.nodes:
        if isinstance(one.dials, Unknown):
            continue
        outcome = "timeout" if one.name in shut else "open"
        dials = tuple(
            Dial(
                member="archive",
                port="remote",
                target=target,
                outcome=outcome,  # type: ignore[arg-type]
                milliseconds=5001.0 if one.name in shut else 3.0,
                tries=2 if one.name in shut else 1,
            )
            for target in addresses
        )
        survey = with_node(survey, one.name, dials=(*one.dials, *dials))
    members = tuple(replace(m, remotes=(remote,)) for m in survey.clusters[0].members)
    return with_cluster(survey, members=members)


def remote_unreachable(survey: Survey, name: str) -> Survey:
    """A remote cluster that all other nodes reach."""
    return with_remote(survey, shut=(name,))


def given_twice(survey: Survey, name: str) -> Survey:
    """The node by its address too: another login, the same Elasticsearch."""
    found = survey.node(name)
    twin = replace(found, name=found.host, ssh=f"ssh admin@{found.host}")
    return replace(survey, nodes=(*survey.nodes, twin))


def policy_route(survey: Survey, name: str) -> Survey:
    """What the node's own address sends to S3 is looked up in a table that leads to a dead gateway."""
    found, dead = survey.node(name), "198.18.0.254"
    assert isinstance(found.routing, Routing) and not isinstance(found.paths, Unknown)
    rule = Rule(family="inet", priority=100, text=f"from 198.18.0.1{name[-1]} to {S3_ADDRESS} lookup 77")
    table = replace(
        found.routing,
        routes=(*found.routing.routes, route("default", gateway=dead, table="77")),
        rules=(*found.routing.rules, rule),
    )
    paths = tuple(replace(p, gateway=dead) if p.purpose.startswith("s3:") else p for p in found.paths)
    return s3_cut_off(with_node(survey, name, routing=table, paths=paths), name)


def dns_silent(survey: Survey, name: str) -> Survey:
    """No name has an address on this node."""
    survey = s3_cut_off(survey, name)
    survey = change_buckets(survey, name, dns="dns", addresses=(), tcp=None, milliseconds=5000.0)
    found = survey.node(name)
    assert not isinstance(found.paths, Unknown)
    return with_node(survey, name, paths=tuple(p for p in found.paths if not p.purpose.startswith("s3:")))


def answers_lost(survey: Survey, name: str) -> Survey:
    """The node's own connections to its peers are never answered; theirs to it are."""
    for other in [node.name for node in survey.nodes if node.name != name]:
        for port in ("transport", "http"):
            survey = port_fails(survey, name, other, "timeout", port)
    return survey


def dns_wrong(survey: Survey, name: str) -> Survey:
    """A line of /etc/hosts gives the bucket's name an address where nobody is; DNS has the right one."""
    survey = s3_cut_off(survey, name)
    found = survey.node(name)
    assert not isinstance(found.buckets, Unknown) and not isinstance(found.paths, Unknown)
    wrong = "198.18.1.99"
    buckets = tuple(replace(b, addresses=(wrong,), hosts_lines=(4,), resolver=(S3_ADDRESS,)) for b in found.buckets)
    paths = tuple(replace(p, target=wrong) if p.purpose.startswith("s3:") else p for p in found.paths)
    return with_node(survey, name, buckets=buckets, paths=paths)


def clock_skew(survey: Survey, name: str, seconds: float = -1200.0) -> Survey:
    """S3's answers to this node are of another time than its own; the SDK signs again and gets through."""
    found = survey.node(name)
    assert not isinstance(found.buckets, Unknown)
    return with_node(survey, name, buckets=tuple(replace(b, clock_offset=seconds) for b in found.buckets))


def change_buckets(survey: Survey, name: str, **changes: Any) -> Survey:
    """The survey with every bucket changed as this node sees it."""
    found = survey.node(name)
    assert not isinstance(found.buckets, Unknown)
    return with_node(survey, name, buckets=tuple(replace(b, **changes) for b in found.buckets))


def _repository(survey: Survey, **changes: Any) -> Survey:
    repositories = survey.clusters[0].repositories
    assert not isinstance(repositories, Unknown)
    return with_cluster(survey, repositories=tuple(replace(r, **changes) for r in repositories))


def region_wrong(survey: Survey, name: str) -> Survey:
    """The repository's own settings name another region: on every node, whichever is named."""
    survey = _repository(survey, region="us-east-1")
    for node in survey.nodes:
        survey = change_buckets(
            survey, node.name, host="es-snapshots.s3.us-east-1.amazonaws.com", head_status=301, bucket_region=REGION
        )
    return verify_fails(survey, _master(survey), REDIRECT)


def region_differs(survey: Survey, name: str) -> Survey:
    """This node's client is set to another region than the bucket's and the others'."""
    survey = _with_default_client(survey, name, S3Client(name="default", region="us-east-1"))
    host = "es-snapshots.s3.us-east-1.amazonaws.com"
    return verify_fails(change_buckets(survey, name, host=host, head_status=301), name, REDIRECT)


def removed_region_setting(survey: Survey, name: str) -> Survey:
    """cloud.aws.region in a file that no start has read yet."""
    return yml_names(survey, name, "cloud.aws.region")


def bucket_missing(survey: Survey, name: str) -> Survey:
    """The repository names a bucket that there is not."""
    survey = _repository(survey, bucket="es-snapshots-2019")
    for node in survey.nodes:
        survey = change_buckets(
            survey,
            node.name,
            host=f"es-snapshots-2019.s3.{REGION}.amazonaws.com",
            head_status=404,
            bucket_region=None,
            signed_list=SignedList(status=404, code="NoSuchBucket", message=NO_BUCKET),
        )
    return verify_fails(survey, _master(survey), NO_BUCKET)


def repository_plugin_missing(survey: Survey, name: str) -> Survey:
    """The node has started without the plugin that knows the repository's type, and without the plugin's settings."""
    for other in survey.clusters[0].members:
        survey = with_member(survey, other.name, plugins=() if other.name == name else ("lab-repository-s3 1",))
    sentence = (
        "[s3_backup] repository type [s3] is unknown; ensure that all required plugins are installed on this node"
    )
    return verify_fails(region_missing(survey, name), name, sentence)


def bucket_other_region(survey: Survey, name: str) -> Survey:
    """The repository's bucket lies in another region than every node's client is set to."""
    survey = _repository(survey, bucket="es-snapshots-virginia")
    host = f"es-snapshots-virginia.s3.{REGION}.amazonaws.com"
    for node in survey.nodes:
        survey = change_buckets(survey, node.name, host=host, head_status=301, bucket_region="us-east-1")
    return verify_fails(survey, _master(survey), REDIRECT)


def bucket_denied(survey: Survey, name: str) -> Survey:
    """A policy of the bucket denies this node's address what its role may do elsewhere."""
    words = (
        "User: arn:aws:sts::123456789012:assumed-role/es-node/i-0a is not authorized to perform: s3:ListBucket on "
        'resource: "arn:aws:s3:::es-snapshots" with an explicit deny in a resource-based policy'
    )
    answer = SignedList(status=403, code="AccessDenied", message=words)
    return verify_fails(change_buckets(survey, name, signed_list=answer), name, words)


def repository_readonly(survey: Survey, name: str) -> Survey:
    """Registered as read-only: `_verify` reads."""
    return _repository(survey, readonly=True)


def tls_untrusted(survey: Survey, name: str) -> Survey:
    """The JVM's trust store lacks the authority of S3's certificate; the host's own has it."""
    refused = "certificate verify failed: unable to get local issuer certificate"
    survey = change_buckets(
        survey,
        name,
        tls=refused,
        trust_store="/etc/ssl/certs/java/cacerts",
        host_trusts=True,
        head_status=None,
        bucket_region=None,
        clock_offset=None,
        signed_list=Unknown(reason="not tried: no TLS connection to the bucket"),
    )
    return verify_fails(survey, name, PKIX)


def _master(survey: Survey) -> str:
    return next(n.name for n in survey.nodes if node_id(n.name) == survey.clusters[0].master_id)


def route_own(survey: Survey, name: str, gateway: str = "198.18.0.254") -> Survey:
    """The node's own default route differs and S3 is cut off."""
    found = survey.node(name)
    assert isinstance(found.routing, Routing)
    assert not isinstance(found.paths, Unknown)
    routes = tuple(replace(r, gateway=gateway) if r.destination == "default" else r for r in found.routing.routes)
    paths = tuple(replace(p, gateway=gateway) if p.purpose.startswith("s3:") else p for p in found.paths)
    survey = with_node(survey, name, routing=replace(found.routing, routes=routes), paths=paths)
    return s3_cut_off(survey, name)


def elasticsearch_down(survey: Survey, name: str) -> Survey:
    """No Elasticsearch process; the others have noticed, and elected another master where it was the master."""
    why = Unknown(reason=f"no Elasticsearch process runs on {name}")
    survey = with_node(survey, name, process=None, view=why)
    return _member_gone(survey, name)


def configured(survey: Survey, name: str, **settings: str) -> Survey:
    """The node's elasticsearch.yml has these settings; `__` stands for a dot."""
    config = survey.node(name).config
    assert isinstance(config, Config)
    written = {setting.replace("__", "."): value for setting, value in settings.items()}
    names = tuple(sorted({*config.names, *written}))
    return with_node(survey, name, config=replace(config, settings={**config.settings, **written}, names=names))


def node_outside(survey: Survey, name: str) -> Survey:
    """It was started with addresses of nobody to look for, knows its cluster by its data, and waits for a master."""
    view = survey.node(name).view
    assert isinstance(view, View)
    survey = configured(survey, name, discovery__seed_hosts="198.18.0.199")
    survey = _member_gone(survey, name)
    return with_node(survey, name, view=replace(view, master_id=None))


def cluster_split(survey: Survey, name: str) -> Survey:
    """It was started with an empty data path and itself as initial master, and founded another cluster."""
    number = int(name.rpartition("-")[2])
    other = node_id(f"{name}-new")
    survey = configured(survey, name, discovery__seed_hosts="", cluster__initial_master_nodes=name)
    view = survey.node(name).view
    assert isinstance(view, View)
    view = replace(view, node_id=other, cluster_uuid=f"{other[:12]}ClusterOwn", master_id=other)
    survey = with_node(_member_gone(survey, name), name, view=view, buckets=())
    own = Cluster(
        uuid=view.cluster_uuid,
        name=view.cluster_name,
        asked=name,
        master_id=other,
        members=(replace(member(number), id=other),),
        repositories=(),
        verifications=(),
    )
    shown = Dial(
        member=other,
        port="http",
        target=f"{address(number)}:9200",
        outcome="open",
        milliseconds=0.4,
        tls="ok",
        chain=(certificate(number).fingerprint,),
    )
    survey = with_node(survey, name, dials=(shown,), certificates=(certificate(number),))
    return replace(survey, clusters=(*survey.clusters, own))


def another_answers(survey: Survey, name: str) -> Survey:
    """At the node's HTTP address everybody else meets the node after it, whose certificate is another."""
    number = int(name.rpartition("-")[2])
    peer = certificate(number % len(survey.nodes) + 1).fingerprint
    for node in survey.nodes:
        if node.name != name and not isinstance(node.dials, Unknown):
            met = tuple(
                replace(d, chain=(peer,)) if d.member == node_id(name) and d.port == "http" and d.chain else d
                for d in node.dials
            )
            survey = with_node(survey, node.name, dials=met)
    return survey


def restarted(survey: Survey, name: str) -> Survey:
    """Restarted while it was asked, before `_verify`, with keys on its disk that IAM does not know."""
    process = survey.node(name).process
    assert isinstance(process, Process)
    survey = with_node(stale_keys(survey, name), name, process=replace(process, pid=2412, started=STARTED + 0.8))
    return verify_asked(survey, STARTED + 2)


def verify_asked(survey: Survey, when: float) -> Survey:
    """Every `_verify` was called at that time."""
    told = survey.clusters[0].verifications
    assert not isinstance(told, Unknown)
    return with_cluster(
        survey, verifications=tuple(v if isinstance(v, Unknown) else replace(v, started=when) for v in told)
    )


def host_down(survey: Survey, name: str) -> Survey:
    """Nobody answers at the node's SSH port."""
    why = Unknown(
        reason=f"{name}: no answer from {survey.node(name).host}:22 within 5 s",
        remedy="is the host up, and does its security group let this machine in?",
    )
    blocked = Unknown(reason=f"{name} could not be surveyed (NODE-1)", blocked=True)
    seen = ("system", "install", "process", "keystore", "config", "sources", "imds", "routing")
    asked = ("view", "dials", "paths", "buckets")
    sections = dict.fromkeys((*seen, *asked), blocked)
    return _member_gone(with_node(survey, name, login=why, **sections), name)


def host_frozen(survey: Survey, name: str) -> Survey:
    """The node's sshd takes the connection and says nothing."""
    survey = host_down(survey, name)
    return with_node(survey, name, login=Unknown(reason=f"{name}: no banner from sshd within 5 s"))


def host_key_changed(survey: Survey, name: str) -> Survey:
    """The node shows another host key than the known one; the cluster has it all the same."""
    lost = host_down(survey, name).node(name)
    return replace(
        survey,
        nodes=tuple(
            replace(lost, login=Unknown(reason=f"{name}: its host key is not the known one")) if n.name == name else n
            for n in survey.nodes
        ),
    )


def _member_gone(survey: Survey, name: str) -> Survey:
    gone = node_id(name)
    cluster = survey.clusters[0]
    members = tuple(m for m in cluster.members if m.id != gone)
    master = next(m for m in members if "master" in m.roles) if cluster.master_id == gone else None
    new = master.id if master else cluster.master_id
    nodes = []
    for found in survey.nodes:
        view = found.view
        joined = isinstance(view, View) and view.cluster_uuid == cluster.uuid and view.master_id is not None
        if (joined or not isinstance(view, View)) and not (
            isinstance(found.dials, Unknown) or isinstance(found.paths, Unknown)
        ):
            found = replace(
                found,
                view=replace(view, master_id=new) if isinstance(view, View) else view,
                dials=tuple(d for d in found.dials if d.member != gone),
                paths=tuple(p for p in found.paths if p.purpose != f"peer:{gone}"),
            )
        nodes.append(found)
    inside = {m.id for m in members}
    asked = next((n.name for n in nodes if isinstance(n.view, View) and n.view.node_id in inside), cluster.asked)
    verifications = cluster.verifications
    if not isinstance(verifications, Unknown):
        verifications = tuple(
            v
            if isinstance(v, Unknown)
            else replace(
                v,
                verified=tuple(i for i in v.verified if i != gone),
                master_before=new,
                master_after=new,
            )
            for v in verifications
        )
    survey = replace(survey, nodes=tuple(nodes))
    return with_cluster(survey, members=members, master_id=new, asked=asked, verifications=verifications)


def written(survey: Survey, name: str, *lines: Source) -> Survey:
    """Lines in files that feed the node's next start."""
    found = survey.node(name).sources
    assert isinstance(found, Sources)
    files = tuple(dict.fromkeys((*found.files, *(line.path for line in lines))))
    return with_node(survey, name, sources=replace(found, files=files, found=(*found.found, *lines)))


def started_with(survey: Survey, name: str, *, variables: Iterable[str] = (), options: Iterable[str] = ()) -> Survey:
    """The running process has these names."""
    process = survey.node(name).process
    assert isinstance(process, Process)
    environment = tuple(sorted({*process.environment, *variables}))
    properties = tuple(sorted({*process.properties, *options}))
    return with_node(survey, name, process=replace(process, environment=environment, properties=properties))


ENVIRONMENT_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
OPTION_KEYS = ("aws.accessKeyId", "aws.secretAccessKey")


def default_file_keys(survey: Survey, name: str) -> Survey:
    """A pair in /etc/default/elasticsearch that the process was not started with."""
    path = "/etc/default/elasticsearch"
    lines = [Source(kind="variables", path=path, line=3 + at, name=n) for at, n in enumerate(ENVIRONMENT_KEYS)]
    return written(survey, name, replace(lines[0], key_prefix="AKIA"), lines[1])


def env_keys(survey: Survey, name: str) -> Survey:
    """The same pair, loaded and unknown to IAM."""
    survey = started_with(default_file_keys(survey, name), name, variables=ENVIRONMENT_KEYS)
    return verify_fails(survey, name, STALE)


def jvm_option_keys(survey: Survey, name: str) -> Survey:
    """A pair in jvm.options.d, loaded and unknown to IAM."""
    path = "/etc/elasticsearch/jvm.options.d/aws.options"
    lines = [Source(kind="jvm-options", path=path, line=1 + at, name=n) for at, n in enumerate(OPTION_KEYS)]
    return verify_fails(started_with(written(survey, name, *lines), name, options=OPTION_KEYS), name, STALE)


def yml_names(survey: Survey, name: str, *names: str) -> Survey:
    """More names in the node's elasticsearch.yml."""
    config = survey.node(name).config
    assert isinstance(config, Config)
    return with_node(survey, name, config=replace(config, names=tuple(sorted({*config.names, *names}))))


def yml_bare_keys(survey: Survey, name: str) -> Survey:
    """access_key and secret_key at the top of elasticsearch.yml."""
    return yml_names(survey, name, "access_key", "secret_key")


def snapshot_partial(survey: Survey, name: str) -> Survey:
    """`_verify` passes, and the newest snapshot lacks this node's shards."""
    failure = ShardFailures(node_id=node_id(name), sentence=STALE, shards=1)
    found = NewestSnapshot(
        repository="s3_backup", snapshot="nightly-2", state="PARTIAL", started=STARTED - 1800, failures=(failure,)
    )
    return with_cluster(survey, newest=(found,))


FAULTS: dict[str, Callable[[Survey, str], Survey]] = {
    "stale-keystore": stale_keys,
    "stale-in-memory": stale_in_memory,
    "stale-on-disk": stale_on_disk,
    "keystore-half": keystore_half,
    "lone-session-token": lone_session_token,
    "keystore-current-key": current_key,
    "keystore-password": keystore_password,
    "keystore-other-client": elsewhere_without_keys,
    "keystore-other-client-stale": elsewhere_with_an_old_key,
    "keystore-unreadable": keystore_unreadable,
    "keystore-missing": keystore_missing,
    "region-missing": region_missing,
    "no-instance-role": no_instance_role,
    "role-without-bucket-access": role_without_bucket_access,
    "other-role": other_role,
    "expired-role-credentials": expired_role_credentials,
    "imds-off": imds_off,
    "imds-slow": imds_slow,
    "imds-refuses-service-user": imds_refuses_service_user,
    "container-credentials": container_credentials,
    "port-refused": port_refused,
    "port-dropped": port_dropped,
    "one-peer-blocked": one_peer_blocked,
    "port-closed-http-only": port_closed_http_only,
    "port-dropped-one-way": port_dropped_one_way,
    "certificate-expired": certificate_expired,
    "transport-certificate-expired": transport_certificate_expired,
    "sg-missing-peer": left_out,
    "route-drift": route_own,
    "route-drift-upstream": route_upstream,
    "s3-dropped-by-host": s3_dropped_by_host,
    "route-blackhole": route_blackhole,
    "policy-route": policy_route,
    "mtu-blackhole": mtu_blackhole,
    "remote-cluster-unreachable": remote_unreachable,
    "mtu-blackhole-peers": mtu_blackhole_peers,
    "duplicate-node-in-inventory": given_twice,
    "dns-server-down": dns_silent,
    "route-table-swapped": route_upstream,
    "endpoint-not-associated": route_upstream,
    "nacl-return-path": answers_lost,
    "dns-wrong": dns_wrong,
    "clock-skew": clock_skew,
    "region-wrong": region_wrong,
    "region-differs": region_differs,
    "repository-plugin-missing": repository_plugin_missing,
    "removed-region-setting": removed_region_setting,
    "bucket-missing": bucket_missing,
    "bucket-other-region": bucket_other_region,
    "bucket-policy-denies-one-node": bucket_denied,
    "repository-readonly": repository_readonly,
    "s3-tls-untrusted": tls_untrusted,
    "env-keys": env_keys,
    "jvm-option-keys": jvm_option_keys,
    "default-file-keys": default_file_keys,
    "yml-bare-keys": yml_bare_keys,
    "snapshot-partial": snapshot_partial,
    "elasticsearch-down": elasticsearch_down,
    "node-outside-cluster": node_outside,
    "cluster-split": cluster_split,
    "wrong-peer-behind-the-address": another_answers,
    "node-restarts-during-the-run": restarted,
    "host-down": host_down,
    "host-frozen": host_frozen,
    "host-key-changed": host_key_changed,
}
"""The lab's faults as surveys."""

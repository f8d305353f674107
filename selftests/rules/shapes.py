"""Healthy shapes of real clusters that every check must stay quiet on, each made from the healthy survey."""

from __future__ import annotations

from collections.abc import Callable

import surveys
from msgspec.structs import replace
from surveys import elsewhere, healthy, node_id, route, routing, with_cluster, with_member, with_node

from preflight.facts import (
    Address,
    ChosenPath,
    Install,
    Process,
    Repository,
    Rule,
    S3Client,
    Source,
    Survey,
    Unknown,
)


def three_subnets(survey: Survey) -> Survey:
    """A node in each of three availability zones: own subnet, own gateway, peers behind it."""
    for number in (1, 2, 3):
        name, own, gateway = f"es-{number}", f"10.0.{number}.15", f"10.0.{number}.1"
        node = survey.node(name)
        assert not isinstance(node.paths, Unknown)
        paths = tuple(
            replace(
                p,
                gateway=None if p.purpose == "imds" else gateway,
                kind="on-link" if p.purpose == "imds" else "gateway",
            )
            if p.purpose == "imds" or p.purpose.startswith("s3:")
            else replace(p, kind="gateway", gateway=gateway, target=f"10.0.{p.purpose[7]}.15")
            for p in node.paths
        )
        resolver = route("10.0.0.2", gateway=gateway, protocol="dhcp", source=own)
        survey = with_node(survey, name, routing=routing(own, gateway, extra=[resolver]), paths=paths)
        survey = with_member(survey, name, transport=f"{own}:9300", http=f"{own}:9200")
    return survey


def neighbours_and_a_stranger(survey: Survey) -> Survey:
    """Two nodes in one subnet and one in another: on-link to one peer, through the gateway to the other."""
    node = survey.node("es-3")
    assert not isinstance(node.paths, Unknown)
    paths = tuple(replace(p, kind="gateway", gateway="198.18.5.1") if p.purpose != "imds" else p for p in node.paths)
    return with_node(survey, "es-3", routing=routing("198.18.5.13", "198.18.5.1"), paths=paths)


def _roles(survey: Survey, name: str, *roles: str) -> Survey:
    survey = with_member(survey, name, roles=roles)
    if "master" in roles and "voting_only" not in roles:
        return survey
    cluster = survey.clusters[0]
    assert not isinstance(cluster.verifications, Unknown)
    gone = node_id(name)
    if any(role.startswith("data") for role in roles):
        return survey
    return with_cluster(
        survey,
        verifications=tuple(
            replace(v, verified=tuple(i for i in v.verified if i != gone))
            for v in cluster.verifications
            if not isinstance(v, Unknown)
        ),
    )


def dedicated_masters(survey: Survey) -> Survey:
    """One master-only node beside data nodes, with a role of its own."""
    node = survey.node("es-1")
    assert not isinstance(node.imds, Unknown)
    survey = with_node(survey, "es-1", imds=replace(node.imds, role="es-master"))
    for name in ("es-2", "es-3"):
        survey = _roles(survey, name, "data_hot", "data_content", "ingest")
    return _roles(survey, "es-1", "master")


def coordinating(survey: Survey) -> Survey:
    """A coordinating node with HTTP on loopback, no role and no way to S3: it never touches a snapshot."""
    node = survey.node("es-3")
    assert not isinstance(node.imds, Unknown)
    assert not isinstance(node.buckets, Unknown)
    unreached = replace(
        node.buckets[0], tcp="timeout", tls=None, bucket_region=None, signed_list=Unknown(reason="no role")
    )
    survey = with_node(
        survey, "es-3", imds=replace(node.imds, role_status=404, role=None, credentials=None), buckets=(unreached,)
    )
    survey = with_member(_roles(survey, "es-3"), "es-3", http="127.0.0.1:9200")
    for name in ("es-1", "es-2"):
        dials = survey.node(name).dials
        assert not isinstance(dials, Unknown)
        survey = with_node(
            survey, name, dials=tuple(d for d in dials if not (d.member == node_id("es-3") and d.port == "http"))
        )
    return survey


def voting_only(survey: Survey) -> Survey:
    """A dedicated voting-only master: `_verify` leaves it out."""
    return _roles(survey, "es-3", "master", "voting_only")


def busy_host(survey: Survey) -> Survey:
    """Container bridges, a second interface with its policy table, IPv6 by router advertisement, on one node only."""
    own = "198.18.0.12"
    extra = [
        route("172.17.0.0/16", device="docker0", protocol="kernel", scope="link", source="172.17.0.1"),
        route("172.18.0.0/16", device="br-4f1e0c9d", protocol="kernel", scope="link"),
        route("169.254.0.0/16", scope="link", metric=1002),
        route("169.254.169.254", gateway="198.18.0.1", protocol="dhcp", metric=100),
        route("198.18.0.1", protocol="dhcp", scope="link", metric=100, source=own),
        route("198.18.0.2", protocol="dhcp", scope="link", metric=100, source=own),
        route("default", family="inet6", gateway="fe80::1", protocol="ra", metric=100),
        route("2001:db8::/64", family="inet6", protocol="ra"),
        route("fe80::/64", family="inet6", protocol="kernel"),
        route("default", family="inet6", kind="unreachable", device="lo", metric=4294967295),
        route("10.244.3.7", device="cali12ab34cd", scope="link"),
        route("198.18.0.12", kind="local", table="local"),
    ]
    table = routing(own, extra=extra)
    addresses = (
        *table.addresses,
        Address(device="docker0", family="inet", address="172.17.0.1", prefix=16, scope="global"),
        Address(device="eth0", family="inet6", address="fe80::5054:ff:fe12:3456", prefix=64, scope="link"),
    )
    rules = (Rule(family="inet", priority=0, text="from all lookup local"),)
    return with_node(survey, "es-2", routing=replace(table, addresses=addresses, rules=rules))


def policy_tables(survey: Survey) -> Survey:
    """Amazon Linux's per-interface tables, each with its own numbers."""
    for number in (1, 2, 3):
        own, table = f"198.18.0.{10 + number}", str(10_000 + number)
        extra = [
            route("default", gateway="198.18.0.1", table=table),
            route("198.18.0.0/24", table=table, scope="link"),
        ]
        rules = (Rule(family="inet", priority=10_000, text=f"from {own} lookup {table}"),)
        survey = with_node(survey, f"es-{number}", routing=replace(routing(own, extra=extra), rules=rules))
    return survey


def a_table_of_its_own(survey: Survey) -> Survey:
    """A per-interface table with its rule on one node only: it says what the main table says."""
    own = "198.18.0.13"
    extra = [route("default", gateway="198.18.0.1", table="eth0"), route("198.18.0.0/24", table="eth0", scope="link")]
    rules = (
        Rule(family="inet", priority=0, text="from all lookup local"),
        Rule(family="inet", priority=100, text=f"from {own} lookup eth0"),
    )
    return with_node(survey, "es-3", routing=replace(routing(own, extra=extra), rules=rules))


def gateways_as_somebody_chose(survey: Survey) -> Survey:
    """Off EC2, each subnet's gateway where its network's people put it: first, last, in the middle."""
    survey = three_subnets(only_elsewhere(survey))
    for number, last in ((1, 1), (2, 254), (3, 129)):
        name, own, gateway = f"es-{number}", f"10.0.{number}.15", f"10.0.{number}.{last}"
        found = survey.node(name).paths
        assert not isinstance(found, Unknown)
        paths = tuple(replace(p, gateway=gateway) if p.kind == "gateway" else p for p in found)
        survey = with_node(survey, name, routing=routing(own, gateway), paths=paths)
    return survey


def resolvers_of_all_kinds(survey: Survey) -> Survey:
    """One node asks the VPC's resolver by its link-local address, one a further server that no route leads to."""
    own = {
        "es-1": [("198.18.0.2", "on-link", None)],
        "es-2": [("169.254.169.253", "on-link", None)],
        "es-3": [("198.18.0.2", "on-link", None), ("fd00:ec2::253", "none", None)],
    }
    for name, servers in own.items():
        found = survey.node(name).paths
        assert not isinstance(found, Unknown)
        asked = tuple(ChosenPath(purpose="dns", target=t, kind=k, gateway=g) for t, k, g in servers)  # type: ignore[arg-type]
        survey = with_node(survey, name, paths=(*found, *asked))
    return survey


def _region_from_imds(survey: Survey) -> Survey:
    for number in (1, 2, 3):
        survey = surveys.region_missing(survey, f"es-{number}")
    return survey


def region_by_sdk_1(_: Survey) -> Survey:
    """8.18 on AWS SDK v1 with no region anywhere: it asks the bucket."""
    return _region_from_imds(healthy(version="8.18.0"))


def default_endpoint(_: Survey) -> Survey:
    """7.17 with the endpoint that it has by default written out: it finds the bucket all the same."""
    survey = _region_from_imds(healthy(version="7.17.29"))
    for number in (1, 2, 3):
        survey = with_member(survey, f"es-{number}", clients=(S3Client(name="default", endpoint="s3.amazonaws.com"),))
    return survey


def before_regions(_: Survey) -> Survey:
    """7.4: there is no region setting yet."""
    survey = _region_from_imds(healthy(version="7.4.2"))
    for found in survey.nodes:
        survey = surveys.imds_says(survey, found.name, tokenless_status=200)
    return survey


def region_by_environment(survey: Survey) -> Survey:
    """AWS_REGION on one node, a setting on the others: the same region."""
    process = survey.node("es-2").process
    assert process is not None
    assert not isinstance(process, Unknown)
    survey = surveys.region_missing(survey, "es-2")
    return with_node(survey, "es-2", process=replace(process, region_environment=surveys.REGION))


def _reloaded(survey: Survey) -> Survey:
    """Every keystore changed while Elasticsearch ran, and the made survey's node has loaded it since."""
    for number in (1, 2, 3):
        keystore = survey.node(f"es-{number}").keystore
        assert not isinstance(keystore, Unknown)
        survey = with_node(survey, f"es-{number}", keystore=replace(keystore, modified=surveys.STARTED - 3600))
    return survey


def elsewhere_reloaded(survey: Survey) -> Survey:
    """MinIO's keys came into every keystore while Elasticsearch ran, and each node was told to reload."""
    return _reloaded(elsewhere(survey))


def declared_keys(survey: Survey) -> Survey:
    """A second client of AWS, declared to sign with keys of its own, the same ones on every node."""
    keys = ("s3.client.archive.access_key", "s3.client.archive.secret_key")
    cluster = survey.clusters[0]
    assert not isinstance(cluster.repositories, Unknown)
    survey = with_cluster(
        survey,
        repositories=(*cluster.repositories, Repository(name="archive", type="s3", bucket="other", client="archive")),
        verifications=(
            *cluster.verifications,  # type: ignore[misc]
            surveys.verified("archive", (m.id for m in cluster.members)),
        ),
    )
    for number in (1, 2, 3):
        name = f"es-{number}"
        node = survey.node(name)
        assert not isinstance(node.buckets, Unknown)
        survey = with_node(
            surveys.with_keys(survey, name, *keys), name, buckets=(*node.buckets, surveys.bucket("archive"))
        )
        clients = tuple(S3Client(name=client, region=surveys.REGION) for client in ("default", "archive"))
        survey = with_member(survey, name, clients=clients)
    return surveys.declared(survey, "archive")


def declared_keys_reloaded(survey: Survey) -> Survey:
    """The same, put in while Elasticsearch ran, which was told to reload: no trace of that is left."""
    return _reloaded(declared_keys(survey))


def tarball(survey: Survey) -> Survey:
    """Unpacked in /opt and run by a user of its own, who owns everything; the keystore was made at the start."""
    for number in (1, 2, 3):
        node = survey.node(f"es-{number}")
        assert not isinstance(node.keystore, Unknown)
        assert isinstance(node.process, Process)
        assert isinstance(node.install, Install)
        path = "/opt/es/config/elasticsearch.keystore"
        made = replace(
            node.keystore,
            path=path,
            owner="search",
            group="search",
            modified=node.process.started + 8,
            creatable_by_service=True,
        )
        install = replace(node.install, layout="tar", home="/opt/es", path_conf="/opt/es/config", service_user="search")
        survey = with_node(
            survey, node.name, keystore=made, install=install, process=replace(node.process, user="search")
        )
    return survey


def only_elsewhere(survey: Survey) -> Survey:
    """Nothing goes to AWS, and the hosts are no EC2 instances."""
    survey = elsewhere(survey)
    cluster = survey.clusters[0]
    assert not isinstance(cluster.repositories, Unknown)
    survey = with_cluster(survey, repositories=cluster.repositories[1:])
    for number in (1, 2, 3):
        imds = survey.node(f"es-{number}").imds
        assert not isinstance(imds, Unknown)
        none = replace(imds, outcome="timeout", token_status=None, instance_id=None, role=None, role_status=None)
        survey = with_node(survey, f"es-{number}", imds=none)
    return survey


def other_ports(survey: Survey) -> Survey:
    """Transport on 9400 and HTTP on 9243."""
    for number in (1, 2, 3):
        own = surveys.address(number)
        survey = with_member(survey, f"es-{number}", transport=f"{own}:9400", http=f"{own}:9243")
    members = survey.clusters[0].members
    for number in (1, 2, 3):
        survey = with_node(survey, f"es-{number}", dials=surveys.node(number, members).dials)
    return survey


def one_of_three(survey: Survey) -> Survey:
    """One node of three given."""
    return replace(survey, nodes=survey.nodes[1:2])


def alone(_: Survey) -> Survey:
    """A cluster of one, transport on loopback."""
    return with_member(healthy(1), "es-1", transport="127.0.0.1:9300", http="127.0.0.1:9200")


def no_s3(survey: Survey) -> Survey:
    """A cluster that snapshots to a file system, or not yet at all."""
    for number in (1, 2, 3):
        imds = survey.node(f"es-{number}").imds
        assert not isinstance(imds, Unknown)
        survey = with_node(
            survey,
            f"es-{number}",
            imds=replace(imds, role_status=404, role=None, credentials=None),
            buckets=(),
        )
    return with_cluster(survey, repositories=(Repository(name="nfs", type="fs"),), verifications=())


def readonly_repository(survey: Survey) -> Survey:
    """A repository registered read-only: `_verify` only lists."""
    cluster = survey.clusters[0]
    assert not isinstance(cluster.repositories, Unknown)
    return with_cluster(survey, repositories=tuple(replace(r, readonly=True) for r in cluster.repositories))


def proxied(survey: Survey) -> Survey:
    """The S3 client goes through a proxy; the hosts themselves reach nothing outside."""
    for number in (1, 2, 3):
        name = f"es-{number}"
        node = survey.node(name)
        assert not isinstance(node.config, Unknown)
        assert not isinstance(node.buckets, Unknown)
        assert not isinstance(node.paths, Unknown)
        config = replace(node.config, names=(*node.config.names, "s3.client.default.proxy.host"))
        why = Unknown(reason="not tried: no TCP connection")
        cut = replace(node.buckets[0], tcp="no-route", tls=None, head_status=None, bucket_region=None, signed_list=why)
        paths = tuple(replace(p, kind="none", gateway=None) if p.purpose.startswith("s3:") else p for p in node.paths)
        survey = with_node(survey, name, config=config, buckets=(cut,), paths=paths)
    return survey


def proxied_by_the_jvm(survey: Survey) -> Survey:
    """The proxy stands in jvm.options, not in the client's settings."""
    survey = proxied(survey)
    for number in (1, 2, 3):
        process, config = survey.node(f"es-{number}").process, healthy().node(f"es-{number}").config
        assert isinstance(process, Process)
        process = replace(process, properties=(*process.properties, "https.proxyHost", "https.proxyPort"))
        survey = with_node(survey, f"es-{number}", process=process, config=config)
    return survey


def interface_endpoint(survey: Survey) -> Survey:
    """An S3 interface endpoint inside one node's own subnet: on-link there, through the gateway elsewhere."""
    survey = neighbours_and_a_stranger(survey)
    node = survey.node("es-1")
    assert not isinstance(node.paths, Unknown)
    paths = tuple(
        ChosenPath(purpose=p.purpose, target="198.18.0.77", kind="on-link", device="eth0", source=p.source)
        if p.purpose.startswith("s3:")
        else p
        for p in node.paths
    )
    return with_node(survey, "es-1", paths=paths)


def imds_closed_by_route(_: Survey) -> Survey:
    """Hosts that need no role have 169.254.169.254 on a blackhole route: hardening, not drift."""
    survey = only_elsewhere(healthy())
    for number in (1, 2, 3):
        paths = survey.node(f"es-{number}").paths
        assert not isinstance(paths, Unknown)
        closed = tuple(replace(p, kind="blackhole", device=None) if p.purpose == "imds" else p for p in paths)
        survey = with_node(survey, f"es-{number}", paths=closed)
    return survey


def web_identity(survey: Survey) -> Survey:
    """IRSA: a token file and a role's name are no static key, nor is a region from the environment."""
    names = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
    return _given(survey, *names)


def container_credentials(survey: Survey) -> Survey:
    """An endpoint that hands out credentials is no static key either."""
    survey = _given(survey, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    for found in survey.nodes:
        survey = with_node(survey, found.name, container=surveys.container_of())
    return survey


def proxies_and_tuning(survey: Survey) -> Survey:
    """Proxies, a metadata endpoint, a profile that repository-s3 may not read, a region as an option."""
    survey = _given(
        survey, "https_proxy", "NO_PROXY", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_PROFILE", "ES_JAVA_OPTS"
    )
    path = "/etc/elasticsearch/jvm.options"
    for number in (1, 2, 3):
        name = f"es-{number}"
        survey = surveys.started_with(survey, name, options=("aws.region", "https.proxyHost", "aws.disableEc2Metadata"))
        survey = surveys.written(survey, name, Source(kind="jvm-options", path=path, line=80, name="aws.region"))
    return survey


def _given(survey: Survey, *names: str) -> Survey:
    for number in (1, 2, 3):
        name, path = f"es-{number}", "/etc/systemd/system/elasticsearch.service.d/aws.conf"
        lines = [Source(kind="unit", path=path, line=2, name=n) for n in names if n.startswith("AWS_")]
        survey = surveys.written(surveys.started_with(survey, name, variables=names), name, *lines)
    return survey


def elsewhere_by_environment(survey: Survey) -> Survey:
    """Nothing goes to AWS, and the keys for where everything goes come from the environment."""
    survey = only_elsewhere(survey)
    for number in (1, 2, 3):
        name = f"es-{number}"
        survey = surveys.started_with(surveys.default_file_keys(survey, name), name, variables=surveys.ENVIRONMENT_KEYS)
    return survey


SHAPES: dict[str, Callable[[Survey], Survey]] = {
    shape.__name__: shape
    for shape in (
        three_subnets,
        neighbours_and_a_stranger,
        dedicated_masters,
        coordinating,
        voting_only,
        busy_host,
        policy_tables,
        a_table_of_its_own,
        gateways_as_somebody_chose,
        resolvers_of_all_kinds,
        region_by_sdk_1,
        default_endpoint,
        before_regions,
        region_by_environment,
        elsewhere,
        elsewhere_reloaded,
        declared_keys,
        declared_keys_reloaded,
        tarball,
        only_elsewhere,
        other_ports,
        one_of_three,
        alone,
        no_s3,
        readonly_repository,
        proxied,
        proxied_by_the_jvm,
        interface_endpoint,
        imds_closed_by_route,
        web_identity,
        container_credentials,
        proxies_and_tuning,
        elsewhere_by_environment,
    )
}

"""What to try: addresses read off the answers to the first question. Pure; opens nothing, judges nothing."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from . import fallback
from .addresses import host_of, stays_home
from .facts import Cluster, Config, Imds, Keystore, Member, NodeFacts, Process, Repository, Routing, Unknown, View
from .s3 import endpoint, s3_repositories
from .versions import STATIC_KEYS

IMDS = "169.254.169.254"
DEFAULT_PORTS = {"transport": 9300, "http": 9200}
"""Elasticsearch's defaults; the next 99 are tried by Elasticsearch itself where one is taken."""
SHOWN_WHOLE = 6
"""Members of a cluster of which every node hands on every certificate."""


def http(process: object, config: object, routing: object) -> list[str]:
    """URLs to ask the node's own Elasticsearch at, as seen on the node, likeliest first.

    Its listener decides; where none can be seen, loopback and then the host's own addresses, at http.port or 9200.
    What listens everywhere in a network namespace of its own is asked at its address there before that.
    https before http, unless the configuration says which.
    """
    settings = config.settings if isinstance(config, Config) else {}
    listeners = process.listeners if isinstance(process, Process) else ()
    written = settings.get("http.port", "")
    first = DEFAULT_PORTS["http"]
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", written)
    ports = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(first, first + 100)
    found = next((x for x in listeners if _port(x) in ports), None)
    addresses = routing.addresses if isinstance(routing, Routing) else ()
    own = [address.address for address in addresses if address.scope == "global"]
    if found:
        within = process.addresses if isinstance(process, Process) else ()
        apart = isinstance(process, Process) and process.own_network_namespace
        hosts = [*within, "127.0.0.1", *(own if apart else ())] if _wildcard(found) else [_host(found)]
    else:
        hosts = ["127.0.0.1", *own]
    enabled = settings.get("xpack.security.http.ssl.enabled", "").lower()
    schemes = {"true": ("https",), "false": ("http",)}.get(enabled, ("https", "http"))
    port = _port(found) if found else ports.start
    return [
        f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        for host in hosts
        if host != IMDS
        for scheme in schemes
    ]


def members(cluster: Cluster, own: str | None, within: str | None = None) -> list[dict[str, Any]]:
    """Published addresses of every member but the one with id `own`, of whose HTTP the certificate alone is wanted, and
    the addresses of remote clusters that this one opens connections to.

    Loopback and link-local addresses are nobody else's to dial. tls: a handshake is to be finished there; show: its
    certificates are wanted whole
    within: "host:port" of its HTTP where it has a network namespace of its own: behind a NAT there need be no way from
    in there to the address that it publishes
    """
    show = {member.id for member in _shown(cluster.members, own)}
    found: list[dict[str, Any]] = []
    for member in cluster.members:
        if member.id != own and not stays_home(member.transport):
            found.append({"member": member.id, "port": "transport", "target": member.transport})
        if member.http and not stays_home(member.http) and (member.id != own or member.http_tls):
            asked = {"tls": True, "show": member.id in show} if member.http_tls else {}
            target = within if within and member.id == own else member.http
            found.append({"member": member.id, "port": "http", "target": target, **asked})
    itself = next((member for member in cluster.members if member.id == own), None)
    if itself is not None and itself.connects and not isinstance(itself.remotes, Unknown):
        found += [
            {"member": remote.name, "port": "remote", "target": address}
            for remote in itself.remotes
            for address in remote.addresses
        ]
    return found


def _shown(members: Sequence[Member], own: str | None) -> Sequence[Member]:
    """Whose certificates a node hands on whole: of a few members all; of many its own and those of the next two, which
    shows each three times and costs no node more."""
    at = next((at for at, member in enumerate(members) if member.id == own), None)
    if len(members) <= SHOWN_WHOLE:
        return members
    return () if at is None else (*members, *members)[at : at + 3]


def assumed(others: Iterable[tuple[str, str, object]]) -> list[dict[str, Any]]:
    """Addresses of other given nodes where no cluster answered: what each listens on, else the default ports.

    others: (name, host, process section)
    """
    found: list[dict[str, Any]] = []
    for name, host, process in others:
        listeners = process.listeners if isinstance(process, Process) else ()
        for port, default in DEFAULT_PORTS.items():
            own = next((x for x in listeners if default <= _port(x) < default + 100 and not stays_home(x)), None)
            name_or_address = f"[{host}]" if ":" in host else host
            address = own if own and not _wildcard(own) else f"{name_or_address}:{_port(own) or default}"
            found.append({"member": name, "port": port, "target": address})
    return found


def destinations(dials: Iterable[dict[str, Any]], published: str | None = None) -> list[dict[str, str]]:
    """Where the kernel's choice of route is asked for: IMDS, the resolver and every peer (the probe adds the buckets').

    published: the node's own address that members reach it at; what answers them from there is asked for too
    """
    answers = {"source": published} if published else {}
    peers = {dial["member"]: _host(dial["target"]) for dial in dials if dial["port"] == "transport"}
    return [
        {"purpose": "imds", "target": IMDS},
        # Which addresses that are, the probe reads where the resolver reads it.
        {"purpose": "dns", "target": "resolv.conf"},
        *({"purpose": f"peer:{member}", "target": host, **answers} for member, host in peers.items()),
    ]


def published(facts: NodeFacts, cluster: Cluster) -> str | None:
    """The address that the node publishes its transport at; None where its host does not have it, as behind a NAT."""
    own = facts.view.node_id if isinstance(facts.view, View) else None
    member = next((m for m in cluster.members if m.id == own), None)
    here = {a.address for a in facts.routing.addresses} if isinstance(facts.routing, Routing) else set()
    address = _host(member.transport) if member else None
    return address if address in here else None


def buckets(
    facts: NodeFacts, cluster: Cluster, *, write: Literal["never", "for a fix", "always"], leftovers: bool = False
) -> list[dict[str, Any]]:
    """The question about each S3 repository's bucket. leftovers: list _verify's markers too, where they are ours.

    Signed with the role's credentials only towards AWS itself: elsewhere that would hand them to a third party.
    write: whether the role is to put, read and delete a marker object too; "for a fix": where static keys sign for the
    client today, which may go only if the role does what they do. Never into a read-only repository.
    """
    own = facts.view.node_id if isinstance(facts.view, View) else None
    member = next((m for m in cluster.members if m.id == own), None)
    signs = fallback.signer(facts, member)
    wanted = []
    for repository in s3_repositories(cluster.repositories):
        target = endpoint(facts, member, repository)
        wished = write == "always" or (write == "for a fix" and _signs_with_keys(facts, repository.client))
        why_not = ""
        if not target.aws:
            why_not = f"{target.service} is not AWS: the role's credentials are for AWS alone"
        elif signs.source is None:
            why_not = signs.why_not
        wanted.append(
            {
                "repository": repository.name,
                "bucket": repository.bucket,
                "base_path": repository.base_path,
                "service": target.service,
                "host": target.host,
                "port": target.port,
                "tls": target.tls,
                "region": target.region,
                "path_style": target.path_style,
                "sign": not why_not,
                "signer": signs.source,
                "why_not": why_not,
                "marker": _marker(repository) if wished and not why_not and not repository.readonly else None,
                "leftovers": leftovers and not repository.readonly,
            }
        )
    return wanted


def _marker(repository: Repository) -> dict[str, Any]:
    """A marker object's key and the headers that Elasticsearch writes every object of the repository with."""
    headers = {
        "x-amz-server-side-encryption": "AES256" if repository.server_side_encryption else None,
        "x-amz-acl": repository.canned_acl,
        "x-amz-storage-class": (repository.storage_class or "").upper() or None,
    }
    base = repository.base_path.strip("/")
    key = f"tests-preflight-{uuid.uuid4()}/marker.dat"
    return {"key": f"{base}/{key}" if base else key, "headers": {n: v for n, v in headers.items() if v}}


def _signs_with_keys(facts: NodeFacts, client: str) -> bool:
    """Static keys are there that may sign for the client: in its keystore, or in what the process was started with."""
    keystore = facts.keystore.settings if isinstance(facts.keystore, Keystore) else ()
    process = facts.process if isinstance(facts.process, Process) else None
    started = {*process.environment, *process.properties} if process else set()
    return f"s3.client.{client}.access_key" in keystore or any(
        source is not None and name in started for name, source in STATIC_KEYS.items()
    )


def identity(facts: NodeFacts, cluster: Cluster) -> dict[str, str] | None:
    """The question who the node is to AWS; None where nothing could sign it.

    Only where every S3 repository goes to AWS: who keeps buckets elsewhere may not want STS asked at all.
    """
    own = facts.view.node_id if isinstance(facts.view, View) else None
    member = next((m for m in cluster.members if m.id == own), None)
    ends = [endpoint(facts, member, repository) for repository in s3_repositories(cluster.repositories)]
    source = fallback.signer(facts, member).source
    region = facts.imds.region if isinstance(facts.imds, Imds) else None
    region = region or next((end.region for end in ends if end.region), None)
    if not ends or source is None or region is None or not all(end.aws for end in ends):
        return None
    suffix = ".cn" if region.startswith("cn-") else ""
    return {"host": f"sts.{region}.amazonaws.com{suffix}", "region": region, "signer": source}


def matched(name: str, host: str, process: object, routing: object, cluster: Cluster, view: View) -> View | Unknown:
    """The member that a given host is, by the transport address it listens on; never by its name.

    Where its listeners cannot be seen, the one member that publishes an address of it.
    view: what --es-url answered, which may be any member or none of them
    """
    if process is None:
        return Unknown(reason=f"no Elasticsearch process runs on {name}")
    listeners = process.listeners if isinstance(process, Process) else ()
    own = {address.address for address in routing.addresses} if isinstance(routing, Routing) else set()
    own.add(host)
    if isinstance(process, Unknown):
        there = [member for member in cluster.members if _host(member.transport) in own]
        return (
            msgspec.structs.replace(view, node_id=there[0].id, node_name=there[0].name) if len(there) == 1 else process
        )
    for member in cluster.members:
        listens = any(_port(listener) == _port(member.transport) for listener in listeners)
        if member.transport in listeners or (_host(member.transport) in own and listens):
            return msgspec.structs.replace(view, node_id=member.id, node_name=member.name)
    return Unknown(reason=f"no member of the cluster at {view.url} publishes an address of {name}")


def discovery_tags(configs: Iterable[object]) -> dict[str, tuple[str, ...]]:
    """discovery.ec2.tag.KEY of the first configuration that has one: {KEY: values}. {} where none has."""
    prefix = "discovery.ec2.tag."
    for config in configs:
        settings = config.settings if isinstance(config, Config) else {}
        found = {
            name.removeprefix(prefix): tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
            for name, value in settings.items()
            if name.startswith(prefix)
        }
        if found := {key: values for key, values in found.items() if values}:
            return found
    return {}


def _host(address: str) -> str:
    return host_of(address).removeprefix("::ffff:")


def _port(address: str | None) -> int:
    text = (address or "").rpartition(":")[2]
    return int(text) if text.isdigit() else 0


def _wildcard(address: str) -> bool:
    return _host(address) in ("0.0.0.0", "::", "*", "")  # noqa: S104 (compared, never bound)

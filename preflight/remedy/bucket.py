"""What stands between one node and its bucket: the name, the certificate, the clock."""

from __future__ import annotations

import shlex

from ..facts import BucketPath, CouldNotCheck, NodeFacts, Survey, Unknown
from ..judgement import Command, NotApplicable, Remedy
from ..rules import path, path_mtu, routes
from .asking import AFTERWARDS, CONTROLLER, ask, beforehand, stamp
from .network import own_route, shorten_packets, upstream_route

JAVA_OF_DEBIAN = "/etc/ssl/certs/java/"
"""Where Debian keeps the trust store of every JVM of its own, made from the host's."""


def reach_bucket(survey: Survey, node: NodeFacts) -> Remedy:
    """By the step that fails: the name, the certificate; routes behind the node where its own are as they should be."""
    broken = [] if isinstance(node.buckets, Unknown) else [b for b in node.buckets if path.problem(b)]
    first = next((b for b in broken if path.unconnected(b)), broken[0] if broken else None)
    named = next((b for b in broken if b.hosts_lines and path.misnamed(survey, node, b)), None)
    if named is not None:
        return _drop_name(survey, node, named)
    gone = next((b for b in broken if path.missing(b)), None)
    if gone is not None and gone is first:
        return _which_bucket(survey, node, gone)
    if first is not None and first.dns != "ok":
        return Remedy(
            caution="why the name has no address is not proven: these show whom the node asks, and the answer",
            commands=(
                Command(where=node.name, text=f"getent ahosts {shlex.quote(first.host)}"),
                Command(where=node.name, text="cat /etc/resolv.conf"),
            ),
            advice=("in a VPC the resolver is the subnet's; enableDnsSupport and the DHCP options decide",),
        )
    hole = path_mtu.hole(first) if first is not None else None
    if first is not None and hole is not None:
        return shorten_packets(survey, node, first, hole)
    if first is not None and not path.unconnected(first):
        return _whose_certificate(node, first)
    try:
        reference = routes.own_table_matches(survey, node)
    except (CouldNotCheck, NotApplicable):
        return upstream_route(survey, node)
    return own_route(survey, node) if reference is None else upstream_route(survey, node)


def _whose_certificate(node: NodeFacts, refused: BucketPath) -> Remedy:
    """Who signed what is served, and what the store that refuses it holds; which of the two is wrong they show."""
    to, name = shlex.quote(f"{refused.host}:{refused.port}"), shlex.quote(refused.host)
    commands = [
        Command(where=node.name, text=f"openssl s_client -connect {to} -servername {name} -showcerts </dev/null")
    ]
    advice = ["a proxy that opens TLS, an authority that the trust store lacks, or a wrong clock"]
    store = refused.trust_store
    if store is None:
        advice.append("Elasticsearch's own trust store is the JVM's")
    else:
        home, inside, _ = store.partition("/lib/security/")
        tool = shlex.quote(f"{home}/bin/keytool" if inside else "keytool")
        text = f"ls -l {shlex.quote(store)}; sudo {tool} -list -keystore {shlex.quote(store)}"
        commands.append(Command(where=node.name, text=text))
        advice.append(f"compare {store} with a node's that gets through: sha256sum {shlex.quote(store)}")
        if refused.host_trusts and store.startswith(JAVA_OF_DEBIAN):
            advice.append("Debian writes that file from the host's own store: sudo update-ca-certificates --fresh")
        elif refused.host_trusts:
            advice.append(
                "an upgrade replaces the JDK's own store: keep an authority of one's own in a file beside it and name "
                "that by -Djavax.net.ssl.trustStore in jvm.options.d"
            )
        advice.append("the JVM reads its store when it starts: restart Elasticsearch on this node afterwards")
    return Remedy(
        caution="which side is wrong about the certificate is not proven: this shows who signed it, and for whom",
        commands=tuple(commands),
        advice=(*advice, AFTERWARDS),
    )


def _which_bucket(survey: Survey, node: NodeFacts, gone: BucketPath) -> Remedy:
    """Deleted, or never there: who knows which is not on the node."""
    name = shlex.quote(gone.repository)
    return Remedy(
        caution="which bucket is meant is not proven: these show what the repository names and what the account has",
        commands=(
            ask(survey, node, f"_snapshot/{gone.repository}", "GET"),
            Command(where=CONTROLLER, text="aws s3api list-buckets --query 'Buckets[].Name' --output text"),
        ),
        advice=(
            *beforehand(node),
            f"another name: register {name} again (PUT _snapshot/{gone.repository}) with all of its settings and the "
            "right bucket; do not delete the repository first, searchable snapshots may hang on it",
            "deleted: a bucket of that name can be made again, empty; the snapshots in it are gone with it",
            AFTERWARDS,
        ),
    )


def _drop_name(survey: Survey, node: NodeFacts, named: BucketPath) -> Remedy:
    """Take the name out of its lines of /etc/hosts, where DNS has an address to take its place."""
    look = Command(where=node.name, text=f"grep -nF {shlex.quote(named.host)} /etc/hosts")
    if not named.resolver:
        return Remedy(
            caution="what DNS has for that name is not proven: without the line the node may have no address at all",
            commands=(look, Command(where=node.name, text=f"getent -s hosts:dns ahosts {shlex.quote(named.host)}")),
            advice=("where that prints an address, take the name out of /etc/hosts", AFTERWARDS),
        )
    pattern = named.host.replace(".", r"\.")
    edits = "; ".join(rf"{line}s/[[:blank:]]{pattern}([[:blank:]]|$)/\1/I" for line in named.hosts_lines)
    text = f"sudo sed -i.before-preflight-{stamp(survey)} -E {shlex.quote(edits)} /etc/hosts"
    return Remedy(
        commands=(look, Command(where=node.name, text=text)),
        advice=(
            "other names of that line stay; a copy of the file is kept beside it",
            "Elasticsearch asks again after a minute: neither reload nor restart",
            "take the line out of what wrote it too (user data, configuration management, a hosts template)",
            AFTERWARDS,
        ),
    )


def set_clock(node: NodeFacts) -> Remedy:
    """What keeps the node's clock, or does not; stepping it is for who knows why it drifted."""
    return Remedy(
        caution="why the clock is off is not proven: these show its time, what should keep it, and its source",
        commands=(
            Command(where=node.name, text="timedatectl"),
            Command(where=node.name, text="chronyc -n tracking || systemctl status systemd-timesyncd ntpd"),
        ),
        advice=(
            "on EC2 the time source is 169.254.169.123 (chrony: server 169.254.169.123 prefer iburst)",
            "then step it once, sudo chronyc makestep, on one node at a time",
            AFTERWARDS,
        ),
    )

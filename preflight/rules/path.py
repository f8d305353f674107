"""PATH-1: DNS, TCP and TLS from this node to the bucket of every S3 repository, whatever its routing table says."""

from __future__ import annotations

from .. import s3
from ..facts import BucketPath, CouldNotCheck, NodeFacts, Repository, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import members, path_mtu, routes
from . import repository as repository_rules

REACHED = "DNS, TCP and TLS to every S3 repository's bucket succeed"


def reaches_buckets(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the node reaches the bucket of every S3 repository that it talks to directly."""
    repositories = members.repositories(survey, node)
    members.require_user(survey.member_of(node))
    proxied = routes.proxied_repositories(survey, node)
    direct = tuple(r for r in repositories if r.name not in proxied)
    if not direct:
        raise NotApplicable("every S3 client of this node goes through a proxy")
    paths = {path.repository: path for path in known(node.buckets)}
    lines, doubts = [], []
    table = False
    for repository in direct:
        path = paths.get(repository.name)
        broken = problem(path) if path else None
        if path is None or broken is None:
            continue
        words = f"{repository.name}: {broken}"
        lost = path_mtu.hole(path) is not None
        if path.tcp == "open" and not (missing(path) or lost) and _other_trust(survey, node, path, repository):
            doubts.append(f"{words}; {_whose(path)}")
        else:
            lines.append(words)
            table = table or unconnected(path)
    if lines or doubts:
        first, *more = (*lines, *doubts)
        own = (_own_table(survey, node),) if table else ()
        return Finding(observed=first, expected=REACHED, details=(*more, *own), warning=not lines)
    for repository in direct:
        path = paths.get(repository.name)
        if path is None or path.tcp is None:
            raise CouldNotCheck(f"the path to the bucket of {repository.name} was not tried")
        if path.tls is None and s3.endpoint(node, survey.member_of(node), repository).tls:
            raise CouldNotCheck(f"TLS to the bucket of {repository.name} was not tried")
    return None


def unconnected(path: BucketPath) -> bool:
    """True where no TCP connection came about: the only step of the path that a route decides."""
    return path.tcp is not None and path.tcp != "open"


def _other_trust(survey: Survey, node: NodeFacts, path: BucketPath, repository: Repository) -> bool:
    """True where a certificate that was refused here says nothing of Elasticsearch, or nothing certain.

    `_verify` passes with it; or the JVM's trust store could not be read, `_verify` was not called, and a service of
    one's own may have an authority of one's own.
    """
    passes = repository_rules.good(survey, node, repository.name)
    elsewhere = not s3.endpoint(node, survey.member_of(node), repository).aws
    return bool(passes) or (passes is None and elsewhere and path.trust_store is None)


def _whose(path: BucketPath) -> str:
    if path.trust_store is None:
        return "that is this host's trust store, Elasticsearch has the JVM's"
    return "yet _verify passes"


def untrusted(path: BucketPath) -> bool:
    """True where the JVM's own trust store, or what stands in for it, does not accept S3's certificate."""
    return (path.tls or "").startswith("certificate verify failed")


def problem(path: BucketPath) -> str | None:
    """What is wrong with one path, in words with milliseconds; None where nothing is."""
    where = f"{path.host}:{path.port}"
    if path.dns != "ok":
        return f"the name {path.host} has no address (dns)"
    given = f", an address of /etc/hosts, line {path.hosts_lines[0]}" if path.hosts_lines else ""
    if path.tcp is not None and path.tcp != "open":
        how = {"refused": "refused", "timeout": "timeout", "no-route": "no route"}[path.tcp]
        return f"TCP to {where} ({', '.join(path.addresses)}{given}): {how} after {path.milliseconds:.0f} ms"
    hole = path_mtu.hole(path)
    if hole is not None:
        return (
            f"packets to or from {where} ({path.addresses[0]}{given}) of {hole.lost} bytes are lost, "
            f"of {hole.through} bytes they come through"
        )
    if path.tls not in (None, "ok"):
        store = f" by the JVM's {path.trust_store}" if path.trust_store else ""
        return f"TLS to {where}{f' ({path.addresses[0]}{given})' if given else ''}: {path.tls}{store}"
    if missing(path):
        return f"S3 has no bucket {path.host} (HTTP 404 to HEAD)"
    return None


def missing(path: BucketPath) -> bool:
    """True where S3 itself says that there is no such bucket: it tells anybody, and answers 403 for one that exists."""
    return path.head_status == 404 and s3.is_aws(path.host)


def misnamed(survey: Survey, node: NodeFacts, path: BucketPath) -> str | None:
    """Why the name is what is wrong with a broken path, as a line of evidence; None where nothing says so.

    Nobody gets there by that address: a line of /etc/hosts gave it, and DNS or a companion that reaches the bucket has
    another; or there is no address at all, where a companion has one. Raises CouldNotCheck.
    """
    if problem(path) is None or missing(path):
        return None
    reaching = {
        other.name: theirs.addresses
        for other in members.companions(survey, node)
        for theirs in (() if isinstance(other.buckets, Unknown) else other.buckets)
        if theirs.host == path.host and theirs.tcp == "open" and problem(theirs) is None
    }
    if path.dns != "ok":
        resolved = [f"{name} has {addresses[0]}" for name, addresses in reaching.items()]
        return f"the name {path.host} has no address here; {members.listed(resolved)}" if resolved else None
    if not path.hosts_lines or any(set(path.addresses) & set(theirs) for theirs in reaching.values()):
        return None
    others = [f"{name} reaches it at {addresses[0]}" for name, addresses in reaching.items()]
    if path.resolver and not set(path.resolver) & set(path.addresses):
        others.insert(0, f"DNS alone gives this node {path.resolver[0]}")
    if not others:
        return None
    line = f"line {path.hosts_lines[0]} of /etc/hosts gives {path.host} the address {path.addresses[0]}"
    return f"{line}; {members.listed(others)}"


def _own_table(survey: Survey, node: NodeFacts) -> str:
    try:
        reference = routes.own_table_matches(survey, node)
    except (CouldNotCheck, NotApplicable) as error:
        return f"own routing table: not compared ({error})"
    if reference is None:
        return "own routing table: differs from the others', or leads nowhere (ROUTE-1)"
    return f"own routing table: its traffic takes the same routes as {reference}'s, so the fault lies behind them"

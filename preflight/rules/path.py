"""PATH: DNS, TCP and TLS from this node to the bucket of every S3 repository, whatever its routing table says."""

from __future__ import annotations

from .. import s3
from ..facts import BucketPath, CouldNotCheck, NodeFacts, Repository, Survey, known
from ..judgement import Finding, NotApplicable
from . import members, routes
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
        if path.tcp == "open" and _other_trust(survey, node, repository):
            doubts.append(f"{words}; that is this host's trust store, Elasticsearch has the JVM's")
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


def _other_trust(survey: Survey, node: NodeFacts, repository: Repository) -> bool:
    """True where a certificate that this host refuses says nothing of Elasticsearch, which asks the JVM's trust store.

    `_verify` passes with it; or it was not called, and a service of one's own may have an authority of one's own.
    """
    passes = repository_rules.good(survey, node, repository.name)
    return bool(passes) or (passes is None and not s3.endpoint(node, survey.member_of(node), repository).aws)


def problem(path: BucketPath) -> str | None:
    """What is wrong with one path, in words with milliseconds; None where nothing is."""
    where = f"{path.host}:{path.port}"
    if path.dns != "ok":
        return f"the name {path.host} has no address (dns)"
    if path.tcp is not None and path.tcp != "open":
        how = {"refused": "refused", "timeout": "timeout", "no-route": "no route"}[path.tcp]
        return f"TCP to {where} ({', '.join(path.addresses)}): {how} after {path.milliseconds:.0f} ms"
    if path.tls not in (None, "ok"):
        return f"TLS to {where}: {path.tls}"
    return None


def _own_table(survey: Survey, node: NodeFacts) -> str:
    try:
        reference = routes.own_table_matches(survey, node)
    except (CouldNotCheck, NotApplicable) as error:
        return f"own routing table: not compared ({error})"
    if reference is None:
        return "own routing table: differs from the others', or leads nowhere (ROUTE-1)"
    return f"own routing table: its traffic takes the same routes as {reference}'s, so the fault lies behind them"

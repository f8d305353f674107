"""The table of causes, in the order an operator must act, and how its rows become ranked causes.

A row asks one node at a time: it answers with what it found there, or None. A route never makes S3 refuse a key and a
key never makes a connection fail: the rows that explain REPO-1 take only sentences that their cause can produce.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import remedy
from ..facts import CouldNotCheck, NodeFacts, Unknown, known
from ..judgement import Cause, NotApplicable, Remedy
from ..rules import members, path, region, repository, routes
from ..rules import node as rules
from . import aws, bucket, firewall, joining, keys, outside, packets, policies, ports, remotes, role, tls
from .found import Found, Row
from .scene import Pair, Scene


def _unreachable(scene: Scene, node: NodeFacts) -> Found | None:
    if not isinstance(node.login, Unknown):
        return None
    return Found(
        title="{nodes} could not be logged in to",
        evidence=(f"{node.name}: {node.login.reason.removeprefix(f'{node.name}: ')}",),
        confidence="certain",
        explains=(("NODE-1", node.name), *scene.unchecked(node.name), *ports.towards(scene, node)),
        remedy=remedy.reach_host(scene.survey, node),
    )


def _not_told(scene: Scene, node: NodeFacts) -> Found | None:
    why = rules.not_told(node)
    if why is None:
        return None
    return Found(
        title="{nodes}: which of the host's Elasticsearch processes is meant is not known",
        evidence=(f"{node.name}: {why.reason}",),
        confidence="certain",
        explains=(("NODE-1", node.name), *scene.unchecked(node.name)),
        remedy=Remedy(advice=(why.remedy,)),
    )


def _down(scene: Scene, node: NodeFacts) -> Found | None:
    if node.process is not None or not isinstance(node.view, Unknown):
        return None
    return Found(
        title="Elasticsearch does not run on {nodes}",
        evidence=(f"{node.name}: logged in, and no Elasticsearch process was found",),
        confidence="certain",
        explains=(("CLUSTER-1", node.name), *scene.unchecked(node.name), *ports.towards(scene, node)),
        remedy=remedy.start_elasticsearch(scene.survey, node),
    )


def _problems(scene: Scene, node: NodeFacts) -> tuple[str, ...]:
    """What is wrong with the node's TCP paths to buckets. Raises CouldNotCheck."""
    proxied = routes.proxied_repositories(scene.survey, node)
    return tuple(
        f"{node.name}: {path.problem(way)}"
        for way in known(node.buckets)
        if way.repository not in proxied
        and way.tcp not in (None, "open")
        and path.misnamed(scene.survey, node, way) is None
    )


def _own_route(scene: Scene, node: NodeFacts) -> Found | None:
    problems = _problems(scene, node)
    if not problems or routes.own_table_matches(scene.survey, node) is not None or firewall.cuts_off(scene, node):
        return None
    finding = routes.taken(scene.survey, node)
    differ = routes.compared(scene.survey, node).differs
    return Found(
        title="{nodes}: cut off from S3 by its own routes, which "
        + ("differ from its peers'" if differ else "lead nowhere"),
        evidence=(*problems, *((f"{node.name}: {finding.observed}",) if finding else ())),
        confidence="likely",
        explains=(
            ("ROUTE-1", node.name),
            ("ROUTE-2", node.name),
            ("PATH-1", node.name),
            *scene.repository_pairs(node, "connection"),
        ),
        remedy=remedy.own_route(scene.survey, node),
    )


def _upstream(scene: Scene, node: NodeFacts) -> Found | None:
    problems = _problems(scene, node)
    if not problems or aws.cut_off_by_table(scene, node) or firewall.cuts_off(scene, node):
        return None
    reference = routes.own_table_matches(scene.survey, node)
    if reference is None:
        return None
    reached, own = _reaching(scene, node), firewall.says(scene, node)
    contrast = (
        f"{members.listed(reached)} take the same routes and reach it"
        if reached
        else "no other node is known to reach it either"
    )
    return Found(
        title="{nodes}: cut off from S3 behind its own routes, which are as its peers' "
        "(the subnet's route table, S3 endpoint or NAT, security group, network ACL)",
        evidence=(
            *problems,
            f"{node.name}: its traffic takes the same routes as {reference}'s",
            contrast,
            *aws.table_leads(scene, node, hosts=bool(own)),
            *own,
        ),
        confidence="likely" if reached else "possible",
        explains=(("PATH-1", node.name), *scene.repository_pairs(node, "connection")),
        remedy=remedy.upstream_route(scene.survey, node),
    )


def _not_reached(scene: Scene, node: NodeFacts) -> Found | None:
    """What else keeps a node from a bucket: its certificate, or routes with nothing to compare them with."""
    finding = path.reaches_buckets(scene.survey, node)
    decided = (bucket.wrong_name, bucket.missing, bucket.untrusted, packets.lost_to_s3, firewall.cuts_off)
    if (
        finding is None
        or any(ask(scene, node) is not None for ask in decided)
        or policies.resolves_nothing(scene, node)
    ):
        return None
    if _problems(scene, node):
        try:
            routes.own_table_matches(scene.survey, node)
        except (CouldNotCheck, NotApplicable):
            pass
        else:
            return None  # a row above has decided it
    return Found(
        title=f"{{nodes}}: {finding.observed}",
        evidence=(*(f"{node.name}: {line}" for line in finding.details), *scene.sentences(node, "connection")),
        confidence="certain",
        explains=(
            ("PATH-1", node.name),
            *(() if finding.warning else scene.repository_pairs(node, "connection")),
        ),
        remedy=remedy.reach_bucket(scene.survey, node),
    )


def _reaching(scene: Scene, node: NodeFacts) -> list[str]:
    return [
        other.name
        for other in members.companions(scene.survey, node)
        if not isinstance(other.buckets, Unknown) and other.buckets and all(b.tcp == "open" for b in other.buckets)
    ]


def _wrong_region(scene: Scene, node: NodeFacts) -> Found | None:
    finding = region.agrees(scene.survey, node)
    if finding is None:
        return None
    return Found(
        title="{nodes}: the region is not the bucket's",
        evidence=(
            f"{node.name}: {finding.observed}",
            f"expected: {finding.expected}",
            *scene.sentences(node, "region"),
        ),
        confidence="certain",
        explains=(("REGION-1", node.name), ("REGION-2", node.name), *scene.repository_pairs(node, "region")),
        remedy=remedy.set_region(scene.survey, node),
    )


def _region_from_imds(scene: Scene, node: NodeFacts) -> Found | None:
    finding = region.not_from_imds_alone(scene.survey, node)
    if finding is None or bucket.unknown_type(scene, node) is not None:
        return None
    return Found(
        title="{nodes}: no setting gives the region; the metadata service alone does",
        evidence=(f"{node.name}: {finding.observed}",),
        confidence="certain",
        explains=(("REGION-2", node.name),),
        remedy=remedy.set_region(scene.survey, node),
    )


NODES_FIRST = (
    Row(id="host-unreachable", ask=_unreachable),
    Row(id="process-not-told", ask=_not_told),
    Row(id="elasticsearch-down", ask=_down),
)
"""Nothing else about such a node can be known before these are mended. Ports come next (ports.blocked)."""

ROWS = (
    Row(id="certificate-expired", ask=tls.expired),
    Row(id="node-outside-cluster", ask=joining.outside),
    Row(id="cluster-split", ask=joining.split),
    Row(id="wrong-peer", ask=joining.another_answers),
    Row(id="vpc-dns", ask=policies.unresolved),
    Row(id="dns-wrong", ask=bucket.wrong_name),
    Row(id="own-firewall", ask=firewall.cuts_off),
    Row(id="route-own", ask=_own_route),
    Row(id="route-table", ask=aws.subnet_route),
    Row(id="route-upstream", ask=_upstream),
    Row(id="path-mtu", ask=packets.lost_to_s3),
    Row(id="repository-plugin-missing", ask=bucket.unknown_type),
    Row(id="bucket-missing", ask=bucket.missing),
    Row(id="tls-untrusted", ask=bucket.untrusted),
    Row(id="bucket-not-reached", ask=_not_reached),
    Row(id="clock-skew", ask=bucket.wrong_clock),
    Row(id="container-credentials", ask=role.CONTAINER.ask),
    Row(id="imds-refuses-service-user", ask=role.USER_REFUSED.ask),
    Row(id="imds-out-of-reach", ask=role.OUT_OF_REACH.ask),
    Row(id="imds-protocol", ask=role.PROTOCOL.ask),
    Row(id="imds-hop-limit", ask=role.NAMESPACE.ask),
    Row(id="imds-slow", ask=role.SLOW.ask),
    Row(id="profile-without-role", ask=policies.empty_profile),
    Row(id="no-instance-role", ask=role.NO_ROLE.ask),
    Row(id="expired-role-credentials", ask=role.EXPIRED.ask),
    Row(id="policy-on-the-way", ask=policies.on_the_way),
    Row(id="role-denied", ask=role.denied),
    Row(id="policy-denies-node", ask=role.denied_here),
    Row(id="keystore-password", ask=keys.protected),
    Row(id="keystore-file", ask=keys.keystore_file),
    Row(id="keystore-half", ask=keys.half_pair),
    Row(id="temporary-key-alone", ask=keys.temporary_key),
    Row(id="keys-differ", ask=keys.keys_differ),
    Row(id="stale-static-keys", ask=keys.stale_keys),
    Row(id="static-keys-in-environment", ask=outside.environment_keys),
    Row(id="stale-keys-loaded", ask=keys.loaded_keys),
    Row(id="static-keys-waiting", ask=keys.waiting_keys),
    Row(id="static-keys-present", ask=keys.keys_present),
    Row(id="static-keys-on-disk", ask=outside.waiting_keys),
    Row(id="keystore-differs", ask=keys.keystore_differs),
    Row(id="other-role", ask=role.other_role),
    Row(id="would-not-start", ask=keys.would_not_start),
    Row(id="region-wrong", ask=_wrong_region),
    Row(id="region-missing", ask=_region_from_imds),
    Row(id="static-keys-ignored", ask=outside.idle_keys),
    Row(id="changed-since-start", ask=keys.changed),
    Row(id="remote-cluster-unreachable", ask=remotes.unreached),
)
"""In the order to act: a role proves itself only over a mended path, keys go only where the role is proven, and out of
a keystore that the tool and a reload can read."""


def ranked(scene: Scene) -> tuple[Cause, ...]:
    """Every cause that explains something, those behind a failure before those behind warnings, each in order."""
    causes = _asked(scene, NODES_FIRST)
    causes += ports.blocked(scene, explained={pair for cause in causes for pair in cause.explains})
    causes += packets.lost_between(scene)
    causes += _asked(scene, ROWS)
    explained = {pair for cause in causes for pair in cause.explains}
    causes += _findings_themselves(scene, explained)
    return tuple(sorted(causes, key=lambda cause: not _weighs(scene, cause)))


def _weighs(scene: Scene, cause: Cause) -> bool:
    outcomes = (scene.outcome(*pair) for pair in cause.explains)
    return any(o is not None and o.outcome != "warning" for o in outcomes)


def _asked(scene: Scene, rows: Iterable[Row]) -> list[Cause]:
    causes = []
    for row in rows:
        answers: dict[tuple[str, str, str | None], dict[str, Found]] = {}
        for node in scene.survey.nodes:
            try:
                found = row.ask(scene, node)
            except (CouldNotCheck, NotApplicable):
                continue  # undecided
            if found is not None and scene.troubled(found.explains):
                key = (found.title, found.confidence, found.remedy.caution)
                answers.setdefault(key, {})[node.name] = found
        causes += [_merged(scene, row.id, group) for group in answers.values()]
    return causes


def _merged(scene: Scene, id: str, group: dict[str, Found]) -> Cause:
    """One cause for all nodes that share it; the commands are the first node's, since one node is mended at a time."""
    names = tuple(group)
    first = group[names[0]]
    mend = first.remedy
    if names[1:]:
        more = f"then {members.listed(names[1:])}, one node at a time; each finding there has its own commands"
        mend = Remedy(commands=mend.commands, caution=mend.caution, advice=(*mend.advice, more))
    return Cause(
        id=id,
        title=first.title.replace("{nodes}", members.listed(names)),
        nodes=names,
        evidence=tuple(dict.fromkeys(line for found in group.values() for line in found.evidence)),
        confidence=first.confidence,
        explains=scene.troubled(pair for found in group.values() for pair in found.explains),
        remedy=mend,
        remedies=tuple(found.remedy for found in group.values()),
    )


def _findings_themselves(scene: Scene, explained: set[Pair]) -> list[Cause]:
    """One cause for each finding that no row knows: what was observed is the cause."""
    groups: dict[tuple[str, str], list[str]] = {}
    for outcome in scene.outcomes:
        if outcome.outcome in ("fail", "warning") and (outcome.check, outcome.node) not in explained:
            observed = (outcome.observed or outcome.reason).replace(outcome.node, "this node")
            groups.setdefault((outcome.check, observed), []).append(outcome.node)
    causes = []
    for (check, _), nodes in groups.items():
        first = scene.outcome(check, nodes[0])
        if first is None:
            continue
        pairs = [(check, node) for node in nodes]
        if check == "REPO-1":
            pairs += [
                (o.check, o.node) for o in scene.outcomes if o.check == check and o.reason.startswith(repository.STOPS)
            ]
        causes.append(
            Cause(
                id=f"finding-{check.lower()}",
                title=f"{members.listed(nodes)}: {first.observed or first.reason}",
                nodes=tuple(nodes),
                evidence=(f"{check}: {first.title}", *first.details),
                confidence="certain",
                explains=scene.troubled(pairs),
                remedy=first.remedy or Remedy(),
                remedies=tuple((scene.outcome(check, node) or first).remedy or Remedy() for node in nodes),
            )
        )
    return causes

"""AWS-4: the bucket's policy and that of the S3 endpoint on the way let this node's requests in, from where it asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from ...facts import CouldNotCheck, NodeFacts, Repository, Survey, known
from ...facts.policies import Condition, Policy
from ...judgement import Finding, NotApplicable
from .. import members
from . import places, policies, requests, s3_route
from .ways import Way

LETS_IN = "the policies of the bucket and of the endpoint on the way let this node list, read, write and delete"


class Shut(msgspec.Struct, frozen=True, kw_only=True):
    """One policy that denies this node what snapshots need, from where it asks.

    whose: a bucket or an endpoint; id: its name or id; actions: those denied; why: the statement, in words
    endpoints: ids that a condition of the statement asks for
    """

    repository: str
    whose: Literal["bucket", "endpoint"]
    id: str
    actions: tuple[str, ...]
    why: str
    endpoints: tuple[str, ...] = ()


def lets_in(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where no policy on the way denies this node what snapshots need, or S3 has proven that none does.

    Raises CouldNotCheck where a policy that could not be read, or a condition on what is not known here, may decide.
    """
    shut, doubts = judged(survey, node)
    if shut:
        way = s3_route.way(survey, node)
        first, *more = (
            f"{node.name}, which {_comes(survey, node, way)}: the policy of {one.whose} {one.id} denies "
            f"{members.listed(list(one.actions))} ({one.why})"
            for one in shut
        )
        return Finding(observed=first, expected=LETS_IN, details=tuple(more))
    if doubts:
        raise doubts[0]
    return None


def judged(survey: Survey, node: NodeFacts) -> tuple[tuple[Shut, ...], tuple[CouldNotCheck, ...]]:
    """The policies that deny, and what keeps others from being judged. Raises CouldNotCheck, NotApplicable."""
    places.control_plane(survey)
    paths = {path.repository for path in s3_route.paths(survey, node)}
    wanted = [one for one in requests.signed_by_role(survey, node) if one.name in paths]
    open_questions = {
        one.name: [action for action in requests.CORE if not requests.proven(survey, node, one, action)]
        for one in wanted
    }
    if not any(open_questions.values()):
        return (), ()
    way = s3_route.way(survey, node)
    if way.broken:
        raise NotApplicable(f"{node.name} has no way to S3 (AWS-2)")
    shut: list[Shut] = []
    doubts: list[CouldNotCheck] = []
    for one in wanted:
        if not open_questions[one.name]:
            continue
        asked = tuple(requests.of(survey, node, one, way, action) for action in open_questions[one.name])
        for whose, read in READERS.items():
            try:
                policy = read(survey, one, way)
            except CouldNotCheck as error:
                doubts.append(error)
                continue
            if policy is not None:
                identity = one.bucket if whose == "bucket" else way.target
                found, doubt = _judge(one, whose, identity or "", policy, asked)
                shut += found
                doubts += doubt
    return tuple(shut), tuple(doubts)


def _bucket_policy(survey: Survey, wanted: Repository, way: Way) -> Policy | None:
    read = places.control_plane(survey).policies.buckets
    found = next((one.policy for one in read if one.bucket == wanted.bucket), None)
    if found is None:
        raise CouldNotCheck(f"the policy of bucket {wanted.bucket} was not read")
    return known(found)


def _endpoint(survey: Survey, wanted: Repository, way: Way) -> Policy | None:
    if way.kind not in ("gateway endpoint", "interface endpoint"):
        return None
    known(places.control_plane(survey).endpoints)
    endpoint = places.index(survey).endpoints.get(way.target or "")
    if endpoint is None or endpoint.policy is None:
        raise CouldNotCheck(f"AWS told no policy of endpoint {way.target}")
    return known(endpoint.policy)


Whose = Literal["bucket", "endpoint"]

READERS: dict[Whose, Callable[[Survey, Repository, Way], Policy | None]] = {
    "bucket": _bucket_policy,
    "endpoint": _endpoint,
}


def _judge(
    wanted: Repository,
    whose: Whose,
    identity: str,
    policy: Policy,
    asked: tuple[policies.Request, ...],
) -> tuple[list[Shut], list[CouldNotCheck]]:
    """What denies, one entry a reason; a bucket in the role's own account needs no statement that allows."""
    reasons: dict[str, list[str]] = {}
    endpoints: set[str] = set()
    doubts = []
    for request in asked:
        denied = policies.denials(policy, request)
        allowed = policies.allows(policy, request) if whose == "endpoint" else True
        if denied and denied[0].certain:
            statement = denied[0].statement
            reasons.setdefault(_words(statement.sid, statement.conditions), []).append(request.action)
            endpoints |= _endpoints(statement.conditions)
        elif allowed is False:
            reasons.setdefault("no statement allows it", []).append(request.action)
        elif denied or allowed is None:
            keys = [key for denial in denied for key in denial.asks]
            asks = f": it asks for {members.listed(list(dict.fromkeys(keys)))}" if keys else ""
            why = f"whether the policy of {whose} {identity} denies {request.action} is not told{asks}"
            doubts.append(CouldNotCheck(why))
    found = [
        Shut(
            repository=wanted.name,
            whose=whose,
            id=identity,
            actions=tuple(actions),
            why=why,
            endpoints=tuple(sorted(endpoints)),
        )
        for why, actions in reasons.items()
    ]
    return found, doubts


def _words(sid: str, conditions: tuple[Condition, ...]) -> str:
    met = members.listed([f"{c.operator} {c.key} {', '.join(c.values)}" for c in conditions])
    name = f"statement {sid}" if sid else "a statement"
    return f"{name}: Deny{f' where {met}' if met else ''}"


def _endpoints(conditions: tuple[Condition, ...]) -> set[str]:
    return {value for c in conditions for value in c.values if c.key == "aws:sourcevpce" and value.startswith("vpce-")}


def _comes(survey: Survey, node: NodeFacts, way: Way) -> str:
    """How the node's requests reach S3, as a policy sees it."""
    if way.kind == "NAT gateway":
        gateway = places.index(survey).nat_gateways.get(way.target or "")
        public = f" from {gateway.public[0]}" if gateway and gateway.public else ""
        return f"comes by NAT gateway {way.target}{public}, through no endpoint"
    if way.kind == "internet gateway":
        own = places.of_node(survey, node)[0].public
        return f"comes by {way.target} from {own[0] if own else 'its public address'}, through no endpoint"
    return f"comes by {way.kind or 'a route'} {way.target} of {way.vpc}"

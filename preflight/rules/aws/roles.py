"""AWS-5: the instance profile holds a role, and IAM's simulation of that role's policies allows what snapshots need.

A simulation knows no policy of a bucket or an endpoint (AWS-4), and not every key that a condition asks for.
source: IAM API reference, SimulatePrincipalPolicy
"""

from __future__ import annotations

import msgspec

from ...facts import CouldNotCheck, Imds, NodeFacts, Repository, Survey, known
from ...facts.policies import Decision, Profile, Simulation
from ...judgement import Finding
from .. import members
from . import places, requests

ALLOWED = "a role in the instance profile, whose policies allow what snapshots need"

TIDYING = ("s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads")
"""Without these snapshots succeed, and what a failed upload left stays in the bucket. What else Elastic's documentation
asks for, Elasticsearch's requests do not need today."""


class Lacking(msgspec.Struct, frozen=True, kw_only=True):
    """What a role may not do on a bucket. denied: actions with the reason; tidying: none of them stops a snapshot"""

    role: str
    bucket: str
    base_path: str
    denied: tuple[tuple[str, str], ...]
    tidying: bool


def may_take_snapshots(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the profile has a role and its policies allow every action, or S3 has proven that they do.

    Raises CouldNotCheck where a role could not be read or simulated, or a condition asks for what is not known.
    """
    places.control_plane(survey)
    wanted = requests.signed_by_role(survey, node)
    requests.of_instance(survey, node)
    try:
        empty = without_role(survey, node)
    except CouldNotCheck:
        if all(requests.proven(survey, node, one, action) for one in wanted for action in requests.CORE):
            return None
        raise
    if empty is not None:
        return Finding(observed=empty, expected=ALLOWED)
    lacking, doubts = judged(survey, node, wanted)
    if any(not one.tidying for one in lacking) or (lacking and not doubts):
        first, *more = (_words(one) for one in sorted(lacking, key=lambda one: one.tidying))
        return Finding(
            observed=first, expected=ALLOWED, details=tuple(more), warning=all(one.tidying for one in lacking)
        )
    if doubts:
        raise doubts[0]
    return None


def without_role(survey: Survey, node: NodeFacts) -> str | None:
    """That the instance has no profile, or one without a role in it, in words; None where it has a role.

    What AWS says of the profile counts for the credentials to come, what IMDS names for those that it hands out now.
    Raises CouldNotCheck.
    """
    instance = places.of_node(survey, node)[0]
    if instance.profile is None:
        named = isinstance(node.imds, Imds) and node.imds.role is not None
        if named:
            raise CouldNotCheck(
                f"AWS lists no instance profile of {instance.id}, yet its metadata service names a role"
            )
        return f"{instance.id} has no instance profile"
    if not known(profile_of(survey, instance.profile).roles):
        return f"instance profile {name(instance.profile)} of {instance.id} has no role in it"
    return None


def profile_without_role(survey: Survey, node: NodeFacts) -> str | None:
    """The words of `without_role` where there is a profile and it is what lacks the role. Raises CouldNotCheck."""
    return without_role(survey, node) if places.of_node(survey, node)[0].profile else None


def profile_of(survey: Survey, arn: str) -> Profile:
    """What was read of an instance profile. Raises CouldNotCheck."""
    found = next((one for one in places.control_plane(survey).policies.profiles if one.arn == arn), None)
    if found is None:
        raise CouldNotCheck(f"instance profile {name(arn)} was not read")
    return found


def name(arn: str) -> str:
    """Name of a profile or a role, its path left out."""
    return arn.rpartition("/")[2]


def judged(
    survey: Survey, node: NodeFacts, wanted: tuple[Repository, ...]
) -> tuple[tuple[Lacking, ...], tuple[CouldNotCheck, ...]]:
    """What the role may not do, one entry a bucket and kind, and what keeps the rest from being told."""
    instance = places.of_node(survey, node)[0]
    arn = known(profile_of(survey, instance.profile or "").roles)[0]
    lacking: list[Lacking] = []
    doubts: list[CouldNotCheck] = []
    for one in wanted:
        core = [action for action in requests.CORE if not requests.proven(survey, node, one, action)]
        try:
            decisions = {d.action: d for d in known(_simulation(survey, arn, one).decisions)}
        except CouldNotCheck as error:
            # S3 itself has said all that stops a snapshot.
            doubts += [error] if core else []
            continue
        for actions, tidying in ((core, False), (TIDYING, True)):
            denied = [d for a in actions if (d := decisions.get(a)) is not None and d.decision != "allowed"]
            certain = [(d.action, _why(d)) for d in denied if not d.missing]
            if certain:
                place = {"bucket": one.bucket or "", "base_path": one.base_path}
                lacking.append(Lacking(role=arn, **place, denied=tuple(certain), tidying=tidying))
            unsure = [d for a in actions if (d := decisions.get(a)) is not None and d.missing]
            if unsure and not tidying:
                asked = members.listed(sorted({key for d in unsure for key in d.missing}))
                what = members.listed([d.action for d in unsure])
                doubts.append(
                    CouldNotCheck(f"whether {name(arn)} may {what} is not told: its policies ask for {asked}")
                )
    return tuple(lacking), tuple(doubts)


def _simulation(survey: Survey, arn: str, wanted: Repository) -> Simulation:
    found = places.control_plane(survey).policies.simulations
    place = (arn, wanted.bucket, wanted.base_path)
    simulation = next((s for s in found if (s.role, s.bucket, s.base_path) == place), None)
    if simulation is None:
        raise CouldNotCheck(f"{name(arn)} was not simulated on {wanted.bucket}")
    return simulation


def _why(decision: Decision) -> str:
    if decision.organization is False:
        return "no policy of the organization allows it"
    if decision.boundary is False:
        return "the role's permissions boundary does not allow it"
    return "a policy denies it" if decision.decision == "explicitDeny" else "no policy of the role allows it"


def _words(one: Lacking) -> str:
    by_reason: dict[str, list[str]] = {}
    for action, why in one.denied:
        by_reason.setdefault(why, []).append(action)
    below = f"{one.bucket}/{one.base_path}" if one.base_path else one.bucket
    told = "; ".join(f"{members.listed(actions)} ({why})" for why, actions in by_reason.items())
    return f"role {name(one.role)} may not, on {below}: {told}"

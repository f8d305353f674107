"""What a node asks of S3 as a policy sees it: who signs, through what it comes, and what S3 has proven already."""

from __future__ import annotations

from ... import fallback, s3
from ...facts import BucketPath, CouldNotCheck, Imds, NodeFacts, Repository, SignedList, Survey, Unknown
from ...judgement import NotApplicable
from .. import repository, role, signing
from . import places, policies
from .ways import Way

CORE = ("s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
"""Without one of these there is no snapshot."""

STEPS = {"s3:PutObject": "put", "s3:GetObject": "get", "s3:DeleteObject": "delete"}


def role_arn(survey: Survey, node: NodeFacts) -> str | None:
    """ARN of the role in the node's instance profile; None where it is not known, or IMDS names another role."""
    try:
        of_instance(survey, node)
        instance = places.of_node(survey, node)[0]
    except (CouldNotCheck, NotApplicable):
        return None
    profiles = places.control_plane(survey).policies.profiles
    found = next((profile.roles for profile in profiles if profile.arn == instance.profile), ())
    if isinstance(found, Unknown) or not found:
        return None
    told = node.imds.role if isinstance(node.imds, Imds) else None
    return found[0] if told in (None, found[0].rpartition("/")[2]) else None


def of_instance(survey: Survey, node: NodeFacts) -> None:
    """Raises NotApplicable where the endpoint of a container hands out the credentials, and not the instance."""
    member = survey.member_of(node)
    asked = fallback.sources(node, fallback.line(node, member))
    if "instance" not in asked or fallback.signer(node, member).source == "container":
        raise NotApplicable("a container's endpoint hands out the credentials, not the instance")


def of(survey: Survey, node: NodeFacts, wanted: Repository, way: Way, action: str) -> policies.Request:
    """One action on the repository's bucket, or on an object in it, that reaches S3 by this way."""
    partition = places.control_plane(survey).caller.split(":")[1]
    bucket = f"arn:{partition}:s3:::{wanted.bucket}"
    below = f"{wanted.base_path}/" if wanted.base_path else ""
    signs = None if signing.own_keys(survey, node, wanted) else role_arn(survey, node)
    context: dict[str, tuple[str, ...] | None] = dict(_network(survey, node, way))
    context["aws:securetransport"] = (str(s3.endpoint(node, survey.member_of(node), wanted).tls).lower(),)
    context["aws:viaawsservice"] = context["aws:principalisawsservice"] = ("false",)
    if signs:
        context["aws:principalarn"] = (signs,)
        context["aws:principalaccount"] = (signs.split(":")[4],)
        context["aws:principaltype"] = ("AssumedRole",)
    if action == "s3:ListBucket":
        context["s3:prefix"] = (below,)
    return policies.Request(
        action=action,
        resource=bucket if action == "s3:ListBucket" else f"{bucket}/{below}index-0",
        role=signs,
        context=context,
    )


def _network(survey: Survey, node: NodeFacts, way: Way) -> policies.Context:
    """Through what the request comes; nothing is known of what lies behind a transit gateway or an appliance.

    source: Amazon S3 user guide, bucket policies for VPC endpoints; aws:SourceIp is not there through an endpoint
    """
    instance, _, own = places.of_node(survey, node)
    if way.kind in ("gateway endpoint", "interface endpoint") and way.target:
        return {
            "aws:sourcevpce": (way.target,),
            "aws:sourcevpc": (way.vpc,),
            "aws:vpcsourceip": (own,),
            "aws:sourceip": None,
        }
    if way.kind == "NAT gateway":
        gateway = places.index(survey).nat_gateways.get(way.target or "")
        public = gateway.public if gateway else ()
    elif way.kind == "internet gateway":
        public = instance.public
    else:
        return {}
    outside: dict[str, tuple[str, ...] | None] = dict.fromkeys(("aws:sourcevpce", "aws:sourcevpc", "aws:vpcsourceip"))
    if len(public) == 1:
        outside["aws:sourceip"] = public
    return outside


def proven(survey: Survey, node: NodeFacts, wanted: Repository, action: str) -> bool:
    """True where S3 has accepted this action of the node's role from this node: that proves more than any policy read.

    By a list that the probe signed, a step of its marker object, or `_verify` where no static key signs.
    """
    path = path_of(node, wanted)
    answer = path.signed_list if path else None
    if action == "s3:ListBucket" and isinstance(answer, SignedList) and answer.status == 200:
        return True
    step = getattr(path.marker, STEPS[action]) if path and path.marker and action in STEPS else None
    if step is not None and step.status in (200, 204) and step.code is None:
        return True
    return repository.good(survey, node, wanted.name) is True and signing.own_keys(survey, node, wanted) is None


def path_of(node: NodeFacts, wanted: Repository) -> BucketPath | None:
    """The node's own path to the repository's bucket."""
    paths = () if isinstance(node.buckets, Unknown) else node.buckets
    return next((path for path in paths if path.repository == wanted.name), None)


def signed_by_role(survey: Survey, node: NodeFacts) -> tuple[Repository, ...]:
    """The repositories that the node's role has to sign for. Raises CouldNotCheck, NotApplicable where it has none."""
    role.needed(survey, node)
    wanted = role.repositories(survey, node)
    keys = [signing.own_keys(survey, node, one) for one in wanted]
    if all(keys):
        raise NotApplicable(str(keys[0]))
    return tuple(one for one, held in zip(wanted, keys, strict=True) if not held)

"""AWS-7: the VPC's DNS attributes let the node resolve S3's name.

source: VPC user guide, DNS attributes of a VPC
"""

from __future__ import annotations

from ...facts import CouldNotCheck, NodeFacts, Survey, known
from ...facts.policies import Vpc
from ...judgement import Finding
from .. import path
from . import places, s3_route

ATTRIBUTES = "DNS support and DNS hostnames are on in the VPC"


def resolve(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the node resolves its buckets' names, or the attributes are on.

    A node that resolves them has a resolver, whatever the attributes say: it may be one of its own. Raises
    CouldNotCheck, NotApplicable.
    """
    places.control_plane(survey)
    unresolved = [one for one in s3_route.paths(survey, node) if one.dns != "ok"]
    if not unresolved:
        return None
    vpc = attributes(survey, node)
    off = [name for name, on in (("DNS support", vpc.dns_support), ("DNS hostnames", vpc.dns_hostnames)) if not on]
    if not off:
        return None
    return Finding(
        observed=f"{path.problem(unresolved[0])}; {vpc.id} has {' and '.join(off)} switched off",
        expected=ATTRIBUTES,
        # Without hostnames alone Amazon's resolver still answers.
        warning=vpc.dns_support,
    )


def attributes(survey: Survey, node: NodeFacts) -> Vpc:
    """The DNS attributes of the node's VPC. Raises CouldNotCheck."""
    instance = places.of_node(survey, node)[0]
    found = next((vpc for vpc in known(places.control_plane(survey).vpcs) if vpc.id == instance.vpc), None)
    if found is None:
        raise CouldNotCheck(f"AWS told no DNS attributes of {instance.vpc}")
    return found

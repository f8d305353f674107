"""What AWS's control plane explains of a way to S3: the route table of a node's subnet, and what filters behind it."""

from __future__ import annotations

from .. import remedy
from ..facts import CouldNotCheck, NodeFacts
from ..judgement import NotApplicable
from ..rules.aws import s3_route
from .found import Found
from .scene import Scene


def subnet_route(scene: Scene, node: NodeFacts) -> Found | None:
    """A table that does not lead to S3 as the other nodes' do, or a filter; a difference alone cuts nobody off."""
    finding = s3_route.leads_to_s3(scene.survey, node)
    if finding is None:
        return None
    own = s3_route.way(scene.survey, node)
    cut = not finding.warning
    shut = cut and not own.broken
    if shut:
        title = f"{{nodes}}: cut off from S3 by a security group or network ACL of {own.subnet}"
    elif cut:
        title = f"{{nodes}}: cut off from S3 by the route table of {own.subnet}"
    else:
        title = "{nodes}: another way to S3 than most nodes', or a part of S3 shut out"
    said = finding.observed if shut or own.words not in finding.observed else f"{node.name} is in {own.subnet}"
    evidence = (said, f"AWS: {own.words}") if said == finding.observed else (f"{said}: {own.words}",)
    return Found(
        title=title,
        evidence=(*evidence, f"expected: {finding.expected}"),
        confidence="certain" if own.broken or not cut else "likely",
        explains=(
            ("AWS-2", node.name),
            *((("PATH-1", node.name), *scene.repository_pairs(node, "connection")) if cut else ()),
        ),
        remedy=remedy.lead_to_s3(scene.survey, node),
    )


def cut_off_by_table(scene: Scene, node: NodeFacts) -> bool:
    """True where AWS's own table or filter is what cuts the node off, so that nothing else upstream need be."""
    try:
        finding = s3_route.leads_to_s3(scene.survey, node)
    except (CouldNotCheck, NotApplicable):
        return False
    return finding is not None and not finding.warning


def table_leads(scene: Scene, node: NodeFacts, *, hosts: bool) -> tuple[str, ...]:
    """A line of evidence that the subnet's table is not to blame, nor what filters; none where AWS was not asked.

    hosts: what the host itself filters is known
    """
    try:
        own = s3_route.way(scene.survey, node)
        s3_route.leads_to_s3(scene.survey, node)
    except NotApplicable:
        return ()
    except CouldNotCheck as error:
        return (f"AWS: not told apart: {error}",) if scene.survey.aws is not None else ()
    look = "" if hosts else ": look for a filter of the host's"
    return (f"AWS: {own.words}; its security groups and network ACL let it through{look}",)

"""What AWS's control plane explains: the route table of a node's subnet."""

from __future__ import annotations

from .. import remedy
from ..facts import CouldNotCheck, NodeFacts
from ..judgement import NotApplicable
from ..rules.aws import s3_route
from .found import Found
from .scene import Scene


def subnet_route(scene: Scene, node: NodeFacts) -> Found | None:
    """A subnet whose table does not lead to S3 as the other nodes' do; a difference alone cuts nobody off."""
    finding = s3_route.leads_to_s3(scene.survey, node)
    if finding is None:
        return None
    own = s3_route.way(scene.survey, node)
    cut = not finding.warning
    return Found(
        title=f"{{nodes}}: cut off from S3 by the route table of {own.subnet}"
        if cut
        else "{nodes}: another way to S3 than most nodes'",
        evidence=(f"{node.name} is in {own.subnet}: {own.words}", f"expected: {finding.expected}"),
        confidence="certain" if own.broken or not cut else "likely",
        explains=(
            ("AWS-2", node.name),
            *((("PATH-1", node.name), *scene.repository_pairs(node, "connection")) if cut else ()),
        ),
        remedy=remedy.lead_to_s3(scene.survey, node),
    )


def cut_off_by_table(scene: Scene, node: NodeFacts) -> bool:
    """True where the route table of the node's subnet is what cuts it off, so that nothing else upstream need be."""
    try:
        finding = s3_route.leads_to_s3(scene.survey, node)
    except (CouldNotCheck, NotApplicable):
        return False
    return finding is not None and not finding.warning


def table_leads(scene: Scene, node: NodeFacts) -> tuple[str, ...]:
    """A line of evidence that the subnet's table is not to blame; none where AWS was not asked."""
    try:
        own = s3_route.way(scene.survey, node)
    except (CouldNotCheck, NotApplicable):
        return ()
    return (f"AWS: {own.words}; left are its security group, the network ACL and the endpoint's policy",)

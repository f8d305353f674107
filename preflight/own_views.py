"""Whose Elasticsearch is asked for its own view over ssm://: few nodes of many, for a session is a process here.

The first few are asked themselves, as over SSH every node is. Of more, those that are members of a cluster which these
told of have its view; who is in none is asked next. So a fleet costs as many sessions as a few nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from . import targets
from .asked import Asked
from .facts import Cluster, Unknown, View

AT_ONCE = 10
"""Nodes that are asked themselves before anything is concluded."""

MOST = 30
"""Nodes of one run that are asked themselves."""


def told_of(asked: Asked, clusters: Iterable[Cluster], others: Sequence[Asked]) -> bool:
    """Whether the node is a member of a cluster that others told of; then its view and its Elasticsearch are theirs."""
    process, routing = asked.sections["process"], asked.sections["routing"]
    for cluster in clusters:
        for other in others:
            view = other.view
            if other.api is None or not isinstance(view, View) or view.cluster_uuid != cluster.uuid:
                continue
            found = targets.matched(asked.node.name, asked.node.host, process, routing, cluster, view)
            if isinstance(found, View):
                asked.write(view=_at_its_own(found, cluster), api=other.api)
                return True
            break
    return False


def _at_its_own(view: View, cluster: Cluster) -> View:
    """The view with the address that the member publishes, where commands for this node are to go."""
    http = next((member.http for member in cluster.members if member.id == view.node_id), None)
    scheme = view.url.partition("://")[0]
    return msgspec.structs.replace(view, url=f"{scheme}://{http}") if http else view


def not_asked(name: str) -> Unknown:
    """The view of a node that is in no cluster which those that were asked told of."""
    return Unknown(
        reason=f"Elasticsearch on {name} was not asked: over ssm:// the first {AT_ONCE} nodes are, and further ones, "
        f"{MOST} in all, only where those told of a cluster that they are not in",
        remedy=f"put {name} first in --hosts, or survey it in a run of its own",
    )

"""A certificate that is past its time, and what cannot be asked because of it."""

from __future__ import annotations

from .. import remedy
from ..facts import NodeFacts, Unknown
from ..rules import tls
from .found import Found
from .scene import Scene


def expired(scene: Scene, node: NodeFacts) -> Found | None:
    """The suite itself refuses such a node: then everything that only its Elasticsearch could say follows from it."""
    found = tls.expired(scene.survey, node)
    if not found:
        return None
    refused = isinstance(node.view, Unknown) and "expired" in node.view.reason
    return Found(
        title="{nodes}: a certificate of Elasticsearch has expired",
        evidence=tuple(f"{node.name}: {line}" for line in found)
        + ((f"{node.name}: {node.view.reason}",) if refused and isinstance(node.view, Unknown) else ()),
        confidence="certain",
        explains=(("TLS-1", node.name), *(scene.unchecked(node.name) if refused else ())),
        remedy=remedy.renew_certificate(scene.survey, node),
    )

"""NODE: the node could be logged in to and surveyed."""

from __future__ import annotations

from ..facts import CouldNotCheck, NodeFacts, Unknown
from ..judgement import Finding


def surveyed(node: NodeFacts) -> Finding | None:
    """None where login and survey worked.

    Raises CouldNotCheck with the reason otherwise, never as blocked: every other check of the node is blocked by this.
    """
    for section in (node.login, node.system):
        if isinstance(section, Unknown):
            raise CouldNotCheck(section.reason, section.remedy)
    return None


def not_told(node: NodeFacts) -> Unknown | None:
    """Why nothing was asked of a node that was logged in to: which of its host's processes it is was not told."""
    if isinstance(node.login, Unknown) or not isinstance(node.system, Unknown):
        return None
    return node.system if isinstance(node.process, Unknown) and node.process.blocked else None

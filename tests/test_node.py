"""The node itself: whether there is anything to judge."""

from preflight.check import check
from preflight.judgement import require
from preflight.rules import node as nodes


@check("NODE-1", severity="critical", needs=("login", "system"))
def test_node_can_be_surveyed(node):
    """The node can be logged in to and surveyed.

    Everything else that is said of a node rests on this. Where it fails, the node's other checks are blocked: not
    passed, not failed, and named once here with the reason and what would open the way.
    """
    require(nodes.surveyed(node))

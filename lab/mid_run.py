"""Restarts a node's Elasticsearch in the middle of a run: `python -m lab.mid_run NODE`, once, and ends.

The moment is the suite's own: after it has read what the node's process is, its next step is to ask the node's
Elasticsearch through the node itself. Those connections are held by a filter that drops their first packet; the first
of them is seen, Elasticsearch restarted, the cluster waited for, and only then are they let through. So the restart
lies between the two whatever either takes.
"""

from __future__ import annotations

import sys

from . import elasticsearch, names, network, state
from .errors import LabError
from .names import Node
from .processes import run, start, stop, wait_until

TABLE = "fault_mid_run"
PATIENCE = 900.0
"""Seconds until somebody must have asked."""


def arm(node: Node) -> None:
    """Hold the connections, and wait for the first in the background."""
    new = f"oif lo tcp dport {names.HTTP_PORT} tcp flags & (syn | ack) == syn drop"
    network.filter_at(node.namespace, TABLE, "output", new)
    start(_name(node), [sys.executable, "-m", "lab.mid_run", node.name])


def disarm(node: Node) -> None:
    """Nothing waits any more, and Elasticsearch runs."""
    stop(_name(node))
    network.unfilter(node.namespace, TABLE)
    elasticsearch.systemctl(node, "start")


def _name(node: Node) -> str:
    return f"{node.name}-mid-run"


def _is_asked(node: Node) -> bool:
    waiting = ["ss", "-Htn", "state", "syn-sent", "dport", "=", f":{names.HTTP_PORT}"]
    return bool(run(["ip", "netns", "exec", node.namespace, *waiting]).strip())


def main(arguments: list[str]) -> int:
    lab = state.require()
    node = lab.node(arguments[0])
    try:
        if not wait_until(lambda: _is_asked(node), PATIENCE, every=0.2):
            raise LabError(f"nobody has asked {node.name} within {PATIENCE:.0f} s")
        members = [other for other in lab.nodes if elasticsearch.is_running(other)]
        elasticsearch.systemctl(node, "restart")
        elasticsearch.wait_for_members(members)
    except LabError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    finally:
        network.unfilter(node.namespace, TABLE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

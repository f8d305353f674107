"""Breaking and mending a lab, and what the suite must then say of it."""

from __future__ import annotations

from collections.abc import Iterable

from .. import distribution, elasticsearch
from ..errors import LabError
from ..names import Node
from ..progress import say
from ..state import Lab
from .fault import Expected, peer_of
from .table import FAULTS

ONLY_WITH_COMPLETE = "CLUSTER-2"
"""The check that is not applicable on any node of any cluster unless --complete is given."""


def expectation(fault: str, lab: Lab) -> Expected:
    """What must follow from a fault on the lab's version."""
    row = FAULTS[fault]
    if row.on_sdk_v1 is not None and lab.version is not None and distribution.sdk(lab.version) == 1:
        return row.on_sdk_v1
    return row.then


def expected(
    fault: str, checks: Iterable[str], lab: Lab, victim: Node, *, is_master: bool
) -> dict[tuple[str, str], str]:
    """{(check, node name): outcome} of everything that must differ from the healthy cluster, nothing else."""
    then = expectation(fault, lab)
    rules = {**then.outcomes, **(then.on_master if is_master else {})}
    has_peer = any(who == "peer" for _, who in rules)
    found: dict[tuple[str, str], str] = {}
    for node in lab.nodes:
        who = "victim" if node == victim else "peer" if has_peer and node == peer_of(lab, victim) else "others"
        for check in checks:
            if check == ONLY_WITH_COMPLETE:
                continue
            outcome = rules.get((check, who), rules.get(("*", who)))
            if outcome is not None:
                found[check, node.name] = outcome
    return found


def expected_members(lab: Lab) -> tuple[Node, ...]:
    """The nodes that form the cluster with everything broken that is broken."""
    return _members_without(lab, lab.broken)


def _members_without(lab: Lab, broken: Iterable[tuple[str, str]]) -> tuple[Node, ...]:
    gone = {node for fault, node in broken if FAULTS[fault].leaves}
    return tuple(node for node in lab.nodes if node.name not in gone)


def break_(lab: Lab, name: str, node_name: str) -> None:
    """Break a node and wait until the cluster is in the state that the fault leads to."""
    fault = FAULTS.get(name)
    if fault is None:
        raise LabError(f"no fault {name!r}: choose from {', '.join(FAULTS)}")
    victim = lab.node(node_name)
    if (name, victim.name) in lab.broken:
        raise LabError(f"{name} is already broken on {victim.name}: `python -m lab heal` mends it")
    if fault.needs_elasticsearch:
        elasticsearch.require(lab)
    if fault.needs_peers and len(lab.nodes) < 2:
        raise LabError(f"{name} needs a peer: this lab has one node, `up --nodes 3` has three")
    if victim not in expected_members(lab):
        raise LabError(f"{victim.name} is already out of the cluster: `python -m lab heal` brings it back")
    was_master = lab.version is not None and fault.restarts and elasticsearch.master(expected_members(lab)) == victim
    say(f"{name} on {victim.name}: {fault.what}")
    # Remembered first: an interrupted break is mended like a finished one.
    lab.broken.append((name, victim.name))
    lab.save()
    fault.break_(lab, victim)
    if lab.version is not None:
        members = expected_members(lab)
        say(f"waiting for a settled cluster of {len(members)}")
        elasticsearch.wait_for_members(members)
        if was_master and len(members) > 1:
            elasticsearch.make_master(victim, members)
    say("broken")


def heal(lab: Lab, only: str | None = None) -> None:
    """Mend what is broken and wait for the cluster; once nothing is broken, for its repository too.

    only: the one fault to mend, on every node it was broken on
    """
    if only is not None and only not in FAULTS:
        raise LabError(f"no fault {only!r}: choose from {', '.join(FAULTS)}")
    mending = [entry for entry in lab.broken if only in (None, entry[0])]
    if not mending:
        say("nothing is broken" if only is None else f"{only} is not broken")
        return
    # Hosts and processes first: the others' mending may need them running.
    for name, node_name in sorted(mending, key=lambda entry: not FAULTS[entry[0]].leaves):
        say(f"mending {name} on {node_name}")
        FAULTS[name].heal(lab, lab.node(node_name))
    left = [entry for entry in lab.broken if entry not in mending]
    if lab.version is not None:
        elasticsearch.wait_for_members(_members_without(lab, left))
        if not left:
            elasticsearch.wait_for_repository(lab.nodes)
    lab.broken[:] = left
    lab.save()
    say("still broken: " + ", ".join(f"{name} on {node}" for name, node in left) if left else "healthy")

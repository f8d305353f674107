"""Breaking and mending a lab, and what the suite must then say of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import cloud, distribution, elasticsearch
from ..errors import LabError
from ..names import Node
from ..progress import say
from ..state import Lab
from .fault import Expected, Run, peer_of
from .table import FAULTS

ONLY_ON_REQUEST = frozenset({"CLUSTER-2", "PORT-3", *(f"AWS-{number}" for number in range(1, 8))})
"""Checks that are not applicable on any node of any cluster unless --complete, --aws or a remote cluster asks for
them."""

WHERE_SEEN = frozenset({"CLUSTER-3", "SNAP-1", "REPO-2"})
"""Checks that pass, or do not apply where nothing was there to look at: neither differs from a healthy cluster."""


def on_sdk_v1(version: str | None) -> bool:
    """Whether a lab of this version follows the rules of AWS SDK v1; False without Elasticsearch."""
    return version is not None and distribution.sdk(version) == 1


def expectation(fault: str, lab: Lab) -> Expected:
    """What must follow from a fault on the lab's version."""
    row = FAULTS[fault]
    if row.on_sdk_v1 is not None and on_sdk_v1(lab.version):
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
    judged = [
        ("victim" if node == victim else "peer" if has_peer and node == peer_of(lab, victim) else "others", node.name)
        for node in lab.nodes
    ]
    checks = tuple(checks)
    for who, name in (*judged, *FAULTS[fault].run(lab, victim).besides.items()):
        for check in checks:
            outcome = rules.get((check, who), None if check in ONLY_ON_REQUEST else rules.get(("*", who)))
            if outcome is not None:
                found[check, name] = outcome
    return found


def run_of(row: str, lab: Lab, victim: Node | None) -> Run:
    """How the suite is run while that is broken. row: a fault's name, or what else a matrix has for a row"""
    return FAULTS[row].run(lab, victim) if victim is not None and row in FAULTS else Run()


def expected_members(lab: Lab) -> tuple[Node, ...]:
    """The nodes that form the cluster with everything broken that is broken."""
    return _members_without(lab, lab.broken)


def _members_without(lab: Lab, broken: Iterable[tuple[str, str]]) -> tuple[Node, ...]:
    gone = {node for fault, node in broken if FAULTS[fault].leaves}
    return tuple(node for node in lab.nodes if node.name not in gone)


def break_(lab: Lab, name: str, node_name: str) -> None:
    """Break a node and wait until the cluster is in the state that the fault leads to, its elected master as before."""
    victim = lab.node(node_name)
    if (name, victim.name) in lab.broken:
        raise LabError(f"{name} is already broken on {victim.name}: `python -m lab heal` mends it")
    if victim not in expected_members(lab):
        raise LabError(f"{victim.name} is already out of the cluster: `python -m lab heal` brings it back")
    wanted = [*lab.broken, (name, victim.name)]
    _refuse(lab, wanted)
    master = None if lab.version is None else elasticsearch.master(expected_members(lab)).name
    arrange(lab, wanted, master=master)
    say("broken")


def heal(lab: Lab, only: str | None = None) -> None:
    """Mend what is broken and wait for the cluster; once nothing is broken, for its repository too.

    only: the one fault to mend, on every node it was broken on
    """
    if only is not None and only not in FAULTS:
        raise LabError(f"no fault {only!r}: choose from {', '.join(FAULTS)}")
    left = [entry for entry in lab.broken if only not in (None, entry[0])]
    if left == lab.broken:
        say("nothing is broken" if only is None else f"{only} is not broken")
        return
    arrange(lab, left)
    say("still broken: " + ", ".join(f"{name} on {node}" for name, node in left) if left else "healthy")


def arrange(lab: Lab, wanted: Sequence[tuple[str, str]], *, master: str | None = None) -> None:
    """Have exactly these faults broken, (fault, node name) each, and the cluster in the state that they lead to.

    What is broken and not wanted is mended first. A node that both the mending and the breaking restart is restarted
    once; else the cluster and its repository are seen healthy in between.
    master: the node that must then be the elected master, where it is a member
    """
    _refuse(lab, wanted)
    mending = [entry for entry in lab.broken if entry not in wanted]
    breaking = [entry for entry in wanted if entry not in lab.broken]
    kept = [entry for entry in lab.broken if entry in wanted]
    gone = {node for fault, node in wanted if FAULTS[fault].leaves}
    # Remembered first: an interrupted break is mended like a finished one.
    lab.broken.extend(breaking)
    lab.save()
    # Hosts and processes first: the others' mending may need them running.
    for name, node in sorted(mending, key=lambda entry: not FAULTS[entry[0]].leaves):
        say(f"mending {name} on {node}")
        FAULTS[name].heal(lab, lab.node(node))
    if lab.version is not None:
        cloud.sweep_markers()
    # A member that leaves next need not be restarted for it; one that has left comes back by nothing else.
    behind = {
        node for name, node in mending if FAULTS[name].restart_to_heal and (FAULTS[name].leaves or node not in gone)
    }
    at_start = [entry for entry in breaking if FAULTS[entry[0]].restart_to_break]
    shared = {node for _, node in at_start}
    _restart(lab, behind - shared)
    if mending and not behind & shared and lab.version is not None:
        elasticsearch.wait_for_members(_members_without(lab, kept))
        if not kept:
            elasticsearch.wait_for_repository(lab.nodes)
    for name, node in at_start:
        _break(lab, name, node)
    _restart(lab, shared)
    later = [entry for entry in breaking if entry not in at_start]
    if later and shared and lab.version is not None:
        elasticsearch.wait_for_members(_members_without(lab, [*kept, *at_start]))
    for name, node in later:
        _break(lab, name, node)
    lab.broken[:] = wanted
    lab.save()
    if lab.version is not None:
        members = expected_members(lab)
        elasticsearch.wait_for_members(members)
        if len(members) > 1 and master in [node.name for node in members]:
            elasticsearch.make_master(lab.node(master), members)


def _refuse(lab: Lab, wanted: Sequence[tuple[str, str]]) -> None:
    """Raise LabError for a fault that there is not, or that this lab has no room for."""
    for name, node in wanted:
        fault = FAULTS.get(name)
        if fault is None:
            raise LabError(f"no fault {name!r}: choose from {', '.join(FAULTS)}")
        lab.node(node)
        if fault.needs_elasticsearch:
            elasticsearch.require(lab)
        if fault.needs_peers and len(lab.nodes) < 2:
            raise LabError(f"{name} needs a peer: this lab has one node, `up --nodes 3` has three")
        if fault.subnets > lab.subnets:
            raise LabError(f"{name} needs a subnet for each node: `python -m lab down`, then `up --subnets 3`")


def _break(lab: Lab, name: str, node: str) -> None:
    say(f"{name} on {node}: {FAULTS[name].what}")
    FAULTS[name].break_(lab, lab.node(node))


def _restart(lab: Lab, node_names: Iterable[str]) -> None:
    nodes = [lab.node(name) for name in sorted(node_names)]
    if nodes and lab.version is not None:
        say(f"restarting Elasticsearch on {', '.join(node.name for node in nodes)}")
        elasticsearch.everywhere(nodes, lambda node: elasticsearch.systemctl(node, "restart"))

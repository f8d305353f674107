"""What a fault is: how it is broken, how it is mended, and exactly what the suite must then say.

Expected outcomes are written by who a node is to the fault: `victim`, `peer` (the one peer that port-dropped cuts off)
and `others` (every node but the victim; but victim and peer in port-dropped), or a word of the row's own (Run.besides).
Everything not named must be as on a healthy cluster. `*` is every check not named that needs no asking for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .. import elasticsearch
from ..names import Node
from ..state import Lab

Outcomes = Mapping[tuple[str, str], str]
"""(check id or "*", "victim" | "peer" | "others" | a key of Run.besides) to the outcome it must have."""

Act = Callable[[Lab, Node], None]

YML = "/etc/elasticsearch/elasticsearch.yml"

STOPS_AT_MASTER: Outcomes = {("REPO-1", "others"): "could not check"}
"""Where the elected master fails, `_verify` tests nobody else and says nothing about them."""


class Expected(NamedTuple):
    """What the suite must say of one fault.

    cause: id of the cause that the diagnosis must name first, and alone but for besides; None where nothing is wrong
    outcomes: for a data node; on_master: what changes when the victim is the elected master
    whose: who of the outcomes' the first cause must name
    """

    cause: str | None
    outcomes: Outcomes
    on_master: Outcomes = {}  # noqa: RUF012 - a NamedTuple's default, never written to
    besides: tuple[str, ...] = ()
    whose: str = "victim"


class Run(NamedTuple):
    """How the suite is run on a lab with one fault, where that is not as on any other.

    hosts, options, environ: as an operator gives them (lab.suite.Ran)
    besides: {who: node name} of what it judges besides the lab's nodes, or names among them
    """

    hosts: str = "lab"
    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = {}
    besides: Mapping[str, str] = {}


def as_ever(lab: Lab, victim: Node) -> Run:
    """As on a healthy cluster."""
    return Run()


class Fault(NamedTuple):
    """One thing that can be broken.

    what: one line for `lab faults`
    then: what must follow; on_sdk_v1: what follows instead on a version whose S3 client is on AWS SDK v1
    needs_elasticsearch, needs_peers: what the lab must have
    restart_to_break, restart_to_heal: what break_ or heal has changed is read when Elasticsearch starts, so that the
    victim's is restarted after it, once for everything that was changed on it
    restarts: break_ itself restarts Elasticsearch, because what it does goes on after that
    leaves: the victim is no member of the cluster while it is broken
    once: what break_ sets up happens in one run of the suite and is spent: each cell mends it and breaks it anew
    everywhere: it strikes the whole cluster whichever node is named; what follows is written for the elected master
    subnets: in how many the lab's nodes must be
    run: how the suite is run while it is broken
    """

    what: str
    break_: Act
    heal: Act
    then: Expected
    on_sdk_v1: Expected | None = None
    needs_elasticsearch: bool = True
    needs_peers: bool = False
    restart_to_break: bool = False
    restart_to_heal: bool = False
    restarts: bool = False
    leaves: bool = False
    once: bool = False
    everywhere: bool = False
    subnets: int = 1
    run: Callable[[Lab, Node], Run] = as_ever


def peer_of(lab: Lab, victim: Node) -> Node:
    """The peer that port-dropped cuts off from the victim: the next node, the first after the last."""
    return lab.nodes[victim.number % len(lab.nodes)]


def others_of(lab: Lab, victim: Node) -> list[Node]:
    """Every node but the victim."""
    return [node for node in lab.nodes if node != victim]


def healthy_repository(lab: Lab, victim: Node) -> None:
    """Register the repository again as it was."""
    elasticsearch.register_repository(lab.nodes)

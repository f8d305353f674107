"""What is up, for a person."""

from __future__ import annotations

import sys

from . import elasticsearch, host, layer, names, state
from .errors import LabError
from .processes import pid_of
from .state import Lab


def show() -> int:
    """Print the lab's state; 0 when a lab is up, 1 when none is or one was left half-way."""
    lab = state.load()
    if lab is None:
        print("no lab is up")
        return 1
    if not lab.complete:
        print("a lab is being brought up, or was interrupted: `python -m lab down` removes it")
        return 1
    print(f"{lab.describe()}, from {lab.checkout}")
    leader = _master(lab)
    for node in lab.nodes:
        print(f"  {node.name}  {node.address}  {node.hostname}  {_node(lab, node, leader)}")
    aws = "answers" if pid_of("aws") else "is not running"
    print(f"  AWS {aws} at {names.AWS_ADDRESS}; bucket {names.BUCKET}, role {names.ROLE}, {names.REGION}")
    if layer.uses_shim():
        print(
            "  Elasticsearch is told 65535 open files by a preloaded library: "
            "this machine's hard limit is lower and cannot be raised"
        )
    for fault, node_name in lab.broken:
        print(f"  broken on purpose: {fault} on {node_name}")
    return 0


def show_usage(lab: Lab) -> None:
    """How to use the lab that has just come up."""
    print(f"log in:    ssh -F {names.SSH_CONFIG} {lab.nodes[0].name}", file=sys.stderr)
    if lab.version is not None:
        print("run:       pytest --inventory=inventories/lab.yml --hosts=lab", file=sys.stderr)


def _node(lab: Lab, node: names.Node, leader: names.Node | None) -> str:
    if not host.is_on(node):
        return "off"
    if lab.version is None:
        return "on"
    running = "Elasticsearch runs" if elasticsearch.is_running(node) else "Elasticsearch is down"
    return running + (", elected master" if node == leader else "")


def _master(lab: Lab) -> names.Node | None:
    if lab.version is None:
        return None
    try:
        return elasticsearch.master(lab.nodes)
    except LabError:
        return None

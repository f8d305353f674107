"""Nodes that are not there: the process stopped, the power off."""

from __future__ import annotations

from collections.abc import Mapping

from .. import elasticsearch, host
from ..names import Node
from ..state import Lab
from .fault import Expected, Fault


def _stop_elasticsearch(lab: Lab, victim: Node) -> None:
    elasticsearch.systemctl(victim, "stop")


def _start_elasticsearch(lab: Lab, victim: Node) -> None:
    elasticsearch.systemctl(victim, "start")


def _power_off(lab: Lab, victim: Node) -> None:
    host.power_off(victim)


def _power_on(lab: Lab, victim: Node) -> None:
    if not host.is_on(victim):
        host.power_on(victim)
    if lab.version is not None:
        elasticsearch.systemctl(victim, "start")


FAULTS: Mapping[str, Fault] = {
    "elasticsearch-down": Fault(
        "Elasticsearch is stopped on the node",
        _stop_elasticsearch,
        _start_elasticsearch,
        Expected("elasticsearch-down", {("CLUSTER-1", "victim"): "fail", ("REPO-1", "victim"): "could not check"}),
        leaves=True,
    ),
    "host-down": Fault(
        "the node's power is off",
        _power_off,
        _power_on,
        Expected("host-unreachable", {("NODE-1", "victim"): "could not check", ("*", "victim"): "blocked"}),
        needs_elasticsearch=False,
        leaves=True,
    ),
}

"""Nodes that are not there, or let nobody in: the process stopped, the power off, frozen, another host key."""

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


def _freeze(lab: Lab, victim: Node) -> None:
    host.freeze(victim, frozen=True)


def _thaw(lab: Lab, victim: Node) -> None:
    host.freeze(victim, frozen=False)


HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
_RELOAD_SSHD = "kill -HUP $(cat /run/sshd.pid)"


def _change_host_key(lab: Lab, victim: Node) -> None:
    made = f"ssh-keygen -q -t ed25519 -N '' -C '' -f {HOST_KEY}"
    host.execute(victim, ["sh", "-c", f"mv {HOST_KEY} {HOST_KEY}.kept && {made} && {_RELOAD_SSHD}"])


def _give_host_key_back(lab: Lab, victim: Node) -> None:
    public = f"ssh-keygen -y -f {HOST_KEY} >{HOST_KEY}.pub"
    back = f"mv {HOST_KEY}.kept {HOST_KEY} && {public} && {_RELOAD_SSHD}"
    host.execute(victim, ["sh", "-c", f"[ ! -e {HOST_KEY}.kept ] || {{ {back}; }}"])


_NOT_LET_IN = {("NODE-1", "victim"): "could not check", ("*", "victim"): "blocked"}

FAULTS: Mapping[str, Fault] = {
    "elasticsearch-down": Fault(
        "Elasticsearch is stopped on the node",
        _stop_elasticsearch,
        _start_elasticsearch,
        Expected(
            "elasticsearch-down",
            {
                ("CLUSTER-1", "victim"): "fail",
                ("REPO-1", "victim"): "could not check",
                ("TLS-1", "victim"): "not applicable",
            },
        ),
        leaves=True,
    ),
    "host-down": Fault(
        "the node's power is off",
        _power_off,
        _power_on,
        Expected("host-unreachable", _NOT_LET_IN),
        needs_elasticsearch=False,
        leaves=True,
    ),
    "host-frozen": Fault(
        "everything on the host stands still: connections are taken and nobody answers",
        _freeze,
        _thaw,
        Expected("host-unreachable", _NOT_LET_IN),
        needs_elasticsearch=False,
        leaves=True,
    ),
    "host-key-changed": Fault(
        "sshd on the node shows another host key than the known one, as a host that was built anew",
        _change_host_key,
        _give_host_key_back,
        Expected("host-unreachable", _NOT_LET_IN),
        needs_elasticsearch=False,
    ),
}

"""What can be wrong between one node and its bucket: the name, the clock."""

from __future__ import annotations

from collections.abc import Mapping

from .. import host, names, network
from ..aws_peers import Treatment, treat
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, Expected, Fault

BUCKET_HOSTS = tuple(
    f"{names.BUCKET}.{service}" for service in (f"s3.{names.REGION}.amazonaws.com", "s3.amazonaws.com")
)
"""The bucket's names: AWS SDK v2 asks for the first, SDK v1 for the second whatever its region."""

NOBODYS_ADDRESS = names.AWS_ADDRESS.rpartition(".")[0] + ".99"
"""In S3's subnet, so that the node's route to it is the right one."""

HOSTS = "/etc/hosts"


def _write_hosts(lab: Lab, victim: Node) -> None:
    line = f"{NOBODYS_ADDRESS} {' '.join(BUCKET_HOSTS)}\n"
    host.execute(victim, ["sh", "-c", f"cat >>{HOSTS}"], stdin=line)
    network.end_connections(victim, names.AWS_ADDRESS)


def _clear_hosts(lab: Lab, victim: Node) -> None:
    command = f"sed -E '/^#*{NOBODYS_ADDRESS}/d' {HOSTS} >{HOSTS}.new && cat {HOSTS}.new >{HOSTS}"
    host.execute(victim, ["sh", "-c", f"{command}; rm -f {HOSTS}.new {HOSTS}.before-preflight-*"])


def _shift_clock(lab: Lab, victim: Node) -> None:
    treat(names.AWS_STATE, victim.address, Treatment(ahead=1200))


def _treat_alike(lab: Lab, victim: Node) -> None:
    treat(names.AWS_STATE, victim.address, Treatment())


FAULTS: Mapping[str, Fault] = {
    "dns-wrong": Fault(
        "a line of the node's /etc/hosts gives the bucket's name an address where nobody is",
        _write_hosts,
        _clear_hosts,
        Expected("dns-wrong", {("PATH-1", "victim"): "fail", ("REPO-1", "victim"): "fail"}, on_master=STOPS_AT_MASTER),
        needs_elasticsearch=False,
        # The JVM goes on with the address that it was told before, for as long as its cache lasts.
        restart_to_break=True,
        restart_to_heal=True,
    ),
    "clock-skew": Fault(
        "S3's clock is 20 minutes ahead of the node's",
        _shift_clock,
        _treat_alike,
        Expected("clock-skew", {("PATH-2", "victim"): "fail"}),
        needs_elasticsearch=False,
    ),
}

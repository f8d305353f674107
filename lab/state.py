"""What this machine's lab is: one at a time, one command at a time, remembered between commands."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from . import names
from .errors import LabError
from .names import Node
from .processes import start_time

LOCK = "\0es-preflight-lab"
"""An abstract socket: held by one process at a time, gone with it however it ends, and no file."""


@dataclass
class Lab:
    """The lab that is up, or was being brought up.

    version: Elasticsearch's, None for hosts alone; complete: `up` came to its end
    subnets: in how many the hosts are
    broken: (fault, node name) in the order they were broken
    """

    count: int
    version: str | None
    checkout: str
    complete: bool = False
    broken: list[tuple[str, str]] = field(default_factory=list)
    subnets: int = 1

    @property
    def nodes(self) -> tuple[Node, ...]:
        return names.nodes(self.count, self.subnets)

    @property
    def shape(self) -> tuple[object, ...]:
        """What makes it the lab that is asked for, or another one."""
        return self.count, self.version, self.checkout, self.subnets

    def node(self, name: str) -> Node:
        """The node of that name. Raises LabError naming those there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"the lab has no node {name!r}: choose from {', '.join(node.name for node in self.nodes)}")

    def save(self) -> None:
        names.RECORD.write_text(json.dumps(asdict(self), indent=1) + "\n")

    def describe(self) -> str:
        plural = "" if self.count == 1 else "s"
        apart = "" if self.subnets == 1 else f" in {self.subnets} subnets"
        if self.version is None:
            return f"{self.count} host{plural}{apart} without Elasticsearch"
        return f"{self.count} node{plural}{apart}, Elasticsearch {self.version}"


def load() -> Lab | None:
    """The lab of this machine; None where nothing was brought up."""
    try:
        record = json.loads(names.RECORD.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        # Cut short while it was written: leftovers, which `up` and `down` remove.
        return Lab(0, None, "")
    record["broken"] = [(fault, node) for fault, node in record["broken"]]
    return Lab(**record)


def require() -> Lab:
    """The lab that is up. Raises LabError where there is none."""
    lab = load()
    if lab is None or not lab.complete:
        raise LabError("no lab is up: `python -m lab up`")
    return lab


@contextmanager
def lock() -> Iterator[None]:
    """Hold the machine's lab for one command that changes it. Raises LabError naming the process that holds it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as holder:
        try:
            holder.bind(LOCK)
        except OSError:
            raise LabError(f"another lab command is at work{_holder()}: wait until it has ended") from None
        holder.listen(1)
        yield


def _holder() -> str:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(1)
            asking.connect(LOCK)
            peer = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return ""
    pid: int = struct.unpack("3i", peer)[0]
    return f" (pid {pid})" if start_time(pid) else ""

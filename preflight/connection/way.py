"""The way to a node: the command line that goes it, and the jump hosts it leads through."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

import msgspec

from preflight.inventory import InventoryError, Node, split_address

from . import Connection
from .errors import CommandTimeout, ConnectRefused, ConnectTimeout, SshConfigRefused, TargetRefused

Jump = Callable[[Node, tuple[str, ...]], Connection]
"""Hands out the login on a jump host, which somebody else closes; the names say through which hosts it is wanted."""


def ssh_command(node: Node) -> str:
    """The `ssh` command line that reaches the node as this suite does, for messages and printed commands."""
    words = ["ssh"]
    words += ["-F", node.ssh_config] if node.ssh_config else []
    words += ["-i", node.identity_file] if node.identity_file else []
    words += ["-p", str(node.port)] if node.port else []
    words.append(f"{node.user}@{node.host}" if node.user else node.host)
    return shlex.join(words)


def last_hop(node: Node, proxy_jump: str | None, via: tuple[str, ...]) -> Node | None:
    """The host whose login reaches this one; the hops before it in ProxyJump are its own way."""
    if not proxy_jump:
        return None
    before, _, last = proxy_jump.rpartition(",")
    try:
        host, port, user = split_address(last.removeprefix("ssh://").rstrip("/"))
    except InventoryError as error:
        raise SshConfigRefused(f"ProxyJump {proxy_jump} of {node.host} cannot be read ({error})") from error
    hop = Node(
        name=host,
        host=host,
        port=port,
        user=user,
        carrier=node.carrier,
        ssh_config=node.ssh_config,
        proxy_jump=before or None,
        connect_timeout=node.connect_timeout,
    )
    if label(hop) in (label(node), *via):
        raise SshConfigRefused(
            f"ProxyJump leads in a circle: {' -> '.join((*via, label(node), label(hop)))}",
            "end it with `ProxyJump none` for the jump host in ssh_config",
        )
    return hop


def label(node: Node) -> str:
    """What to call it in a list of hops."""
    return ssh_command(msgspec.structs.replace(node, ssh_config=None, identity_file=None)).removeprefix("ssh ")


@contextmanager
def through(hop: Node, hostname: str, port: int, timeout: float) -> Iterator[None]:
    """What opening a tunnel raises inside, said of the host at its end."""
    try:
        yield
    except TargetRefused as error:
        raise ConnectRefused(f"{hostname} port {port} cannot be reached from {hop.host}") from error
    except CommandTimeout as error:
        raise ConnectTimeout(f"{hostname} port {port} does not answer {hop.host} within {timeout:g} s") from error


def close_all(closing: list[Callable[[], None]]) -> None:
    """Every one of them, the last first. Never raises."""
    for one in reversed(closing):
        with suppress(Exception):
            one()


Admission = Callable[[Node | None], AbstractContextManager[None]]
"""Waits until a login may begin, through that jump host where there is one, and holds the place while inside."""


def at_once(hop: Node | None) -> AbstractContextManager[None]:
    """No waiting."""
    return nullcontext()

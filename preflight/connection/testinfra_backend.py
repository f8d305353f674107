"""testinfra's "paramiko", "ssh" and "ssm" backends over our own logins: tests with `host` need no second one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import testinfra.backend
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from preflight.inventory import Defaults, Node, node_from_hostspec

from . import Connection, ssm_spec
from .connections import Connections

COMMAND_TIMEOUT = 30.0
"""Seconds for one command of a user's test where the run says nothing else."""


class NodeBackend(BaseBackend):  # type: ignore[misc]  # testinfra ships no types
    """Runs testinfra's commands over a login of the run.

    testinfra makes one itself for `testinfra.get_host("paramiko://...")` in a user's test: the run's node of that name,
    whatever carries it, where there is one, else the hostspec's host. Raises InventoryError for a hostspec that cannot
    be read; a command raises ConnectionFailed and its kinds, never a made-up result.
    """

    NAME = "paramiko"
    connections: ClassVar[Connections]
    nodes: ClassVar[dict[str, Node]]
    command_timeout = COMMAND_TIMEOUT

    def __init__(
        self,
        hostspec: str,
        ssh_config: str | None = None,
        ssh_identity_file: str | None = None,
        timeout: str | float | None = None,
        sudo: bool = False,
        sudo_user: str | None = None,
        *_: Any,
        **__: Any,
    ) -> None:
        defaults = Defaults(ssh_config=ssh_config, identity_file=ssh_identity_file, sudo=sudo, sudo_user=sudo_user)
        node = self.nodes.get(hostspec)
        if node is None:
            seconds = f"?timeout={timeout}" if timeout else ""
            node = node_from_hostspec(f"{self.NAME}://{hostspec}{seconds}", defaults)
        self._take(node, None)

    @classmethod
    def over(cls, node: Node, connection: Connection, command_timeout: float) -> NodeBackend:
        """The backend of a login that is there already."""
        backend = cls.__new__(cls)
        backend._take(node, connection)
        backend.command_timeout = command_timeout
        return backend

    def _take(self, node: Node, connection: Connection | None) -> None:
        BaseBackend.__init__(self, node.name, sudo=node.sudo, sudo_user=node.sudo_user)
        self.node = node
        self._connection = connection

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """testinfra's contract: %s in command take the quoted args; under sudo where the node says so."""
        text = self.get_command(command, *args)
        # testinfra keeps hosts for ever; the logins are the run's, so they are asked for each time.
        connection = self._connection or self.connections.get(self.node)
        done = connection.run(text, deadline=self.command_timeout)
        return Result(self, done.exit_status, text.encode(), done.stdout, done.stderr)

    def get_sudo_command(self, command: str, sudo_user: str | None) -> str:
        """With -n: nobody is there to type a password."""
        if sudo_user is None:
            return str(self.quote("sudo -n /bin/sh -c %s", command))
        return str(self.quote("sudo -n -u %s /bin/sh -c %s", sudo_user, command))

    def get_pytest_id(self) -> str:
        """The node's name in test ids."""
        return self.node.name


class OpenSshBackend(NodeBackend):
    """The same for `testinfra.get_host("ssh://...")`: testinfra's own logs in anew for every command."""

    NAME = "ssh"


class SsmBackend(NodeBackend):
    """The same for `testinfra.get_host("ssm://i-…", region=…, profile=…)`: every command is a request to AWS."""

    NAME = "ssm"

    def __init__(
        self,
        hostspec: str,
        region: str | None = None,
        profile: str | None = None,
        sudo: bool = False,
        sudo_user: str | None = None,
        *_: Any,
        **__: Any,
    ) -> None:
        node = self.nodes.get(hostspec)
        if node is None:
            defaults = Defaults(sudo=sudo, sudo_user=sudo_user)
            node = node_from_hostspec(ssm_spec.spec(hostspec, region, profile), defaults)
        self._take(node, None)


BACKENDS: dict[str, type[NodeBackend]] = {"paramiko": NodeBackend, "ssh": OpenSshBackend, "ssm": SsmBackend}


class Result(CommandResult):  # type: ignore[misc]
    """A command's result that shows sizes, not contents: testinfra's own repr carries output into every report."""

    def __repr__(self) -> str:
        return f"<exit status {self.exit_status}, {len(self._stdout)} B stdout, {len(self._stderr)} B stderr>"

    __str__ = __repr__


def host_for(node: Node, connection: Connection, command_timeout: float = COMMAND_TIMEOUT) -> Host:
    """testinfra's Host of a node, over a login that is there already. command_timeout: seconds for each command."""
    backend = BACKENDS[node.carrier].over(node, connection, command_timeout)
    host = Host(backend)
    backend.set_host(host)
    return host


def install(connections: Connections, nodes: Iterable[Node]) -> None:
    """Make ours testinfra's backends of those names, with the run's logins and nodes for `testinfra.get_host`."""
    for name, backend in BACKENDS.items():
        testinfra.backend.BACKENDS[name] = f"{__name__}.{backend.__name__}"
    NodeBackend.connections = connections
    NodeBackend.nodes = {node.name: node for node in nodes}

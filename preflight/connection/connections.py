"""The live logins of one run, shared by the survey and by the user's own tests."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoResult  # another class than the built-in one up to Python 3.10

from preflight.inventory import Node

from . import Connection
from .errors import ConnectionFailed, ConnectTimeout
from .ssh import SshConnection, connect
from .ssm import Fleet


class Connections:
    """One login a node and jump host, made when first asked for. Safe to use from several threads.

    connect_timeout: seconds, see connect; insecure_host_keys: host keys are not verified
    aws_profile: for nodes over ssm:// that name none
    """

    def __init__(self, connect_timeout: float, insecure_host_keys: bool, aws_profile: str | None = None) -> None:
        self._connect_timeout = connect_timeout
        self._insecure_host_keys = insecure_host_keys
        self._aws_profile = aws_profile
        self._fleets: dict[tuple[str | None, str | None], Fleet] = {}
        self._lock = threading.Lock()
        self._logins: dict[object, Future[SshConnection]] = {}
        self._closed = False

    def get(self, node: Node) -> Connection:
        """The node's login, or again the failure of the one attempt. Raises ConnectionFailed and its kinds."""
        if node.carrier == "ssm":
            return self._fleet(node).connect(node.host)
        return self._get(node, ())

    def expect(self, nodes: Iterable[Node]) -> None:
        """The nodes that a run is about: those over ssm:// are looked up and asked together."""
        for node in nodes:
            if node.carrier == "ssm":
                self._fleet(node).expect(node.host, (node.host, node.es_port))

    def requests(self) -> dict[str, int]:
        """How many requests went to AWS Systems Manager, by their name."""
        return dict(sum((fleet.calls for fleet in self._fleets.values()), Counter[str]()))

    def _fleet(self, node: Node) -> Fleet:
        key = (node.region, node.profile or self._aws_profile)
        with self._lock:
            fleet = self._fleets.get(key)
            if fleet is None:
                fleet = self._fleets[key] = Fleet(*key, timeout=self._connect_timeout)
            return fleet

    def _get(self, node: Node, via: tuple[str, ...]) -> Connection:
        key = (node.host, node.port, node.user, node.ssh_config, node.identity_file, node.proxy_jump)
        with self._lock:
            if self._closed:
                raise ConnectionFailed(f"the run's connections are closed, {node.name}'s too")
            login = self._logins.get(key)
            mine = login is None
            if login is None:
                login = self._logins[key] = Future()
        if mine:
            self._connect(node, via, login)
        try:
            # Bounded: jump hosts that are each other's way would wait for one another for ever.
            return login.result(timeout=10 * (node.connect_timeout or self._connect_timeout))
        except NoResult as error:
            raise ConnectTimeout(f"the login on {node.host} does not come about") from error

    def _connect(self, node: Node, via: tuple[str, ...], login: Future[SshConnection]) -> None:
        try:
            connection = connect(
                node,
                connect_timeout=self._connect_timeout,
                insecure_host_keys=self._insecure_host_keys,
                jump=self._get,
                via=via,
            )
        except BaseException as error:
            login.set_exception(error)
            if not isinstance(error, ConnectionFailed):
                raise
            return
        login.set_result(connection)
        with self._lock:
            late = self._closed
        if late:
            connection.close()

    def close(self) -> None:
        """End every login, those behind jump hosts first. Never raises."""
        with self._lock:
            self._closed = True
            logins = [login for login in self._logins.values() if login.done() and login.exception() is None]
        for login in reversed(logins):
            login.result().close()

"""The live logins of one run, shared by the survey and by the user's own tests."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoResult  # another class than the built-in one up to Python 3.10
from contextlib import contextmanager

from preflight.inventory import Node

from . import Connection, over_openssh, over_paramiko
from .errors import ConnectionDropped, ConnectionFailed, ConnectTimeout
from .openssh_master import Directory
from .ssm import Fleet

LOGINS_AT_ONCE = 20
"""Of one run: each may cost the controller a signature of its agent, and the site's LDAP a question."""

THROUGH_ONE_BASTION = 5
"""Logins at once whose bytes one bastion's login carries."""

SECOND_TRY = 1.0
"""Seconds, at most, until a login that was dropped before it began is tried once more: sshd's MaxStartups is a number
of logins that have not ended yet."""


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
        self._logins: dict[object, Future[Connection]] = {}
        self._at_once = threading.BoundedSemaphore(LOGINS_AT_ONCE)
        self._bastions: dict[object, threading.BoundedSemaphore] = {}
        self._directory: Directory | None = None
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
        with self._lock:
            if self._closed:
                raise ConnectionFailed(f"the run's connections are closed, {node.name}'s too")
            login = self._logins.get(_key(node))
            mine = login is None
            if login is None:
                login = self._logins[_key(node)] = Future()
        if mine:
            self._connect(node, via, login)
        try:
            # Bounded: jump hosts that are each other's way would wait for one another for ever.
            return login.result(timeout=10 * (node.connect_timeout or self._connect_timeout))
        except NoResult as error:
            raise ConnectTimeout(f"the login on {node.host} does not come about") from error

    def _connect(self, node: Node, via: tuple[str, ...], login: Future[Connection]) -> None:
        try:
            try:
                connection = self._attempt(node, via)
            except ConnectionDropped:
                time.sleep(SECOND_TRY * random.uniform(0.5, 1))  # noqa: S311  not all of them at once again
                connection = self._attempt(node, via)
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

    def _attempt(self, node: Node, via: tuple[str, ...]) -> Connection:
        if node.carrier == "ssh":
            return over_openssh.connect(
                node,
                connect_timeout=self._connect_timeout,
                insecure_host_keys=self._insecure_host_keys,
                directory=self._control_sockets(),
                jump=self._get,
                via=via,
                admission=self._admitted,
            )
        return over_paramiko.connect(
            node,
            connect_timeout=self._connect_timeout,
            insecure_host_keys=self._insecure_host_keys,
            jump=self._get,
            via=via,
            admission=self._admitted,
        )

    def _control_sockets(self) -> Directory:
        with self._lock:
            if self._closed:
                raise ConnectionFailed("the run's connections are closed")
            if self._directory is None:
                self._directory = Directory()
            return self._directory

    @contextmanager
    def _admitted(self, hop: Node | None) -> Iterator[None]:
        """See Admission. The bastion's own login has ended by then, so that nobody waits for one who waits for him."""
        if hop is None:
            with self._at_once:
                yield
            return
        with self._lock:
            bastion = self._bastions.setdefault(_key(hop), threading.BoundedSemaphore(THROUGH_ONE_BASTION))
        with bastion, self._at_once:
            yield

    def close(self) -> None:
        """End every login, those behind jump hosts first. Never raises."""
        with self._lock:
            self._closed = True
            logins = [login for login in self._logins.values() if login.done() and login.exception() is None]
            fleets = list(self._fleets.values())
        for fleet in fleets:
            fleet.close()
        for login in reversed(logins):
            login.result().close()
        if self._directory is not None:
            self._directory.close()


def _key(node: Node) -> object:
    return (node.carrier, node.host, node.port, node.user, node.ssh_config, node.identity_file, node.proxy_jump)

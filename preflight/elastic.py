"""Elasticsearch's API through the official client: what a node and its cluster say, and `_verify`.

One client version serves 7.17 to 9.x: it asks for plain JSON instead of its own media type, which only its own major
version answers. Requests travel over whatever socket the caller opens (an SSH channel, the probe's relay, the network);
TLS always ends here, on the controller.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import elasticsearch
from elastic_transport import (
    ConnectionTimeout,
    HttpHeaders,
    NodeConfig,
    TlsError,
    TransportError,
    Urllib3HttpNode,
)
from elastic_transport._node import NodeApiResponse
from elastic_transport.client_utils import DEFAULT, DefaultType
from urllib3 import HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from . import answers, answers_evidence
from .credentials import Credentials
from .facts import (
    NO_CLUSTER,
    Cluster,
    IlmPolicy,
    Indicator,
    LoadedCertificate,
    MountedIndex,
    NewestSnapshot,
    Repository,
    SlmPolicy,
    Unknown,
    Verification,
    View,
)

Dialler = Callable[[float], socket.socket]
"""Opens a connection to the one address an Api speaks to; argument: seconds it may take. Raises OSError."""

ROLE = "docs/es-role.json"
"""The least role that everything here needs; named where Elasticsearch answers 403."""


Ended = Literal["answer", "silence", "tls", "connection", ""]
"""How far a request came: Elasticsearch answered, accepted and said nothing, TLS failed, nothing accepted it."""


_MASTER = ["master_node", "blocks"]
"""Who is asked for blocks answers while it waits for a master, too: with master_node alone it is 503 then."""


class Refused(Exception):
    """Elasticsearch could not be asked. str() is one sentence; remedy: what to change, "" where unknown."""

    def __init__(self, reason: str, remedy: str = "", ended: Ended = "") -> None:
        super().__init__(reason)
        self.remedy, self.ended = remedy, ended

    def unknown(self) -> Unknown:
        """The same as a fact."""
        return Unknown(reason=str(self), remedy=self.remedy)


class _PlainJsonNode(Urllib3HttpNode):
    """Asks for application/json: the client's own vendored media type is refused by every other major version.

    Leaves out the server's deprecation notes, which the client makes Python warnings of: 9.5 deprecates a parameter
    that 8.x needs, and a warning is an error to whoever runs pytest strictly.
    """

    def perform_request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> NodeApiResponse:
        plain = HttpHeaders(headers or ())
        for name in ("accept", "content-type"):
            wanted = plain.get(name)
            if wanted:
                plain[name] = re.sub(r"vnd\.elasticsearch\+([^;,\s]+)\s*;\s*compatible-with=\d+", r"\1", wanted)
        answered = super().perform_request(method, target, body, plain, request_timeout)
        answered.meta.headers.pop("warning", None)
        return answered


def _node_class(dial: Dialler | None, check_name: bool) -> type[_PlainJsonNode]:
    class CarriedNode(_PlainJsonNode):
        def __init__(self, config: NodeConfig) -> None:
            super().__init__(config)
            if not check_name and isinstance(self.pool, HTTPSConnectionPool):
                # The bytes travel inside an SSH session that has already proved which host this is, and node
                # certificates often lack the address Elasticsearch publishes. The chain is still verified.
                self.pool.assert_hostname = False
            if dial is not None:
                carry = dial

                class CarriedConnection(self.pool.ConnectionCls):  # type: ignore[name-defined, misc]
                    def _new_conn(self) -> socket.socket:
                        limit = self.timeout if isinstance(self.timeout, (int, float)) else 10.0
                        try:
                            return carry(limit)
                        except OSError as error:
                            raise NewConnectionError(self, str(error)) from error

                self.pool.ConnectionCls = CarriedConnection

    return CarriedNode


def speaks_tls(dial: Dialler, limit: float) -> bool:
    """Whether what listens there answers a TLS greeting in TLS. No login is sent; silence and an end count as TLS.

    limit: seconds. Raises OSError where nothing accepts the connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = (
        False,
        ssl.CERT_NONE,
    )  # nothing is believed: only its form is looked at
    greeting = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), greeting).do_handshake()
    with dial(limit) as wire:
        try:
            wire.settimeout(limit)
            wire.sendall(greeting.read())
            first = wire.recv(1)
        except OSError:
            return True
    return first in (b"", b"\x15", b"\x16")  # an alert or a handshake record, RFC 8446 section 5.1


class Api:
    """Elasticsearch on one node, asked through one carrier.

    url: "https://host:port"; ca: PEM text of the certificate authority, None for the controller's own trust store
    dial: opens the carrying connection, None to connect to url directly; check_name: verify the certificate's name too
    Every method, and making one, raises Refused where there is no answer to work with.
    """

    def __init__(
        self,
        url: str,
        login: Credentials,
        *,
        ca: str | None = None,
        dial: Dialler | None = None,
        check_name: bool = True,
        timeout: float = 10.0,
    ) -> None:
        self.url = url
        tls = None
        if url.startswith("https:"):
            try:
                tls = ssl.create_default_context(cadata=ca)
            except ssl.SSLError as error:
                raise Refused(
                    f"the CA given for {url} holds no certificate", "name its PEM file with --es-ca"
                ) from error
            tls.check_hostname = check_name
        extra: dict[str, Any] = {"ssl_context": tls} if tls else {}
        if login.api_key:
            extra["api_key"] = login.api_key
        else:
            extra["basic_auth"] = (login.user or "", login.password or "")
        try:
            self._client = elasticsearch.Elasticsearch(
                url,
                node_class=_node_class(dial, check_name),
                max_retries=0,
                request_timeout=timeout,
                **extra,
            )
        except ValueError as error:
            raise Refused(f"{url} is no address to ask Elasticsearch at", "write it as https://HOST:PORT") from error

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def view(self, carrier: str) -> View:
        """The cluster as this node sees it. carrier: as facts.View has it."""
        local = self._ask(lambda: self._client.nodes.info(node_id="_local", metric="http", filter_path="nodes.*.name"))
        state = self._ask(
            lambda: self._client.cluster.state(
                metric=_MASTER, local=True, filter_path="cluster_name,cluster_uuid,master_node"
            )
        )
        (node_id, node), *_ = local["nodes"].items()
        return View(
            node_id=node_id,
            node_name=node["name"],
            cluster_uuid=state.get("cluster_uuid", NO_CLUSTER),
            cluster_name=state.get("cluster_name", ""),
            master_id=state.get("master_node"),
            url=self.url,
            carrier=carrier,  # type: ignore[arg-type]
        )

    def master(self) -> str | None:
        """Node id of the elected master as this node sees it, None without one."""
        state = self._ask(lambda: self._client.cluster.state(metric=_MASTER, local=True, filter_path="master_node"))
        master: str | None = state.get("master_node")
        return master

    def cluster(self, view: View, asked: str) -> Cluster:
        """Members and repositories; `verifications` is left for the caller. asked: name of the node asked."""
        info = self._ask(
            lambda: self._client.nodes.info(
                metric="settings,transport,http,jvm,plugins",
                flat_settings=True,
                filter_path="nodes.*.name,nodes.*.version,nodes.*.roles,nodes.*.settings.s3*,"
                "nodes.*.settings.cluster*remote*,nodes.*.settings.xpack*security*enabled,nodes.*.settings.xpack*http*client_authentication,"
                "nodes.*.transport.publish_address,nodes.*.http.publish_address,nodes.*.transport_address,"
                "nodes.*.jvm.version,nodes.*.jvm.vm_vendor,nodes.*.plugins.name,nodes.*.plugins.version",
            )
        )
        try:
            settings: dict[str, Any] | Unknown = self._ask(
                lambda: self._client.cluster.get_settings(
                    flat_settings=True, filter_path="persistent.cluster*remote*,transient.cluster*remote*"
                )
            )
        except Refused as refused:
            settings = refused.unknown()
        try:
            found: tuple[Repository, ...] | Unknown = answers.repositories(
                self._ask(lambda: self._client.snapshot.get_repository())
            )
        except Refused as refused:
            found = refused.unknown()
        return Cluster(
            uuid=view.cluster_uuid,
            name=view.cluster_name,
            asked=asked,
            master_id=view.master_id,
            members=answers.members(info, settings),
            repositories=found,
            verifications=Unknown(reason="not asked for"),
        )

    def loaded_certificates(self) -> tuple[LoadedCertificate, ...] | None:
        """Those of the files that this node has loaded; None where it does not tell (no x-pack, not this login)."""
        try:
            return answers.loaded_certificates(self._client.ssl.certificates().body)
        except (elasticsearch.ApiError, elasticsearch.UnsupportedProductError, TransportError, KeyError, ValueError):
            return None

    def verify(self, repository: str, timeout: float) -> Verification | Unknown:
        """One `_verify`, the elected master read before and after. timeout: seconds for the call itself.

        Writes a marker object under the repository's base path and deletes it again (Elasticsearch's own behaviour).
        """
        try:
            before = self.master()
        except Refused as refused:
            return refused.unknown()
        started, clock = time.time(), time.monotonic()
        client = self._client.options(request_timeout=timeout)
        status, body = 200, None
        try:
            body = client.snapshot.verify_repository(name=repository).body
        except elasticsearch.AuthorizationException as error:
            return _refusal(error).unknown()
        except elasticsearch.ApiError as error:
            status, body = error.meta.status, error.body
        except ConnectionTimeout:
            return Unknown(
                reason=f"_verify of {repository} gave no answer within {timeout:g} s",
                remedy="give it longer with --verify-timeout (and all of them with --verify-budget), "
                "and look at the nodes' paths to S3 (PATH-1)",
            )
        except TransportError as error:
            return _refusal(error).unknown()
        milliseconds = (time.monotonic() - clock) * 1000
        if not isinstance(body, dict):
            # A gateway's own page: it gave up, or cut the answer off, and knows nothing of S3.
            return Unknown(
                reason=f"_verify of {repository} was answered with HTTP {status} and no JSON of Elasticsearch's"
            )
        try:
            after = self.master()
        except Refused:
            after = None
        verified, failures = answers.verification(status, body)
        return Verification(
            repository=repository,
            status=status,
            verified=verified,
            failures=failures,
            master_before=before,
            master_after=after,
            milliseconds=round(milliseconds, 1),
            started=round(started, 2),
        )

    def mounted(self) -> tuple[MountedIndex, ...]:
        """Indices mounted from snapshots and who holds their shards; the routing is asked for where there are any."""
        settings = self._ask(
            lambda: self._client.cluster.state(
                metric="metadata",
                local=True,
                filter_path="metadata.indices.*.settings.index.store.type,"
                "metadata.indices.*.settings.index.store.snapshot.repository_name,"
                "metadata.indices.*.settings.index.store.snapshot.partial",
            )
        )
        if not answers_evidence.mounted(settings):
            return ()
        routing = self._ask(
            lambda: self._client.cluster.state(
                metric="routing_table", local=True, filter_path="routing_table.indices.*.shards.*.node"
            )
        )
        return answers_evidence.mounted({**settings, **routing})

    def slm(self) -> tuple[SlmPolicy, ...]:
        """Snapshot lifecycle policies and how they went."""
        wanted = ("policy.repository", "last_success.time", "last_failure.time", "last_failure.details", "stats")
        return answers_evidence.slm(
            self._ask(lambda: self._client.slm.get_lifecycle(filter_path=[f"*.{name}" for name in wanted]))
        )

    def ilm(self) -> tuple[IlmPolicy, ...]:
        """Index lifecycle policies that mount snapshots."""
        wanted = "*.policy.phases.*.actions.searchable_snapshot.snapshot_repository"
        return answers_evidence.ilm(self._ask(lambda: self._client.ilm.get_lifecycle(filter_path=wanted)))

    def health(self) -> tuple[Indicator, ...]:
        """What the health report says of snapshots. Before 8.7 there is none: Refused."""
        wanted = [
            f"indicators.{name}.{part}" for name in ("slm", "repository_integrity") for part in ("status", "symptom")
        ]
        return answers_evidence.health(self._ask(lambda: self._client.health_report(verbose=False, filter_path=wanted)))

    def newest(self, repository: str) -> NewestSnapshot:
        """The repository's newest snapshot; the elected master reads it from S3. Before 7.14 there is no such order."""
        wanted = ("snapshot", "state", "start_time_in_millis", "failures.node_id", "failures.reason")
        return answers_evidence.newest(
            repository,
            self._ask(
                lambda: self._client.snapshot.get(
                    repository=repository,
                    snapshot="*",
                    sort="start_time",
                    order="desc",
                    size=1,
                    filter_path=[f"snapshots.{name}" for name in wanted],
                )
            ),
        )

    def _ask(self, call: Callable[[], Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = call().body
        except elasticsearch.UnsupportedProductError as error:
            raise Refused(f"what answers at {self.url} is not Elasticsearch") from error
        except (elasticsearch.ApiError, TransportError) as error:
            raise _refusal(error) from error
        return answer


def _refusal(error: Exception) -> Refused:
    """Why Elasticsearch gave no answer, in words; no header or body that could hold a credential."""
    if isinstance(error, elasticsearch.AuthenticationException):
        return Refused(
            "Elasticsearch refused the login (401)",
            "check ES_PREFLIGHT_USER and its password file, or ES_PREFLIGHT_API_KEY",
            "answer",
        )
    if isinstance(error, elasticsearch.AuthorizationException):
        action = re.search(r"action \[([^\]]+)\]", _reason(error.body))
        return Refused(
            f"Elasticsearch forbids {action.group(1) if action else 'this request'} to the login used (403)",
            f"give it the role in {ROLE}",
            "answer",
        )
    if isinstance(error, elasticsearch.ApiError):
        return Refused(
            f"Elasticsearch answered {error.meta.status}: {_reason(error.body) or error.message}", ended="answer"
        )
    if isinstance(error, ConnectionTimeout):
        return Refused("Elasticsearch accepted no request in time", ended="silence")
    if isinstance(error, TlsError):
        return Refused(
            f"TLS to Elasticsearch failed: {error.message}",
            "renew the certificate of that node's HTTP (TLS-1)"
            if "expired" in error.message
            else "name the certificate authority's PEM file with --es-ca",
            "tls",
        )
    message = error.message if isinstance(error, TransportError) else type(error).__name__
    return Refused(
        f"no connection to Elasticsearch: {re.sub(r'^[A-Za-z]*Connection[^:]*: ', '', message)}", ended="connection"
    )


def _reason(body: object) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return str(error.get("reason") or error.get("type") or "")
    return str(error or "")

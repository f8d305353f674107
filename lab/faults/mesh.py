"""What can be wrong between the nodes: one peer, one direction, one port, and the certificate that peers are shown."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Mapping

from .. import certificates, elasticsearch, host, names
from ..errors import LabError
from ..names import Node
from ..state import Lab
from . import filters
from .fault import Expected, Fault, others_of, peer_of

RELOAD_SECONDS = 60.0
"""Elasticsearch looks at its certificates' files every five seconds."""


def _block_peer(lab: Lab, victim: Node) -> None:
    peer = [peer_of(lab, victim)]
    filters.by_host(victim, into=peer, out_to=peer, ports=[names.TRANSPORT_PORT, names.HTTP_PORT])


def _close_http(lab: Lab, victim: Node) -> None:
    filters.by_host(victim, into=others_of(lab, victim), ports=[names.HTTP_PORT])


def _drop_outgoing(lab: Lab, victim: Node) -> None:
    filters.by_host(victim, out_to=others_of(lab, victim), ports=[names.TRANSPORT_PORT])


def _let_through(lab: Lab, victim: Node) -> None:
    filters.undo_by_host(victim)


def _let_expire(lab: Lab, victim: Node) -> None:
    _show(victim, certificates.expired(f"{victim.name}-http").read_text())


def _renew(lab: Lab, victim: Node) -> None:
    _show(victim, (names.CERTIFICATES / f"{victim.name}-http.crt").read_text())


def _let_transport_expire(lab: Lab, victim: Node) -> None:
    # Its connections stay: what Elasticsearch takes up is shown to new ones alone.
    _write(victim, "transport", certificates.expired(f"{victim.name}-transport").read_text())


def _renew_transport(lab: Lab, victim: Node) -> None:
    _write(victim, "transport", (names.CERTIFICATES / f"{victim.name}-transport.crt").read_text())


def _write(victim: Node, layer: str, pem: str) -> None:
    host.execute(victim, ["sh", "-c", f"cat >{elasticsearch.CERTS}/{layer}.crt"], stdin=pem)


def _show(victim: Node, pem: str) -> None:
    """Put another certificate for the same key in the place of HTTP's, and wait until Elasticsearch has taken it up."""
    _write(victim, "http", pem)
    wanted = ssl.PEM_cert_to_DER_cert(pem)
    deadline = time.monotonic() + RELOAD_SECONDS
    while elasticsearch.is_running(victim) and _shown(victim) != wanted:
        if time.monotonic() > deadline:
            raise LabError(f"{victim.name} has not taken up its new certificate within {RELOAD_SECONDS:.0f} s")
        time.sleep(0.5)


def _shown(victim: Node) -> bytes | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((victim.address, names.HTTP_PORT), timeout=5) as wire,
            context.wrap_socket(wire) as secured,
        ):
            shown = secured.getpeercert(True)
            with contextlib.suppress(OSError):  # 7.17 closes without a word
                secured.unwrap()
            return shown
    except OSError:
        return None


FAULTS: Mapping[str, Fault] = {
    "one-peer-blocked": Fault(
        "new connections between the node and one peer (the next node) are dropped, both ways, transport and HTTP",
        _block_peer,
        _let_through,
        Expected(
            "port-blocked",
            {
                ("PORT-1", "victim"): "fail",
                ("PORT-2", "victim"): "fail",
                ("PORT-1", "peer"): "fail",
                ("PORT-2", "peer"): "fail",
            },
        ),
        needs_elasticsearch=False,
        needs_peers=True,
    ),
    "port-closed-http-only": Fault(
        "new connections to the node's HTTP port are dropped; its transport port is open",
        _close_http,
        _let_through,
        Expected("port-blocked", {("PORT-2", "others"): "fail"}),
        needs_elasticsearch=False,
        needs_peers=True,
    ),
    "port-dropped-one-way": Fault(
        "new connections from the node to every other's transport port are dropped; those to its own are not",
        _drop_outgoing,
        _let_through,
        Expected("port-blocked", {("PORT-1", "victim"): "fail"}),
        needs_elasticsearch=False,
        needs_peers=True,
    ),
    "certificate-expired": Fault(
        "the certificate of the node's HTTP has expired; transport has its own and goes on",
        _let_expire,
        _renew,
        # The suite is one more client that the certificate does not convince: what the node alone can say is missing.
        Expected(
            "certificate-expired",
            {
                ("TLS-1", "victim"): "fail",
                **{(check, "victim"): "could not check" for check in ("CLUSTER-1", "CLUSTER-3", "REPO-1", "SNAP-1")},
            },
        ),
    ),
    "transport-certificate-expired": Fault(
        "the certificate of the node's transport has expired; its connections stay, and HTTP has its own",
        _let_transport_expire,
        _renew_transport,
        Expected("certificate-expired", {("TLS-1", "victim"): "fail"}),
    ),
}

"""What a dial is told by who accepts it: staying, leaving at once, a certificate; and how it takes its leave of TLS."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import struct
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from preflight import certificates

DAY = datetime.timedelta(days=1)


class Authority:
    """Signs what a test's server shows. above: who signed it, None for a root"""

    def __init__(self, name, above=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (above or self).sign(self.name, self.key.public_key(), DAY * 30, ca=True)

    def sign(self, subject, public_key, left, ca=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public_key)
        return (
            builder.serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY * 60)
            .not_valid_after(now + left)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName("es-1"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))]),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


class Server:
    """Accepts on loopback and has `act` deal with each connection, in a thread of its own."""

    def __init__(self, act):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.target = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.act, self.threads = act, []
        self.loop = threading.Thread(target=self.serve, daemon=True)
        self.loop.start()

    def serve(self):
        while True:
            try:
                wire, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self.deal, args=(wire,), daemon=True))
            self.threads[-1].start()

    def deal(self, wire):
        wire.settimeout(5)
        with wire:
            self.act(wire)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.loop.join(5)
        for thread in self.threads:
            thread.join(6)


@pytest.fixture
def serve():
    servers = []

    def begin(act):
        servers.append(Server(act))
        return servers[-1].target

    yield begin
    for server in servers:
        server.close()


def stay(wire):
    assert wire.recv(1) == b""


def leave(wire):
    pass


def reset(wire):
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def greet(wire):
    wire.sendall(b"SSH-2.0-x\r\n")
    wire.recv(1)


def ask(probe, *targets, patience=1.0):
    """targets: (target, TLS or not)"""
    dials = [
        {"member": f"n{at}", "port": "http", "target": target, **({"tls": True, "show": True} if tls else {})}
        for at, (target, tls) in enumerate(targets)
    ]
    question = {"ask": "paths", "dials": dials, "destinations": [], "buckets": [], "connect_timeout": patience}
    return probe.ask({**question, "deadline": 20}, 20)


def test_open_is_who_stays_and_closed_who_leaves_at_once(start, serve, python):
    began = time.monotonic()
    answer = ask(start(python=python), *((serve(act), False) for act in (stay, leave, reset, greet)))
    assert [(d["outcome"], d["tries"]) for d in answer["dials"]] == [
        ("open", 1),
        ("closed", 2),
        ("closed", 2),
        ("open", 1),
    ]
    assert time.monotonic() - began < 3


def test_the_kernel_tells_the_path_mtu_of_a_dial(start, serve):
    (dial,) = ask(start(), (serve(stay), False))["dials"]
    assert dial["path_mtu"] is None or dial["path_mtu"] >= 576
    assert dial["retransmits"] == 0


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """An authority under another, and a server's context with a certificate of it and the link between."""
    root = Authority("root")
    between = Authority("between", root)
    key = ec.generate_private_key(ec.SECP256R1())
    own = between.sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "es-1")]), key.public_key(), DAY * 9)
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = [c.public_bytes(serialization.Encoding.PEM) for c in (own, between.certificate)]
    pem.append(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    file.write_bytes(b"".join(pem))

    def context(version):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(file)
        made.minimum_version = made.maximum_version = version
        return made

    return root, between, context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_is_finished_and_tls_is_closed_before_tcp(start, serve, python, shown, version):
    """The server hears close_notify and no byte: what breaks off is a warning in Elasticsearch's log."""
    root, between, context = shown
    heard = []

    def act(wire):
        try:
            with context(version).wrap_socket(wire, server_side=True, suppress_ragged_eofs=False) as secured:
                heard.append(secured.recv(10))
                secured.unwrap()
                heard.append("parted")
        except OSError as error:
            heard.append(error)

    answer = ask(start(python=python), (serve(act), True))
    (dial,) = answer["dials"]
    assert (dial["outcome"], dial["tls"], dial["tries"]) == ("open", "ok", 1)
    deadline = time.monotonic() + 5
    while len(heard) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert heard == [b"", "parted"]
    (seen,) = certificates.read(answer["certificates"], [(dial["chain"], dial["whole_chain"])], root.pem)
    assert (seen.subject, seen.issuer, seen.names) == ("CN=es-1", "CN=between", ("es-1", "10.0.0.1"))
    assert 8 < (seen.not_after - time.time()) / 86400 < 9.1
    # What stands between is told from Python 3.10 on; where it is not, nothing is known of the root.
    assert seen.trusted is (True if dial["whole_chain"] else None)
    (direct,) = certificates.read(answer["certificates"], [(dial["chain"], dial["whole_chain"])], between.pem)
    assert direct.trusted is True
    (other,) = certificates.read(answer["certificates"], [(dial["chain"], True)], Authority("another").pem)
    (twin,) = certificates.read(answer["certificates"], [(dial["chain"][:1], False)], Authority("between").pem)
    assert other.trusted is False and twin.trusted is False


def test_who_speaks_no_tls_or_says_nothing_is_open_and_told_with_it(start, serve):
    plain = serve(lambda wire: wire.recv(10) and wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    answer = ask(start(), (plain, True), (serve(lambda wire: wire.recv(1 << 16) and wire.recv(1)), True), patience=0.3)
    said, silent = answer["dials"]
    assert said["outcome"] == "open" and said["tls"] not in (None, "ok", "timeout")
    assert (silent["outcome"], silent["tls"], silent["chain"]) == ("open", "timeout", [])


def test_who_hangs_up_on_a_handshake_is_closed(start, serve):
    (dial,) = ask(start(), (serve(leave), True))["dials"]
    assert (dial["outcome"], dial["tries"]) == ("closed", 2)

"""The lab's two certificate authorities and what they sign.

Two, because on real hosts they are two: nobody's Elasticsearch is signed by the authority that signs S3. A suite that
confuses them must fail here too.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .names import CERTIFICATES

LIFETIME = datetime.timedelta(days=90)
"""Longer than a healthy certificate has to be valid for the suite to say nothing."""


class Authority:
    """A certificate authority of the lab, new with every `up`. certificate: the path of its PEM file."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False)  # fmt: skip
        certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = CERTIFICATES / f"{name.lower().replace(' ', '-')}.crt"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, file: str, hosts: Sequence[str]) -> tuple[Path, Path]:
        """A server and client certificate for these names and addresses: paths of its PEM and of its key's, 0600."""
        key = ec.generate_private_key(ec.SECP256R1())
        paths = CERTIFICATES / f"{file}.crt", CERTIFICATES / f"{file}.key"
        paths[0].write_bytes(self._signed(key, hosts))
        paths[1].touch(mode=0o600)
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        # Signed now, for the authority's own key is gone with this process.
        expired(file).write_bytes(self._signed(key, hosts, until=datetime.timedelta(days=-1)))
        return paths

    def _signed(
        self, key: ec.EllipticCurvePrivateKey, hosts: Sequence[str], until: datetime.timedelta = LIFETIME
    ) -> bytes:
        certificate = (
            _builder(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])]), self._name, key.public_key(), until
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(self._authority_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def expired(file: str) -> Path:
    """The twin of a signed certificate, for the same key, that ran out yesterday."""
    return CERTIFICATES / f"{file}.expired.crt"


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime.timedelta = LIFETIME
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # Back-dated: a host whose clock is a little behind must still accept it.
        .not_valid_before(now + min(until, datetime.timedelta(0)) - datetime.timedelta(days=1))
        .not_valid_after(now + until)
    )

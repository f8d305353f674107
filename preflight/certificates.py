"""Certificates that servers have shown, read to facts on the controller: a node needs no library for it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from .facts import Certificate

LONGEST_CHAIN = 10


def read(
    octets: Mapping[str, str], chains: Iterable[tuple[Sequence[str], bool]], authorities: str | None
) -> tuple[Certificate, ...]:
    """The servers' own certificates, each once.

    octets: fingerprint -> base64 of the DER; chains: (fingerprints as shown, the server's own first; whether those are
    all); authorities: PEM text of a CA file, None where it is not known
    Raises ValueError for what is no certificate.
    """
    read = {name: x509.load_der_x509_certificate(base64.b64decode(text)) for name, text in octets.items()}
    roots = None if authorities is None else x509.load_pem_x509_certificates(authorities.encode("ascii"))
    found: dict[str, Certificate] = {}
    for chain, whole in chains:
        shown = [read[name] for name in chain if name in read]
        if shown and chain[0] in read:
            found.setdefault(chain[0], _certificate(chain[0], shown, whole, roots))
    return tuple(found.values())


def _certificate(
    fingerprint: str, shown: list[x509.Certificate], whole: bool, roots: list[x509.Certificate] | None
) -> Certificate:
    own = shown[0]
    return Certificate(
        fingerprint=fingerprint,
        subject=own.subject.rfc4514_string(),
        issuer=own.issuer.rfc4514_string(),
        not_before=own.not_valid_before_utc.timestamp(),
        not_after=own.not_valid_after_utc.timestamp(),
        names=_names(own),
        trusted=None if roots is None else _trusted(shown, whole, roots),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def _trusted(shown: list[x509.Certificate], whole: bool, roots: list[x509.Certificate]) -> bool | None:
    """Whether one of the roots stands at the end of what was shown, or is in it. None where a link was not shown."""
    link, between = shown[0], shown[1:]
    for _ in range(LONGEST_CHAIN):
        if link in roots or any(_signed(link, root) for root in roots):
            return True
        above = next((each for each in between if _signed(link, each)), None)
        if above is None or above == link:
            break
        link = above
    # One that signed itself, and one under a root's own name with another key, are known not to be the root's.
    named = any(root.subject == link.issuer for root in roots)
    return False if whole or named or link.issuer == link.subject else None


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True

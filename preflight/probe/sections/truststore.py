"""The trust store of the JVM that Elasticsearch runs on, read without a JVM: JKS, and PKCS12 without a password.

source of JKS: sun.security.provider.JavaKeyStore; the JDK's own cacerts is PKCS12 without a password since 18
(JDK-8275252).
"""

import os
import struct

from .base import Unseen, read_octets

JKS = b"\xfe\xed\xfe\xed"
DATA = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
CERT_BAG = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03"
TRUSTED = b"\x60\x86\x48\x01\x86\xf9\x66\xad\xca\x7b\x01\x01"


def jvm_authorities(look):
    """(path, certificates in DER) of the store that Elasticsearch's JVM trusts. Raises Unseen where it is not known."""
    server = look.server()
    if server is None:
        raise Unseen("no Elasticsearch process runs")
    root = server.root()
    given = server.options.get("javax.net.ssl.trustStore")
    home = os.path.dirname(os.path.dirname(server.arguments[0]))
    folders = [home + "/lib/security/", home + "/jre/lib/security/"]
    # What JSSE looks for, in its order.
    wanted = [given] if given else [folder + name for folder in folders for name in ("jssecacerts", "cacerts")]
    for path in wanted:
        there = within(root, path)
        if os.path.isfile(there):
            named = path if root else os.path.realpath(there)
            return named, certificates_of(read_octets(there), named)
    raise Unseen("the JVM's trust store is not at %s" % wanted[-1])


def within(root, path):
    """Where a path of the process lies for us: its absolute links are meant inside its own root."""
    for _ in range(8):
        if not root or not os.path.islink(root + path):
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(root + path)))
    return root + path


def certificates_of(octets, path):
    """The trusted certificates. Raises Unseen for a store of another kind, an encrypted or a damaged one."""
    try:
        found = of_jks(octets) if octets[:4] == JKS else of_pkcs12(octets)
    except (struct.error, IndexError, ValueError):
        found = []
    if not found:
        raise Unseen("%s is no trust store that can be read without a JVM or a password" % path)
    return found


def of_jks(octets):
    found = []
    _, count = struct.unpack_from(">II", octets, 4)
    at = 12
    for _ in range(count):
        (tag,) = struct.unpack_from(">I", octets, at)
        at += 6 + struct.unpack_from(">H", octets, at + 4)[0] + 8
        certificates = 1
        if tag == 1:
            at += 4 + struct.unpack_from(">I", octets, at)[0]
            (certificates,) = struct.unpack_from(">I", octets, at)
            at += 4
        for _ in range(certificates):
            at += 2 + struct.unpack_from(">H", octets, at)[0]
            (length,) = struct.unpack_from(">I", octets, at)
            content = octets[at + 4 : at + 4 + length]
            if len(content) != length:
                raise ValueError("cut short")
            if tag == 2:
                found.append(content)
            at += 4 + length
    return found


def of_pkcs12(octets):
    """Of bags in plain content that carry the JDK's mark of trust; encrypted content is passed over."""
    found = []
    for info in elements(plain(elements(inside(octets))[1])):
        for bag in elements(plain(info)):
            parts = elements(bag)
            if parts[0] == CERT_BAG and TRUSTED in b"".join(parts[2:]):
                found.append(inside(elements(inside(parts[1]))[1]))
    return found


def plain(info):
    """What a ContentInfo of type data holds: the inside of one sequence; nothing for another type."""
    parts = elements(info)
    return inside(inside(parts[1])) if parts[0] == DATA else b""


def inside(octets):
    return elements(octets)[0]


def elements(octets):
    """The contents of the DER elements that stand one after another."""
    found, at = [], 0
    while at < len(octets):
        length, at = octets[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(octets[at : at + size], "big"), at + size
        if not length or at + length > len(octets):
            raise ValueError("cut short")
        found.append(octets[at : at + length])
        at += length
    return found

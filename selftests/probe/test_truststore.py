"""The JVM's trust store without a JVM: what keytool writes is read, what it encrypts is not guessed at."""

from __future__ import annotations

import datetime
import os
import shutil
import struct
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from preflight.probe.sections import truststore
from preflight.probe.sections.base import Unseen


def authority(name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    return built.sign(key, hashes.SHA256())


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def authorities():
    return [authority(f"authority {number}") for number in range(3)]


def text(words):
    return struct.pack(">H", len(words)) + words


def jks(entries):
    """A JKS as the JDK writes it: each entry (tag, [DER]); a private key's entry holds its chain."""
    octets = truststore.JKS + struct.pack(">II", 2, len(entries))
    for tag, chain in entries:
        octets += struct.pack(">I", tag) + text(b"alias") + struct.pack(">Q", 1_700_000_000_000)
        if tag == 1:
            octets += struct.pack(">I", 7) + b"the key" + struct.pack(">I", len(chain))
        for content in chain:
            octets += text(b"X.509") + struct.pack(">I", len(content)) + content
    return octets + b"d" * 20


def test_a_jks_gives_its_trusted_certificates_and_no_key_s_chain(authorities):
    first, second, own = map(der, authorities)
    store = jks([(2, [first]), (1, [own, first]), (2, [second])])
    assert truststore.certificates_of(store, "cacerts") == [first, second]


def test_a_pkcs12_without_a_password_gives_what_carries_the_jdk_s_mark(authorities):
    store = pkcs12.serialize_java_truststore(
        [pkcs12.PKCS12Certificate(a, b"alias") for a in authorities], serialization.NoEncryption()
    )
    assert sorted(truststore.certificates_of(store, "cacerts")) == sorted(map(der, authorities))


@pytest.mark.parametrize("cut", [5, 40, -30])
def test_a_store_that_is_cut_short_is_no_store(authorities, cut):
    for store in (
        jks([(2, [der(a)]) for a in authorities]),
        pkcs12.serialize_java_truststore(
            [pkcs12.PKCS12Certificate(a, b"x") for a in authorities], serialization.NoEncryption()
        ),
    ):
        with pytest.raises(Unseen, match="without a JVM or a password"):
            truststore.certificates_of(store[:cut], "cacerts")


def test_an_encrypted_store_is_said_to_be_one(authorities):
    store = pkcs12.serialize_java_truststore(
        [pkcs12.PKCS12Certificate(authorities[0], b"x")], serialization.BestAvailableEncryption(b"changeit")
    )
    with pytest.raises(Unseen, match="without a JVM or a password"):
        truststore.certificates_of(store, "cacerts")


@pytest.mark.skipif(shutil.which("keytool") is None, reason="needs a JDK's keytool to compare with")
@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_what_keytool_writes_is_what_is_read(authorities, kind, tmp_path):
    store = tmp_path / "store"
    plain = ["-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE", "-J-Dkeystore.pkcs12.macAlgorithm=NONE"]
    for number, certificate in enumerate(authorities):
        file = tmp_path / "one.crt"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        subprocess.run(
            ["keytool", *plain, "-importcert", "-noprompt", "-alias", f"a{number}", "-file", file, "-keystore", store,
             "-storetype", kind, "-storepass", "changeit"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    assert sorted(truststore.certificates_of(store.read_bytes(), "store")) == sorted(map(der, authorities))


class Look:
    """What jvm_authorities asks of a look: the server JVM."""

    def __init__(self, java, root="", **options):
        self.arguments, self.options, self.place = [java], options, root

    def server(self):
        return self

    def root(self):
        return self.place


def test_the_store_is_the_one_that_jsse_takes(authorities, tmp_path):
    """-Djavax.net.ssl.trustStore, else jssecacerts, else cacerts of the JVM that runs."""
    security = tmp_path / "jdk/lib/security"
    security.mkdir(parents=True)
    java = str(tmp_path / "jdk/bin/java")
    with pytest.raises(Unseen, match="is not at"):
        truststore.jvm_authorities(Look(java))
    for number, name in enumerate(("cacerts", "jssecacerts", "given")):
        file = tmp_path / name if name == "given" else security / name
        file.write_bytes(jks([(2, [der(authorities[number])])]))
        look = Look(java, **({"javax.net.ssl.trustStore": str(file)} if name == "given" else {}))
        assert truststore.jvm_authorities(look) == (os.path.realpath(file), [der(authorities[number])])


def test_a_container_s_links_are_followed_inside_it(authorities, tmp_path):
    (tmp_path / "jdk/lib/security").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "jdk/lib/security/cacerts").symlink_to("/etc/cacerts")
    (tmp_path / "etc/cacerts").write_bytes(jks([(2, [der(authorities[0])])]))
    path, found = truststore.jvm_authorities(Look("/jdk/bin/java", root=str(tmp_path)))
    assert (path, found) == ("/jdk/lib/security/cacerts", [der(authorities[0])])

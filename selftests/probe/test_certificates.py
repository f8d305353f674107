"""Certificates of a PEM file, and nothing else that stands in it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from preflight.probe.sections.base import Unseen
from preflight.probe.sections.certificates import certificates

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmg\nAwIBAgIUQ==\n-----END CERTIFICATE-----"
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0=\n-----END PRIVATE KEY-----"


def asked(tmp_path: Path, content: str | None, file: str = "certs/http_ca.crt") -> str:
    conf = tmp_path / "etc/elasticsearch"
    (conf / "certs").mkdir(parents=True)
    if content is not None:
        (conf / "certs/http_ca.crt").write_text(content)
    look = SimpleNamespace(place=lambda: {"root": str(tmp_path), "path_conf": "/etc/elasticsearch"})
    return certificates({"file": file}, look)["pem"]


def test_every_certificate_of_the_file(tmp_path):
    assert asked(tmp_path, f"a comment\n{CERTIFICATE}\n\n{CERTIFICATE}") == f"{CERTIFICATE}\n{CERTIFICATE}\n"


def test_a_private_key_beside_them_stays_on_the_node(tmp_path):
    assert asked(tmp_path, f"{KEY}\n{CERTIFICATE}\n{KEY}\n") == f"{CERTIFICATE}\n"


@pytest.mark.parametrize("content", [None, "", KEY, "-----BEGIN CERTIFICATE-----\nno base64 !\n"])
def test_a_file_without_a_certificate_is_said(tmp_path, content):
    with pytest.raises(Unseen, match=r"/etc/elasticsearch/certs/http_ca\.crt (is no file|holds no PEM certificate)"):
        asked(tmp_path, content)

"""One lab AWS on loopback for all of these tests, reached under AWS's own names."""

import json
import os
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
import urllib3.util.connection
from botocore.config import Config

from lab import certificates, names
from lab.aws import CERTIFICATE_NAMES

CHECKOUT = Path(__file__).resolve().parents[2]
INSTANCES = {"es-1": "i-0e500000000000001", "es-2": "i-0e500000000000002"}


@dataclass(frozen=True)
class RunningAws:
    """record: aws.json; ports of the listeners; authority: PEM of the CA its certificate is signed by."""

    state: Path
    record: dict
    https: int
    http: int
    authority: Path

    def role_keys(self, node="es-1"):
        document = json.loads((self.state / "credentials" / f"{node}.json").read_text())
        return document["AccessKeyId"], document["SecretAccessKey"], document["Token"]

    def keys(self, name):
        return self.record[name]["access_key"], self.record[name]["secret_key"]

    def client(self, service, keys, region=names.REGION, **config):
        """A client without endpoint: it goes to AWS's own host names."""
        settings = Config(retries={"total_max_attempts": 1}, **config)
        return boto3.Session(*keys, region_name=region).client(service, config=settings, verify=str(self.authority))

    def context(self):
        return ssl.create_default_context(cafile=str(self.authority))


@pytest.fixture(scope="session")
def running_aws(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "CERTIFICATES", folder)
        authority = certificates.Authority("lab")
        certificate, key = authority.sign("aws", CERTIFICATE_NAMES)
    state = folder / "state"
    instances = ",".join(f"{node}={instance}" for node, instance in INSTANCES.items())
    command = [
        sys.executable, "-m", "lab.aws", "--listen", "127.0.0.1", "--https-port", "0", "--http-port", "0",
        "--certificate", certificate, "--key", key, "--state", state, "--instances", instances,
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=output, stderr=output)
    try:
        give_up = time.monotonic() + 60
        while not (state / "aws.json").exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.05)
        record = json.loads((state / "aws.json").read_text())
        ports = {scheme: urlsplit(url).port for scheme, url in record["endpoints"].items()}
        yield RunningAws(state, record, ports["https"], ports["http"], authority.certificate)
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.fixture
def aws(running_aws, monkeypatch):
    """The running AWS, with every amazonaws.com name of this process leading to it, as the lab's DNS does."""
    connect = urllib3.util.connection.create_connection

    def to_the_lab(address, *arguments, **options):
        host, port = address
        assert host.endswith(".amazonaws.com"), f"{host} is not in the lab"
        return connect(("127.0.0.1", {443: running_aws.https, 80: running_aws.http}[port]), *arguments, **options)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", to_the_lab)
    return running_aws

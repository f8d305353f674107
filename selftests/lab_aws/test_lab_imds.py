"""The lab's metadata service: IMDSv2's token rules, and a role that a fault can take away while it runs."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lab import names
from lab.aws import EXPIRED, credentials_file
from lab.files import write_secret
from lab.imds import Metadata, Server, set_role

INSTANCE = "i-0e500000000000001"
CREDENTIALS = {
    "Code": "Success",
    "LastUpdated": "2026-01-01T00:00:00Z",
    "Type": "AWS-HMAC",
    "AccessKeyId": "ASIAEXAMPLE",
    "SecretAccessKey": "not-a-secret",
    "Token": "not-a-token",
    "Expiration": "2026-01-01T06:00:00Z",
}
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
ROLES = "/latest/meta-data/iam/security-credentials/"


def new_state(folder):
    (folder / "credentials").mkdir()
    write_secret(folder / "credentials" / "es-1.json", json.dumps(CREDENTIALS))
    set_role(folder, "es-1", names.ROLE)
    return folder


class Asking:
    """Requests to a metadata service over one connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def request(self, method, path, headers=None):
        self.connection.request(method, path, headers=headers or {})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def token(self, seconds=60):
        status, token = self.request("PUT", "/latest/api/token", {TTL: str(seconds)})
        assert status == 200
        return token

    def get(self, path, token=None):
        return self.request("GET", path, {"X-aws-ec2-metadata-token": token or self.token()})


@pytest.fixture
def state(tmp_path):
    return new_state(tmp_path)


@pytest.fixture
def imds(state):
    server = Server(("127.0.0.1", 0), Metadata("es-1", INSTANCE, state))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    asking = Asking(server.server_address[1])
    yield asking
    asking.connection.close()
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({TTL: "1"}, 200),
        ({TTL: "21600"}, 200),
        ({TTL: "0"}, 400),
        ({TTL: "21601"}, 400),
        ({TTL: "-5"}, 400),
        ({TTL: "soon"}, 400),
        ({}, 400),
        ({TTL: "60", "X-Forwarded-For": "203.0.113.7"}, 403),
    ],
)
def test_a_token_has_a_lifetime_and_passes_no_proxy(imds, headers, status):
    assert imds.request("PUT", "/latest/api/token", headers)[0] == status


def test_nothing_is_said_without_a_current_token(imds):
    assert imds.request("GET", ROLES)[0] == 401
    assert imds.get(ROLES, "made-up")[0] == 401
    token = imds.token(seconds=1)
    assert imds.get(ROLES, token) == (200, names.ROLE)
    time.sleep(1.05)
    assert imds.get(ROLES, token)[0] == 401


def test_an_instance_describes_itself(imds):
    assert imds.get("/latest/meta-data/instance-id") == (200, INSTANCE)
    assert imds.get("/latest/meta-data/placement/region") == (200, "ap-northeast-2")
    assert imds.get("/latest/meta-data/placement/availability-zone") == (200, "ap-northeast-2a")
    assert imds.get("/latest/meta-data/placement/") == (200, "availability-zone\nregion")
    document = json.loads(imds.get("/latest/dynamic/instance-identity/document")[1])
    assert (document["instanceId"], document["region"], document["accountId"]) == (
        INSTANCE, "ap-northeast-2", "123456789012",
    )  # fmt: skip
    assert "iam/" in imds.get("/latest/meta-data/")[1].splitlines()
    assert imds.get("/latest/meta-data/nothing")[0] == 404
    assert imds.get("/elsewhere")[0] == 404


def test_the_role_and_its_credentials_are_handed_out(imds):
    assert imds.get(ROLES) == (200, names.ROLE)
    assert json.loads(imds.get(ROLES + names.ROLE)[1]) == CREDENTIALS
    assert imds.get("/latest/meta-data/iam/") == (200, "info\nsecurity-credentials/")
    profile = json.loads(imds.get("/latest/meta-data/iam/info")[1])
    assert profile["InstanceProfileArn"] == "arn:aws:iam::123456789012:instance-profile/es-node"
    assert imds.get(ROLES + "another-role")[0] == 404


def test_renewed_credentials_are_handed_out_at_once(imds, state):
    write_secret(state / "credentials" / "es-1.json", json.dumps({**CREDENTIALS, "AccessKeyId": "ASIANEWER"}))
    assert json.loads(imds.get(ROLES + names.ROLE)[1])["AccessKeyId"] == "ASIANEWER"


def test_a_role_taken_away_is_gone_from_the_next_request_on(imds, state):
    token = imds.token()
    set_role(state, "es-1", None)
    for path in (ROLES, ROLES + names.ROLE, "/latest/meta-data/iam/info", "/latest/meta-data/iam/"):
        assert imds.get(path, token)[0] == 404, path
    assert imds.get("/latest/meta-data/instance-id", token) == (200, INSTANCE)
    set_role(state, "es-1", names.ROLE)
    assert imds.get(ROLES, token) == (200, names.ROLE)


def test_a_service_that_is_off_forbids_everything(imds, state):
    token = imds.token()
    set_role(state, "es-1", names.ROLE, enabled=False)
    assert imds.get(ROLES, token)[0] == 403
    assert imds.request("PUT", "/latest/api/token", {TTL: "60"})[0] == 403


def test_other_and_expired_credentials_lie_beside_the_roles_own(imds, state):
    for variant, key in ((names.OTHER_ROLE, "ASIAOTHER"), (EXPIRED, "ASIALATE")):
        write_secret(credentials_file(state, "es-1", variant), json.dumps({**CREDENTIALS, "AccessKeyId": key}))
    set_role(state, "es-1", names.OTHER_ROLE)
    assert imds.get(ROLES) == (200, names.OTHER_ROLE)
    assert json.loads(imds.get(ROLES + names.OTHER_ROLE)[1])["AccessKeyId"] == "ASIAOTHER"
    set_role(state, "es-1", names.ROLE, expired=True)
    assert json.loads(imds.get(ROLES + names.ROLE)[1])["AccessKeyId"] == "ASIALATE"


def test_a_slow_service_takes_its_time(imds, state):
    set_role(state, "es-1", names.ROLE, delay=0.4)
    began = time.monotonic()
    assert imds.get(ROLES) == (200, names.ROLE)
    assert time.monotonic() - began >= 0.4


def test_other_methods_are_not_allowed(imds):
    assert imds.request("POST", "/latest/api/token")[0] == 405
    assert imds.request("DELETE", ROLES)[0] == 405


def test_one_connection_carries_many_requests(imds):
    imds.token()
    first = imds.connection.sock
    imds.get(ROLES)
    imds.request("HEAD", ROLES)
    imds.get(ROLES)
    assert first is not None and imds.connection.sock is first


def test_the_command_keeps_the_role_a_fault_has_taken(state):
    set_role(state, "es-1", None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "lab.imds", "--node", "es-1", "--instance-id", INSTANCE,
        "--role", names.ROLE, "--state", state, "--listen", f"127.0.0.1:{port}",
    ]  # fmt: skip
    checkout = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(command, cwd=checkout, env=os.environ, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 20
        while True:
            try:
                asking = Asking(port)
                token = asking.token()
                break
            except ConnectionRefusedError:
                assert process.poll() is None and time.monotonic() < give_up
                time.sleep(0.02)
        assert asking.get(ROLES, token)[0] == 404
        asking.connection.close()
    finally:
        process.terminate()
        assert process.wait(10) == 0

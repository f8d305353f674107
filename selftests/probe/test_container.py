"""The container's endpoint for credentials, and who STS says the node is."""

from __future__ import annotations

import json
import socket
from types import SimpleNamespace

import pytest
from aws_servers import EXPIRES, KEY, Answering, Served

from preflight.facts import Identity
from preflight.probe.sections.base import Deadline, Unseen
from preflight.probe.sections.container import Container
from preflight.probe.sections.imds import moment
from preflight.probe.sections.owner import Owner

SECRET_PATH = "/v2/credentials/0b5d9b6a-canary"
HANDED = {"AccessKeyId": KEY[0], "SecretAccessKey": KEY[1], "Token": KEY[2], "Expiration": EXPIRES}


@pytest.fixture
def endpoint():
    """endpoint(status, body) -> (its port, what it saw)."""
    running = []

    def serve(status=200, body=HANDED):
        class Endpoint(Answering):
            def do_GET(self):  # noqa: N802
                self.server.seen.append((self.path, self.headers["Authorization"]))
                self.say(status, json.dumps(body))

        running.append(Served(Endpoint))
        return running[-1].port, running[-1].seen

    yield serve
    for one in running:
        one.close()


def ask(environment):
    server = SimpleNamespace(environment=lambda: environment, root=lambda: "")
    found = Container(server, Owner(), Deadline(10))
    assert not [part for part in (*KEY, SECRET_PATH) if part in json.dumps(found.value)]
    return found


def test_nothing_is_asked_where_nothing_is_named():
    assert ask({"AWS_REGION": "ap-northeast-2"}).value is None
    assert Container(None, Owner(), Deadline(10)).value is None


def test_credentials_with_the_token_of_a_file(endpoint, tmp_path):
    port, seen = endpoint()
    token = tmp_path / "token"
    token.write_text("let me in\n")
    found = ask(
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}{SECRET_PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        }
    )
    assert seen == [(SECRET_PATH, "let me in")]
    assert found.key == KEY
    assert (found.value["outcome"], found.value["status"]) == ("answered", 200)
    assert found.value["host"] == f"127.0.0.1:{port}"
    assert found.value["credentials"] == {"code": "Success", "key_prefix": "ASIA", "expires": moment(EXPIRES)}


@pytest.mark.parametrize(
    ("status", "body", "code"), [(403, {"message": "no"}, "HTTP 403"), (200, {}, "no key"), (500, {}, "HTTP 500")]
)
def test_an_answer_without_credentials(endpoint, status, body, code):
    port, _ = endpoint(status, body)
    found = ask({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}{SECRET_PATH}"})
    assert found.key is None
    assert (found.value["status"], found.value["credentials"]["code"]) == (status, code)


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = ask({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}{SECRET_PATH}"})
    assert (found.value["outcome"], found.value["status"]) == ("refused", None)


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1/", "http://[::1", "http://127.0.0.1:port/"])
def test_what_is_no_address_is_said_without_it(address):
    with pytest.raises(Unseen) as told:
        ask({"AWS_CONTAINER_CREDENTIALS_FULL_URI": address})
    assert address not in told.value.reason


def test_a_token_file_that_is_not_there_is_unseen(tmp_path):
    with pytest.raises(Unseen, match="is not there"):
        ask(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "none"),
            }
        )


@pytest.mark.parametrize(
    ("arn", "role"),
    [
        ("arn:aws:sts::123456789012:assumed-role/es-node/i-0abc", "arn:aws:iam::123456789012:role/es-node"),
        ("arn:aws-cn:sts::123456789012:assumed-role/es/i-0", "arn:aws-cn:iam::123456789012:role/es"),
        ("arn:aws:iam::123456789012:user/lab", "arn:aws:iam::123456789012:user/lab"),
    ],
)
def test_the_roles_arn(arn, role):
    assert Identity(account="123456789012", arn=arn).role_arn == role

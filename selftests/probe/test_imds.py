"""The metadata service: IMDSv2 and no proxy, every way it can answer, and nothing of the key in the answer."""

from __future__ import annotations

import json
import os
import socket
import time

import msgspec
import pytest
from aws_servers import EXPIRES, KEY, Served, imds_handler

from preflight import facts as records
from preflight.probe.sections.imds import moment

ADDRESS = 'METADATA = ("169.254.169.254", 80)'


HURRIED = {"PATIENCE = 2.0": "PATIENCE = 0.3", "SILENCE = 4.0": "SILENCE = 0.3"}


def at(port):
    return {ADDRESS: f'METADATA = ("127.0.0.1", {port})'}


@pytest.fixture
def ask(facts):
    """ask(handler options) -> (the section, what the service saw)."""
    served = []

    def section(python=None, env=None, **options):
        served.append(Served(imds_handler(**options)))
        keywords = {key: value for key, value in (("python", python), ("env", env)) if value}
        answer = facts("imds", replace=at(served[-1].port), **keywords)
        assert not [part for part in KEY if part in json.dumps(answer)]
        return msgspec.convert(answer["imds"]["value"], records.Imds), served[-1].seen

    yield section
    for one in served:
        one.close()


def test_a_role_on_every_python(ask, python):
    found, seen = ask(python=python)
    assert found.outcome == "answered" and found.token_status == 200 and 0 < found.milliseconds < 5000
    assert found.instance_id == "i-0123456789abcdef0"
    assert (found.region, found.availability_zone) == ("ap-northeast-2", "ap-northeast-2a")
    assert (found.role_status, found.role) == (200, "es-node")
    assert found.credentials == records.RoleCredentials(code="Success", key_prefix="ASIA", expires=moment(EXPIRES))
    assert seen[0][0] == "PUT" and all("X-aws-ec2-metadata-token" in headers for _, _, headers in seen[1:])


def test_without_the_document_the_paths_of_their_own_answer(ask):
    found, _ = ask(document=False)
    assert (found.region, found.availability_zone) == ("ap-northeast-2", "ap-northeast-2a")


def test_no_role(ask):
    found, _ = ask(role=None)
    assert (found.role_status, found.role, found.credentials) == (404, None, None)


def test_credentials_that_are_no_success(ask):
    found, _ = ask(code="AssumeRoleUnauthorizedAccess")
    assert found.credentials.code == "AssumeRoleUnauthorizedAccess"


@pytest.mark.parametrize("status", [403, 400, 404])
def test_a_token_that_is_refused(ask, status):
    found, seen = ask(token_status=status)
    assert (found.outcome, found.token_status, found.role_status) == ("answered", status, None)
    assert found.tokenless_status == 401
    assert [method for method, _, _ in seen] == ["PUT", "GET"]


def test_a_service_that_knows_no_token_is_read_without_one(ask):
    """IMDSv1 alone; what it says is told, and whether this Elasticsearch asks so is the version's matter."""
    found, _ = ask(token_status=404, tokenless=True)
    assert (found.token_status, found.tokenless_status, found.role) == (404, 200, "es-node")


def test_a_token_is_not_left_out_where_one_is_given(ask):
    """AWS counts requests without a token, and some watch that count."""
    found, seen = ask(tokenless=True)
    assert found.tokenless_status is None
    assert all(method == "PUT" or "X-aws-ec2-metadata-token" in headers for method, _, headers in seen)


def test_a_slow_service_is_told_from_a_silent_one(ask):
    found, seen = ask(delay=1.2)
    assert (found.outcome, found.role) == ("answered", "es-node")
    assert 1200 <= found.slowest < 4000
    # The document, which decides nothing, is not asked at this price; a second token tells slow from busy.
    assert [method for method, _, _ in seen] == ["PUT", "GET", "GET", "PUT"]


def test_one_late_answer_is_not_a_slow_service(facts):
    class Late(imds_handler()):
        waited = False

        def do_PUT(self):  # noqa: N802
            if not Late.waited:
                Late.waited = True
                time.sleep(1.2)
            super().do_PUT()

    service = Served(Late)
    found = facts("imds", replace=at(service.port))["imds"]["value"]
    service.close()
    assert found["role"] == "es-node" and found["milliseconds"] > 1000 > found["slowest"]


def test_a_proxy_of_the_environment_is_not_used(ask):
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:1")
    found, _ = ask(env={"PATH": os.environ["PATH"], **proxies})
    assert found.role == "es-node"


def test_refused(facts):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = facts("imds", replace=at(port))["imds"]["value"]
    assert found["outcome"] == "refused" and found.get("token_status") is None


def test_a_service_that_never_answers_costs_its_own_patience_and_delays_nobody(facts):
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = facts("imds", "system", replace={**at(server.getsockname()[1]), **HURRIED})
    found = answer["imds"]["value"]
    assert found["outcome"] == "timeout" and 250 < found["milliseconds"] < 3000 and "value" in answer["system"]


def test_a_service_that_stops_answering_after_its_token_is_unknown_and_no_verdict_on_the_instance(facts):
    class Stalling(imds_handler()):
        def do_GET(self):  # noqa: N802
            if "security-credentials" in self.path:
                time.sleep(1)
            super().do_GET()

    service = Served(Stalling)
    found = facts("imds", replace={**at(service.port), **HURRIED})["imds"]
    service.close()
    assert found == {
        "unknown": "the metadata service handed out a token and then stopped answering (timeout)",
        "remedy": "run again",
    }


def test_what_is_no_metadata_service_is_no_role(facts):
    with socket.create_server(("127.0.0.1", 0)) as server:
        import threading

        def talk():
            wire, _ = server.accept()
            wire.recv(1000)
            wire.sendall(b"SSH-2.0-nonsense\r\n")
            wire.close()

        talker = threading.Thread(target=talk)
        talker.start()
        found = facts("imds", replace=at(server.getsockname()[1]))["imds"]["value"]
        talker.join()
    assert found["outcome"] == "refused" and found.get("role") is None


@pytest.mark.parametrize("text", ["", None, "tomorrow", 5, "2031-01-02"])
def test_a_moment_that_is_none(text):
    assert moment(text) is None

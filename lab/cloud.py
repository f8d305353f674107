"""The emulated AWS and the nodes' metadata services, as processes of the lab."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import sys
from collections.abc import Sequence
from urllib.parse import urlencode

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from . import names
from .aws import CERTIFICATE_NAMES
from .certificates import Authority
from .errors import LabError
from .names import Node
from .processes import last_words, pid_of, start, wait_until

START_SECONDS = 60.0


def start_aws(authority: Authority, nodes: Sequence[Node]) -> None:
    """Start AWS behind the router; `wait_for_aws` says when it answers."""
    certificate, key = authority.sign("aws", CERTIFICATE_NAMES)
    instances = ",".join(f"{node.name}={node.instance_id}" for node in nodes)
    subnets = len({node.place for node in nodes})
    start(
        "aws",
        ["ip", "netns", "exec", names.AWS_NAMESPACE, sys.executable, "-m", "lab.aws", "--listen", names.AWS_ADDRESS,
         "--certificate", certificate, "--key", key, "--state", names.AWS_STATE, "--instances", instances,
         "--subnets", str(subnets)],
    )  # fmt: skip


def wait_for_aws() -> None:
    """Raise LabError where AWS does not come up."""
    ready = names.AWS_STATE / "aws.json"
    if not wait_until(lambda: ready.exists() or pid_of("aws") is None, START_SECONDS) or not ready.exists():
        raise LabError(f"the lab's AWS does not start: {last_words('aws')}")


def start_imds(node: Node) -> None:
    """Start the node's metadata service in its network namespace, outside its process list."""
    start(
        f"imds-{node.name}",
        ["ip", "netns", "exec", node.namespace, sys.executable, "-m", "lab.imds", "--node", node.name,
         "--instance-id", node.instance_id, "--zone", node.subnet.zone, "--role", names.ROLE,
         "--state", names.AWS_STATE],
    )  # fmt: skip


def stale_key() -> dict[str, str]:
    """The key pair that IAM no longer knows: access_key and secret_key."""
    return _pair("stale_key")


def current_key() -> dict[str, str]:
    """The key pair that the same IAM user has today, with access to the bucket."""
    return _pair("current_key")


def _pair(name: str) -> dict[str, str]:
    document: dict[str, dict[str, str]] = json.loads((names.AWS_STATE / "aws.json").read_text())
    return document[name]


def sweep_markers() -> int:
    """Delete what failing runs of _verify have left under the repository's base path; how many objects that was.

    Old ones are a finding of their own, and a lab that stands for an hour has had many faults.
    """
    found = re.findall(
        r"<Key>([^<]+)</Key>", _bucket("GET", "/", {"list-type": "2", "prefix": f"{names.BASE_PATH}/tests-"})
    )
    for key in found:
        _bucket("DELETE", f"/{key}", {})
    return len(found)


def _bucket(method: str, path: str, query: dict[str, str]) -> str:
    """One request to the lab's bucket with the administrator's key. Raises LabError."""
    host = f"{names.BUCKET}.s3.{names.REGION}.amazonaws.com"
    target = f"{path}?{urlencode(query)}" if query else path
    request = AWSRequest(method, f"https://{host}{path}", params=query)
    pair = _pair("admin_key")
    S3SigV4Auth(Credentials(pair["access_key"], pair["secret_key"]), "s3", names.REGION).add_auth(request)
    wire = http.client.HTTPSConnection(names.AWS_ADDRESS, timeout=30, context=_trusting_nobody())
    try:
        wire.request(method, target, headers={**dict(request.headers), "Host": host})
        answer = wire.getresponse()
        text = answer.read().decode()
    except OSError as error:
        raise LabError(f"the lab's AWS does not answer {method} {target}: {error}") from None
    finally:
        wire.close()
    if answer.status not in (200, 204):
        raise LabError(f"the lab's AWS answers {answer.status} to {method} {target}")
    return text


def _trusting_nobody() -> ssl.SSLContext:
    # It is dialled by its address, which its certificate does not name, and stands on this machine.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context

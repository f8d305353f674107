"""The emulated AWS and the nodes' metadata services, as processes of the lab."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

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
    start(
        "aws",
        ["ip", "netns", "exec", names.AWS_NAMESPACE, sys.executable, "-m", "lab.aws", "--listen", names.AWS_ADDRESS,
         "--certificate", certificate, "--key", key, "--state", names.AWS_STATE, "--instances", instances],
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
         "--instance-id", node.instance_id, "--role", names.ROLE, "--state", names.AWS_STATE],
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

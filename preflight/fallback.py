"""Where one node's Elasticsearch gets credentials where no static key signs: read off the facts, judged by nobody.

The survey asks this to know whose credentials to sign with, the rules to know which of them matter.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from . import versions
from .facts import Container, CouldNotCheck, Imds, Install, Member, NodeFacts, Process

Fallback = Literal["web identity", "container", "instance"]

WEB_IDENTITY = frozenset({"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"})
"""With both, Elasticsearch from 8.0 asks STS for credentials before it looks anywhere else but the keystore."""

CONTAINER = frozenset({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"})
"""Either names the endpoint that is asked before the metadata service, or instead of it."""


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose credentials sign. source: None where there are none; why_not: then the reason."""

    source: Literal["container", "instance"] | None
    why_not: str = ""


def line(node: NodeFacts, member: Member | None) -> versions.Line | None:
    """The version's row: as it runs, else as installed; None where neither is known."""
    install = node.install if isinstance(node.install, Install) else None
    version = member.version if member else install.version if install else None
    try:
        return versions.line(version) if version else None
    except CouldNotCheck:
        return None


def sources(node: NodeFacts, row: versions.Line | None) -> tuple[Fallback, ...]:
    """What the process asks, in order; the first that has credentials wins.

    AWS SDK v1 asks the container's endpoint instead of IMDS (EC2ContainerCredentialsProviderWrapper), SDK v2 goes on
    to IMDS where the endpoint gives nothing (AwsCredentialsProviderChain).
    """
    if row is None or not isinstance(node.process, Process):
        return ("instance",)
    names = set(node.process.environment)
    if "web identity" in row.credentials and names >= WEB_IDENTITY:
        return ("web identity",)
    if "container" in row.credentials and names & CONTAINER:
        return ("container", "instance") if row.sdk == 2 else ("container",)
    return ("instance",)


def patience(node: NodeFacts) -> float | None:
    """Milliseconds that the process waits for one answer of IMDS; None where its environment sets another limit."""
    named = isinstance(node.process, Process) and "AWS_METADATA_SERVICE_TIMEOUT" in node.process.environment
    return None if named else versions.IMDS_PATIENCE


def reached(imds: Imds, row: versions.Line | None) -> bool:
    """Whether IMDS answers in the protocol of this version: with a session token, without one, or either way."""
    protocol = row.imds if row else "IMDSv2"
    with_token = imds.outcome == "answered" and imds.token_status == 200
    without = imds.tokenless_status == 200
    return {"IMDSv2": with_token, "IMDSv1": without, "either": with_token or without}[protocol]


def signer(node: NodeFacts, member: Member | None) -> Signer:
    """Whose credentials this node's Elasticsearch would sign with where no static key does."""
    row = line(node, member)
    asked = sources(node, row)
    if "web identity" in asked:
        return Signer(source=None, why_not="web identity (IRSA) signs: Elasticsearch asks STS, not IMDS")
    container = node.container if isinstance(node.container, Container) else None
    if "container" in asked and container and container.credentials and container.credentials.code == "Success":
        return Signer(source="container")
    if "instance" not in asked:
        return Signer(source=None, why_not="the container's endpoint gives no credentials, and IMDS is not asked")
    imds = node.imds if isinstance(node.imds, Imds) else None
    if imds is None or imds.role is None:
        return Signer(source=None, why_not="IMDS names no role")
    if isinstance(node.process, Process) and node.process.own_network_namespace and not imds.in_namespace:
        return Signer(source=None, why_not="Elasticsearch has a network namespace of its own, where IMDS was not asked")
    limit = patience(node)
    if not reached(imds, row):
        return Signer(source=None, why_not="IMDS does not answer as this version of Elasticsearch asks")
    if limit is not None and imds.slowest is not None and imds.slowest > limit:
        return Signer(source=None, why_not="IMDS answers later than Elasticsearch waits")
    return Signer(source="instance")

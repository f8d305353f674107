"""What a run asks and how: its settings, and what the selected checks want to know."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .connection.connections import Connections
from .facts import Config, Container, Imds, Install, Keystore, Log, Process, Routing, Sources, Survey, System

SECTIONS: dict[str, Any] = {
    "system": System,
    "install": Install,
    "process": Process,
    "keystore": Keystore,
    "config": Config,
    "sources": Sources,
    "log": Log,
    "imds": Imds,
    "container": Container,
    "routing": Routing,
}
"""The probe's sections and the record that each becomes."""

# msgspec 0.22.0 works out a record's fields at its first use and crashes where two threads are at that at once: so
# before there are any, for all that the nodes' threads convert.
msgspec.json.Decoder(Survey)


class RunKey(msgspec.Struct, frozen=True):
    """The key of one run, under which nodes fingerprint what is compared without being told. Its repr has no value.

    text: 256 bits in hex, drawn here, sent over a probe's standard input, kept nowhere
    """

    text: str = msgspec.field(default_factory=lambda: secrets.token_hex(32))

    def __repr__(self) -> str:
        return "RunKey()"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to ask. Timeouts in seconds; the other fields as the options of the same name.

    connections: the run's logins, shared with a user's own tests; environ: where the Elasticsearch login is looked up
    fingerprints: the run's own key
    aws: ask AWS's control plane too, with the credentials of aws_profile (None: as every AWS tool finds them)
    """

    connections: Connections
    connect_timeout: float = 5.0
    command_timeout: float = 30.0
    verify_timeout: float = 180.0
    verify_budget: float = 600.0
    certificate_days: float = 30.0
    insecure_host_keys: bool = False
    reference: str | None = None
    complete: bool = False
    read_only: bool = False
    es_url: str | None = None
    es_ca: Path | None = None
    keystore_password_file: Path | None = None
    fingerprints: RunKey = msgspec.field(default_factory=RunKey)
    try_role: bool = False
    aws: bool = False
    aws_profile: str | None = None
    environ: Mapping[str, str] = msgspec.field(default_factory=lambda: os.environ)


class Wanted(msgspec.Struct, frozen=True):
    """What the selected checks read, as questions: the probe's sections, the cluster, and what to try."""

    sections: tuple[str, ...]
    cluster: bool
    verify: bool
    dials: bool
    paths: bool
    buckets: bool
    marker: bool
    aws: bool

    @classmethod
    def of(cls, needs: frozenset[str]) -> Wanted:
        """From the names that checks declare (check.Need): a need brings what its answer is read from."""
        cluster = bool(needs & {"view", "cluster", "verify", "dials", "paths", "buckets"})
        sections = {"system", "install", "process"} | (needs & set(SECTIONS))
        if cluster:
            sections |= {"config", "routing"}
        if needs & {"buckets", "aws"}:
            sections |= {"imds", "container"}
        if "verify" in needs:
            sections.add("log")
        return cls(
            sections=tuple(sorted(sections)),
            cluster=cluster,
            verify="verify" in needs,
            dials="dials" in needs,
            paths="paths" in needs,
            buckets="buckets" in needs,
            marker={"buckets", "marker"} <= needs,
            aws="aws" in needs,
        )

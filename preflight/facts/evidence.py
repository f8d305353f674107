"""What lies about and costs nothing to see: logs, policies, mounted indices, the newest snapshot. Proves nothing alone.

Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Literal

from .base import Fact


class LogLine(Fact, frozen=True, kw_only=True):
    """One sentence of AWS's in the node's Elasticsearch log, however often it stands there.

    repository: whose request it was, None where the line names none; sentence: key ids masked on the node
    first, last: of the lines that were read; count: how many of them carry it
    """

    first: float
    last: float
    count: int
    repository: str | None
    sentence: str


class Log(Fact, frozen=True, kw_only=True):
    """The end of the node's own Elasticsearch log. source: probe section `log`, at most its last 2 MB.

    whole: the file was read from its first line; lines: the five youngest sentences, oldest first
    """

    path: str
    whole: bool
    lines: tuple[LogLine, ...]


class MountedIndex(Fact, frozen=True, kw_only=True):
    """One index mounted from a snapshot: its shards are read from the repository, partial ones at every restart.

    nodes: ids of the members that hold its shards. source: GET _cluster/state, index.store.type=snapshot
    """

    name: str
    repository: str
    partial: bool
    nodes: tuple[str, ...]


class SlmPolicy(Fact, frozen=True, kw_only=True):
    """One snapshot lifecycle policy and how it went. source: GET _slm/policy.

    last_success, last_failure: None where there was none; sentence: of the last failure, its innermost cause
    taken, failed: snapshots since the policy's statistics begin, None where they are not told
    """

    name: str
    repository: str
    last_success: float | None = None
    last_failure: float | None = None
    sentence: str | None = None
    taken: int | None = None
    failed: int | None = None


class IlmPolicy(Fact, frozen=True, kw_only=True):
    """One index lifecycle policy with a searchable_snapshot action. source: GET _ilm/policy."""

    name: str
    repository: str


class Indicator(Fact, frozen=True, kw_only=True):
    """One indicator of GET _health_report (8.7 and newer). It never knows of credentials."""

    name: Literal["slm", "repository_integrity"]
    status: str
    symptom: str


class ShardFailures(Fact, frozen=True, kw_only=True):
    """Shards of one snapshot that failed on one node for one reason. node_id: None where none is named."""

    node_id: str | None
    sentence: str
    shards: int


class NewestSnapshot(Fact, frozen=True, kw_only=True):
    """The snapshot of a repository that began last. source: GET _snapshot/REPOSITORY/*?sort=start_time&size=1.

    snapshot, state: None where the repository has none; state: SUCCESS | PARTIAL | FAILED | IN_PROGRESS
    """

    repository: str
    snapshot: str | None = None
    state: str | None = None
    started: float | None = None
    failures: tuple[ShardFailures, ...] = ()

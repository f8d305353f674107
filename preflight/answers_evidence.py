"""Evidence out of Elasticsearch's answers: who needs a repository, how its snapshots went, what health is reported."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from .answers import causes, flattened, sentence
from .facts import IlmPolicy, Indicator, MountedIndex, NewestSnapshot, ShardFailures, SlmPolicy
from .redaction import redact


def mounted(state: dict[str, Any]) -> tuple[MountedIndex, ...]:
    """Mounted indices from a cluster state with index settings and routing table, sorted by name."""
    found = []
    routing = state.get("routing_table", {}).get("indices", {})
    for name, index in sorted(state.get("metadata", {}).get("indices", {}).items()):
        store = index.get("settings", {}).get("index", {}).get("store", {})
        snapshot = store.get("snapshot", {})
        if store.get("type") != "snapshot" or not snapshot.get("repository_name"):
            continue
        copies = [copy for shard in routing.get(name, {}).get("shards", {}).values() for copy in shard]
        found.append(
            MountedIndex(
                name=name,
                repository=snapshot["repository_name"],
                partial=str(snapshot.get("partial", "false")).lower() == "true",
                nodes=tuple(sorted({copy["node"] for copy in copies if copy.get("node")})),
            )
        )
    return tuple(found)


def slm(body: dict[str, Any]) -> tuple[SlmPolicy, ...]:
    """Policies from a GET _slm/policy body, sorted by name."""
    found = []
    for name, entry in sorted(body.items()):
        stats, failure = entry.get("stats", {}), entry.get("last_failure", {})
        found.append(
            SlmPolicy(
                name=name,
                repository=entry.get("policy", {}).get("repository", ""),
                last_success=_seconds(entry.get("last_success", {}).get("time")),
                last_failure=_seconds(failure.get("time")),
                sentence=_details(failure.get("details")),
                taken=stats.get("snapshots_taken"),
                failed=stats.get("snapshots_failed"),
            )
        )
    return tuple(found)


def _seconds(milliseconds: object) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else None


def _details(details: object) -> str | None:
    """The innermost cause of a failure that SLM keeps as the JSON of an exception, as text."""
    if not isinstance(details, str) or not details:
        return None
    try:
        error = json.loads(details)
    except ValueError:
        error = None
    innermost = list(causes(error))[-1] if isinstance(error, dict) else flattened(details)[-1]
    return redact(sentence(innermost)) or None


def ilm(body: dict[str, Any]) -> tuple[IlmPolicy, ...]:
    """Policies from a GET _ilm/policy body that put indices into a snapshot repository, sorted by name."""
    found = set()
    for name, entry in body.items():
        for phase in entry.get("policy", {}).get("phases", {}).values():
            repository = phase.get("actions", {}).get("searchable_snapshot", {}).get("snapshot_repository")
            if repository:
                found.add((name, repository))
    return tuple(IlmPolicy(name=name, repository=repository) for name, repository in sorted(found))


def health(body: dict[str, Any]) -> tuple[Indicator, ...]:
    """The two indicators of a GET _health_report body that concern snapshots, as far as it has them."""
    indicators = body.get("indicators", {})
    return tuple(
        Indicator(name=name, status=indicators[name].get("status", "unknown"), symptom=indicators[name]["symptom"])
        for name in ("slm", "repository_integrity")
        if indicators.get(name, {}).get("symptom")
    )


def newest(repository: str, body: dict[str, Any]) -> NewestSnapshot:
    """The snapshot in a GET _snapshot body of one, its failures counted by node and reason."""
    found = body.get("snapshots") or []
    if not found:
        return NewestSnapshot(repository=repository)
    snapshot = found[0]
    counts = Counter(
        (failure.get("node_id"), redact(sentence(flattened(str(failure.get("reason", "")))[-1])))
        for failure in snapshot.get("failures", ())
    )
    return NewestSnapshot(
        repository=repository,
        snapshot=snapshot.get("snapshot"),
        state=snapshot.get("state"),
        started=_seconds(snapshot.get("start_time_in_millis")),
        failures=tuple(
            ShardFailures(node_id=node_id, sentence=text, shards=count) for (node_id, text), count in counts.items()
        ),
    )

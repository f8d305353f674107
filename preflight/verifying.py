"""`_verify` of one cluster's S3 repositories: one after another, within one budget of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from .facts import BucketPath, Repository, Unknown, Verification

if TYPE_CHECKING:
    from .elastic import Api

Results = dict[str, Verification | Unknown]
"""How each repository's `_verify` ended, by the repository's name, in the order the cluster lists them."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: each: for one repository; budget: for all of a cluster's together."""

    each: float
    budget: float

    def at_most(self, count: int) -> float:
        """Seconds after which so many repositories are done or given up; each is asked twice where a master is lost."""
        return min(2 * count * self.each, self.budget) + 10


def unfinished(repositories: Iterable[Repository]) -> Results:
    """What is known before any of them was asked."""
    return {r.name: Unknown(reason=f"_verify of {r.name} was not finished") for r in repositories}


def verify(
    api: Api,
    repositories: Iterable[Repository],
    patience: Patience,
    results: Results,
    buckets: Callable[[], Iterable[BucketPath]],
    cancelled: threading.Event,
) -> None:
    """Ask for each and write down how it ended. Elasticsearch itself writes while it verifies: never two at once.

    buckets: what the nodes have found out by now of their own paths. One whose bucket a node does not reach, or whose
    client has failed already, comes last: it may hang, and must not use up the others' time.
    """
    left, failed = list(repositories), set[str]()
    end = time.monotonic() + patience.budget
    while left and not cancelled.is_set():
        cut_off = {bucket.repository for bucket in buckets() if bucket.tcp != "open" or bucket.tls == "timeout"}
        repository = next((r for r in left if r.name not in cut_off and r.client not in failed), left[0])
        left.remove(repository)
        seconds = end - time.monotonic()
        if seconds <= 0:
            results[repository.name] = Unknown(
                reason=f"_verify of {repository.name} was not called: the budget of {patience.budget:g} s was used up",
                remedy="give all of them longer with --verify-budget",
            )
            continue
        result = api.verify(repository.name, min(patience.each, seconds))
        if isinstance(result, Verification) and result.master_before != result.master_after:
            # The answer of a run that lost its master says nothing about S3: once more.
            result = api.verify(repository.name, min(patience.each, max(end - time.monotonic(), 1)))
        results[repository.name] = result
        if isinstance(result, Unknown) or result.failures:
            failed.add(repository.client)

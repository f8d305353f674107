"""Evidence that costs a cluster next to nothing. What it does not tell, or not to this login, stays unknown."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

from .facts import Cluster, Dependents, Unknown, Verification
from .verifying import Results

if TYPE_CHECKING:
    from .elastic import Api

DEPENDENTS = ("mounted", "slm", "ilm")
LATE = Unknown(reason="Elasticsearch has not answered in time")


class Evidence:
    """One cluster's, as far as it has been gathered. A thread that is given up leaves what it has by then."""

    def __init__(self) -> None:
        self.seen: dict[str, Any] = dict.fromkeys((*DEPENDENTS, "health"), LATE)
        self.newest: tuple[Any, ...] = ()

    def gather(self, api: Api, cancelled: threading.Event) -> None:
        """Who depends on the repositories, and what the health report says."""
        from .elastic import Refused

        for name in self.seen:
            if cancelled.is_set():
                return
            try:
                self.seen[name] = getattr(api, name)()
            except Refused as refused:
                self.seen[name] = refused.unknown()

    def gather_newest(self, api: Api, results: Results, cancelled: threading.Event) -> None:
        """The newest snapshot of each repository that all nodes can use: elsewhere the request may hang as they do."""
        from .elastic import Refused

        for name, result in results.items():
            if isinstance(result, Verification) and not result.failures and not cancelled.is_set():
                try:
                    self.newest += (api.newest(name),)
                except Refused:
                    continue

    def added_to(self, cluster: Cluster) -> Cluster:
        """The cluster with what has been gathered."""
        dependents = Dependents(**{name: self.seen[name] for name in DEPENDENTS})
        return msgspec.structs.replace(cluster, dependents=dependents, health=self.seen["health"], newest=self.newest)

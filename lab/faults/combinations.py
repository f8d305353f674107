"""Several faults at once: what the suite must then say of them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .fault import Outcomes

FIRST, SECOND, ELECTED = "first", "second", "master"
"""Who a node is to a combination: the first and the second data node, the elected master. In a lab of three that is
everybody."""


class Combination(NamedTuple):
    """what: one line; parts: (fault, who it is broken on) each
    causes: id and who it names, in the order in which the diagnosis must name them; outcomes: by who, all that differ
    """

    what: str
    parts: tuple[tuple[str, str], ...]
    causes: tuple[tuple[str, tuple[str, ...]], ...]
    outcomes: Outcomes


COMBINATIONS: Mapping[str, Combination] = {
    "stale-and-cut-off": Combination(
        "stale keys on one data node, the route to S3 lost upstream of another",
        (("stale-keystore", FIRST), ("route-drift-upstream", SECOND)),
        (("route-upstream", (SECOND,)), ("stale-static-keys", (FIRST,))),
        {
            ("KEY-1", FIRST): "fail",
            ("REPO-1", FIRST): "fail",
            ("PATH-1", SECOND): "fail",
            ("ROLE-3", SECOND): "not applicable",
            ("REPO-1", SECOND): "fail",
        },
    ),
    "stale-on-two": Combination(
        "stale keys on the elected master and on a data node",
        (("stale-keystore", ELECTED), ("stale-keystore", FIRST)),
        (("stale-static-keys", (ELECTED, FIRST)),),
        {
            ("KEY-1", ELECTED): "fail",
            ("REPO-1", ELECTED): "fail",
            ("KEY-1", FIRST): "fail",
            ("REPO-1", FIRST): "could not check",
            ("REPO-1", SECOND): "could not check",
        },
    ),
    "half-rotated-key": Combination(
        "a rotation that did not reach one data node: the old key there, the new one everywhere else",
        (
            ("stale-keystore", FIRST),
            ("keystore-current-key", SECOND),
            ("keystore-current-key", ELECTED),
        ),
        (("keys-differ", (FIRST,)), ("static-keys-present", (ELECTED, SECOND))),
        {
            ("KEY-1", FIRST): "fail",
            ("KEY-6", FIRST): "fail",
            ("REPO-1", FIRST): "fail",
            ("KEY-1", SECOND): "warning",
            ("KEY-1", ELECTED): "warning",
        },
    ),
    "half-rotated-key-on-master": Combination(
        "a rotation that did not reach the elected master: nothing tells whether the others' key is accepted",
        (
            ("stale-keystore", ELECTED),
            ("keystore-current-key", FIRST),
            ("keystore-current-key", SECOND),
        ),
        (("keys-differ", (ELECTED,)), ("static-keys-present", (FIRST, SECOND))),
        {
            ("KEY-1", ELECTED): "fail",
            ("KEY-6", ELECTED): "fail",
            ("REPO-1", ELECTED): "fail",
            ("KEY-1", FIRST): "fail",
            ("REPO-1", FIRST): "could not check",
            ("KEY-1", SECOND): "fail",
            ("REPO-1", SECOND): "could not check",
        },
    ),
    "reload-would-arm-other-node": Combination(
        "stale keys in the memory of one data node alone, others that wait on another's disk",
        (("stale-in-memory", FIRST), ("stale-on-disk", SECOND)),
        (("stale-keys-loaded", (FIRST,)), ("static-keys-waiting", (SECOND,))),
        {("REPO-1", FIRST): "fail", ("KEY-1", SECOND): "fail", ("RESTART-1", SECOND): "fail"},
    ),
    "reload-on-master-would-arm-other-node": Combination(
        "stale keys in the memory of the elected master alone: nothing tells whether those on another's disk wait",
        (("stale-in-memory", ELECTED), ("stale-on-disk", FIRST)),
        (("stale-keys-loaded", (ELECTED,)), ("static-keys-waiting", (FIRST,))),
        {
            ("REPO-1", ELECTED): "fail",
            ("KEY-1", FIRST): "fail",
            ("RESTART-1", FIRST): "could not check",
            ("REPO-1", FIRST): "could not check",
            ("REPO-1", SECOND): "could not check",
        },
    ),
}

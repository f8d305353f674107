"""What can be broken on a lab node, a module a family. A new fault is a row in its family's FAULTS."""

from .acting import (
    ONLY_ON_REQUEST,
    WHERE_SEEN,
    arrange,
    break_,
    expectation,
    expected,
    expected_members,
    heal,
    on_sdk_v1,
    run_of,
)
from .combinations import COMBINATIONS, Combination
from .fault import Expected, Fault
from .table import FAULTS

__all__ = [
    "COMBINATIONS",
    "FAULTS",
    "ONLY_ON_REQUEST",
    "WHERE_SEEN",
    "Combination",
    "Expected",
    "Fault",
    "arrange",
    "break_",
    "expectation",
    "expected",
    "expected_members",
    "heal",
    "on_sdk_v1",
    "run_of",
]

"""What can be broken on a lab node, a module a family. A new fault is a row in its family's FAULTS."""

from .acting import break_, expectation, expected, expected_members, heal
from .fault import Expected, Fault
from .table import FAULTS

__all__ = ["FAULTS", "Expected", "Fault", "break_", "expectation", "expected", "expected_members", "heal"]

"""What stops the lab."""

from __future__ import annotations


class LabError(Exception):
    """One sentence saying what is wrong and, where a command mends it, that command."""

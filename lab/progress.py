"""Saying what the lab is doing while someone waits."""

from __future__ import annotations

import sys
import time

_started = time.monotonic()


def say(what: str) -> None:
    """One line on standard error with the seconds since the command began."""
    print(f"{time.monotonic() - _started:6.1f} s  {what}", file=sys.stderr, flush=True)

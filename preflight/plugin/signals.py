"""SIGTERM (CI's time-out) and SIGHUP (a lost terminal) end a run as Ctrl-C does: by its report."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """The handlers of one run. received: name of the first signal, None before it."""

    def __init__(self) -> None:
        self.received: str | None = None
        self._cancelled: threading.Event | None = None
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """Take the signals over. Only the main thread can; elsewhere nothing changes."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in HANDLED}

    def ignore(self) -> None:
        """From here on the report is written: nothing ends that any more."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def restore(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @contextmanager
    def cancelling(self) -> Iterator[threading.Event]:
        """Within, the first signal sets the event, so that what is known already is kept; it is raised at the end."""
        self._cancelled = threading.Event()
        try:
            yield self._cancelled
            if self._cancelled.is_set():
                raise KeyboardInterrupt
        finally:
            self._cancelled = None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first = self.received is None
        if first:
            self.received = signal.Signals(number).name
        if first and self._cancelled is not None:
            self._cancelled.set()
        elif first or number == signal.SIGINT:
            raise KeyboardInterrupt

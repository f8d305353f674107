"""The same work for several nodes or sessions, some at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

WORKERS = 10

T = TypeVar("T")


def each(items: Iterable[T], work: Callable[[T], None]) -> None:
    """work(item) for all, some at once. The threads are daemons: one that hangs keeps no interrupted run alive."""
    todo: queue.SimpleQueue[T] = queue.SimpleQueue()
    count = 0
    for count, item in enumerate(items, 1):  # noqa: B007
        todo.put(item)
    failures: list[BaseException] = []

    def worker() -> None:
        try:
            while True:
                work(todo.get_nowait())
        except queue.Empty:
            pass
        except BaseException as error:
            failures.append(error)

    if count <= 1:
        worker()
    else:
        threads = [threading.Thread(target=worker, daemon=True) for _ in range(min(count, WORKERS))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]

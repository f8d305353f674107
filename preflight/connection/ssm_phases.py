"""What several threads want of their nodes, gathered into one command for all of them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from . import Completed
from .errors import ConnectionFailed
from .several import each

PARAMETERS = 64_000
"""Characters of one command's script, beyond which its instances are split. AWS's own limit is not documented for this
request; a document itself may have 64 kB."""

QUIET = 0.5
"""Seconds in which nobody joined a phase, after which those that did not are no longer waited for."""

Result = Completed | ConnectionFailed
Render = Callable[[dict[str, list[Any]]], str]
"""The script for instance -> the parts that were handed in for it."""

Send = Callable[[str, Collection[str], float], dict[str, Result]]
"""Runs a script on those instances for at most so many seconds; what became of it on each."""


class Part(msgspec.Struct, frozen=True):
    """What came of one part of a phase. place: its index among its instance's parts"""

    done: Completed
    place: int


class Phases:
    """Safe to use from several threads. A member is whoever hands in one part of every phase."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._members: set[object] = set()
        self._phases: dict[object, _Phase] = {}
        self._gathering = threading.Condition()

    def expect(self, member: object) -> None:
        """That it will ask: a phase waits for it."""
        with self._gathering:
            self._members.add(member)

    def leave(self, member: object) -> None:
        """It is not waited for any longer."""
        with self._gathering:
            self._members.discard(member)
            self._gathering.notify_all()

    def together(self, key: object, member: object, instance: str, part: Any, render: Render, seconds: float) -> Part:
        """Hand in a part of what is sent to all members of a phase in one command, and wait for its end.

        key: parts of equal keys go together; the first one's render is used
        It is sent once every expected member has come, or nobody came for a moment. Raises ConnectionFailed.
        """
        with self._gathering:
            phase = self._phases.get(key)
            if phase is None:
                phase = self._phases[key] = _Phase(render)
                threading.Thread(target=self._gather, args=(key, phase), name="ssm phase", daemon=True).start()
            mine = phase.add(member, instance, part, seconds)
            self._gathering.notify_all()
        return mine()

    def _gather(self, key: object, phase: _Phase) -> None:
        with self._gathering:
            while not self._members <= phase.members:
                come = len(phase.members)
                if not self._gathering.wait_for(
                    lambda come=come: len(phase.members) != come or self._members <= phase.members,  # type: ignore[misc]
                    QUIET,
                ):
                    break
            del self._phases[key]
        try:
            self._send_parts(phase, list(phase.parts))
        except Exception as error:  # whoever waits must hear of it, whatever it was
            fault = ConnectionFailed(f"our own bug in a command over ssm://: {type(error).__name__}")
            phase.end(dict.fromkeys(phase.parts, fault))

    def _send_parts(self, phase: _Phase, instances: list[str]) -> None:
        script = phase.render({one: phase.parts[one] for one in instances})
        if len(script) > PARAMETERS and len(instances) > 1:
            half = len(instances) // 2
            each([instances[:half], instances[half:]], lambda some: self._send_parts(phase, some))
            return
        phase.end(self._send(script, instances, phase.seconds))


class _Phase:
    """Parts of one command, gathered from several threads; all but `end` and waiting under the phases' condition."""

    def __init__(self, render: Render) -> None:
        self.render, self.seconds = render, 0.0
        self.members: set[object] = set()
        self.parts: dict[str, list[Any]] = {}
        self._waiting: dict[str, list[queue.SimpleQueue[Result]]] = {}

    def add(self, member: object, instance: str, part: Any, seconds: float) -> Callable[[], Part]:
        """What waits for the part's end."""
        self.members.add(member)
        self.seconds = max(self.seconds, seconds)
        parts = self.parts.setdefault(instance, [])
        place = len(parts)
        parts.append(part)
        mine: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._waiting.setdefault(instance, []).append(mine)

        def wait() -> Part:
            result = mine.get()
            if isinstance(result, ConnectionFailed):
                raise again(result)
            return Part(result, place)

        return wait

    def end(self, results: dict[str, Result]) -> None:
        for instance, result in results.items():
            for mine in self._waiting[instance]:
                mine.put(result)


def again(failure: ConnectionFailed) -> ConnectionFailed:
    """The same for one more thread to raise, with a traceback of its own."""
    return type(failure)(str(failure), failure.remedy)

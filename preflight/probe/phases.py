"""Questions to a node where no program stays running: each phase starts it anew, with its list of questions.

All nodes of a phase are asked by one command. What a command says is kept by AWS: no secret may be in a question.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import shlex
import socket
import time
import zlib
from typing import Any

import msgspec

from ..connection import Completed
from ..connection.errors import ConnectionFailed, ForwardingForbidden
from ..connection.ssm import OUTPUT, SsmConnection
from .program import script
from .session import LIFETIME, PROTOCOL, ProbeFailed, explain

PIECE = OUTPUT - 500
"""Characters of an answer in one command's output, its first line beside."""

MOST_PIECES = 40
_FIRST_LINE = re.compile(rb"^es-preflight (\d{1,9}) (-|/(?:run|tmp)/es-preflight-[0-9a-f]{16})\n", re.M)


class PhasedSession:
    """The probe on one instance, asked as a Session is. Safe to use from several threads.

    confidential: False; what is asked and answered is kept by AWS for a month
    """

    confidential = False

    def __init__(self, connection: SsmConnection, *, sudo_user: str | None = None, es_port: int | None = None) -> None:
        self._phases, self._instance = connection.fleet.phases, connection.instance
        self._sudo_user, self._es_port = sudo_user, es_port
        self._offset: float | None = None

    def ask(self, question: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The answer to one question, as Session.ask. Raises ConnectionFailed and its kinds, ProbeFailed."""
        (answer,) = self.ask_all([question], deadline)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask_all(self, questions: list[dict[str, Any]], deadline: float) -> list[dict[str, Any] | Exception]:
        """The answer to each of several questions or what `ask` would have raised: one command, one after another.

        deadline: seconds for all of them
        """
        try:
            return self._answers(questions, deadline)
        except (ConnectionFailed, ProbeFailed) as error:
            self._phases.leave(self._member)
            return [error for _ in questions]

    def _answers(self, questions: list[dict[str, Any]], deadline: float) -> list[dict[str, Any] | Exception]:
        began = time.time()
        told = self._told({"es_port": self._es_port, "ask": questions}, deadline)
        if told["protocol"] != PROTOCOL:
            raise ProbeFailed(f"the probe speaks protocol {told['protocol']}, this version {PROTOCOL}")
        answers = told["answers"]
        # A command has no time of its own but "after it was sent, before its end was heard of".
        clock = float(answers[-1]["clock"])
        self._offset = min(clock - began, 0.0) + max(clock - time.time(), 0.0)
        return [
            answer["answer"] if "answer" in answer else ProbeFailed(str(answer["error"]), str(answer["remedy"]))
            for answer in answers
        ]

    def clock_offset(self, deadline: float = 5.0) -> float:
        """The least that the node's clock is off the controller's, seconds: 0.0 where it fits into the last phase."""
        if self._offset is None:
            self.ask({"ask": "clock"}, deadline)
        return self._offset or 0.0

    def relay(self, host: str, port: int, deadline: float) -> socket.socket:
        raise ForwardingForbidden("no connection is relayed over ssm://")

    def close(self) -> None:
        """The others need not wait for this node any longer. Never raises."""
        self._phases.leave(self._member)

    @property
    def _member(self) -> object:
        return (self._instance, self._es_port)

    def _told(self, asked: dict[str, Any], deadline: float) -> dict[str, Any]:
        name = f"es-preflight-{secrets.token_hex(8)}"

        def render(parts: dict[str, list[Any]]) -> str:
            request = {"nodes": parts, "lifetime": min(LIFETIME, int(deadline) + 30), "name": name, "piece": PIECE}
            return script(json.dumps(request).encode("ascii"), self._sudo_user)

        part = self._phases.together(("ask", self._sudo_user), self._member, self._instance, asked, render, deadline)
        first = _FIRST_LINE.search(part.done.stdout)
        if first is None:
            raise self._not_started(part.done)
        total, path = int(first[1]), first[2].decode()
        text = part.done.stdout[first.end() :].strip()
        while len(text) < total:
            text += self._more(path, len(text), deadline)
        try:
            told = msgspec.json.decode(zlib.decompress(base64.b64decode(text, validate=True)))
        except (binascii.Error, zlib.error, msgspec.DecodeError) as error:
            raise ProbeFailed(f"the probe's answer arrived damaged: {error}", "run again") from error
        return {**told, "answers": told["answers"][part.place]}

    def _more(self, path: str, offset: int, deadline: float) -> bytes:
        """The answer's characters from offset; after the last the file is gone."""
        if offset >= MOST_PIECES * PIECE or path == "-":
            raise ProbeFailed("the probe's answer has more pieces than any answer should")
        end = offset + PIECE
        fetch = f"tail -c +{offset + 1} {path} | head -c {PIECE}; [ $(wc -c <{path}) -gt {end} ] || rm -f {path}"
        line = shlex.join(
            [*(["sudo", "-n", "-u", self._sudo_user, "--"] if self._sudo_user else []), "sh", "-c", fetch]
        )
        part = self._phases.together(
            ("more", path, offset), self._member, self._instance, None, lambda _: line, deadline
        )
        text = part.done.stdout.strip()
        if not text:
            raise ProbeFailed(f"the rest of the probe's answer is no longer in {path}", "run again")
        return text

    def _not_started(self, done: Completed) -> ProbeFailed:
        stderr = done.stderr.decode("utf-8", "replace")
        return explain(stderr, done.stdout.decode("utf-8", "replace"), done.exit_status, self._sudo_user or "root")

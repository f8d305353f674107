"""The second line against secrets in output. The first is that their values never enter: facts hold names only.

Masks known secrets by value (`hide`) and unknown ones by their look: AWS key ids (the four letters of their kind stay),
values assigned to a name that says secret, password or token, Authorization headers, passwords in URLs.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MASK = "****"
SHORTEST_HIDDEN = 6
"""A shorter known secret is not masked by value: it would blank words that merely look like it."""

_QUOTE = r"(?:\\*[\"']|&#34;|&#39;|&quot;|&#x27;)"
_NAME = (
    r"(?:secret(?:[_. -]?access)?(?:[_. -]?key)?|session[_. -]?token|security[_. -]?token|access[_. -]?token"
    r"|api[_. -]?key|pass(?:word|wd|phrase)|token|credentials?)"
)
_ASSIGNED = re.compile(
    rf"(?P<before>{_NAME}{_QUOTE}?\s*(?P<sign>=>|=|:)\s*)(?P<open>{_QUOTE})?(?P<value>[^\s\"'<>&;,\\)}}\]]+)",
    re.IGNORECASE,
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<![A-Za-z0-9])(AKIA|ASIA)(?:[A-Z0-9]{8,}|[A-Z0-9]{0,16}\.\.\.[A-Z0-9]*)"), rf"\1{MASK}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@\"'<>]*):[^\s/@\"'<>]+@", re.IGNORECASE), rf"\1:{MASK}@"),
    (
        re.compile(
            r"(authorization[\"']?\s*[:=]\s*[\"']?(?:(?:Basic|Bearer|ApiKey|AWS4-HMAC-SHA256)\s+)?)[^\s\"'<>&$]+", re.I
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b((?:Basic|Bearer|ApiKey)\s+)[A-Za-z0-9+/._~-]{16,}=*"), rf"\1{MASK}"),
    (re.compile(r"(X-Amz-(?:Signature|Security-Token|Credential)=)[^\s&\"'<>]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), rf"-----\1 {MASK}-----"),
)

_hidden: set[str] = set()


def hide(secret: str) -> None:
    """Mask this value wherever it would appear from now on, in this process."""
    if len(secret) >= SHORTEST_HIDDEN:
        _hidden.add(secret)


def hide_environment() -> None:
    """Hide the values of the environment variables that are secrets by their name."""
    for name, value in os.environ.items():
        if re.search(rf"{_NAME}$", name, re.IGNORECASE):
            hide(value)


def _mask_assigned(match: re.Match[str]) -> str:
    value = match["value"]
    # Prose such as "token: answered" keeps its word; a value is quoted, assigned by "=", or looks drawn by chance.
    drawn = len(value) >= 8 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    if value.startswith((MASK, "$", "{")) or not (match["open"] or match["sign"] != ":" or drawn or len(value) >= 20):
        return match[0]
    return f"{match['before']}{match['open'] or ''}{MASK}"


def redact(text: str) -> str:
    """text without secrets."""
    for secret in sorted(_hidden, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return _ASSIGNED.sub(_mask_assigned, text)


def redact_tree(value: Any, keep: Iterable[str] = ()) -> Any:
    """The same structure without secrets: strings replaced, lists, dicts and plain objects changed in place.

    keep: attribute names left alone at the top (pytest finds its tests by them)
    """
    return _walk(value, frozenset(keep), set())


def _walk(value: Any, keep: frozenset[str], seen: set[int]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, (int, float, bytes, type)) or id(value) in seen:
        return value
    seen.add(id(value))
    nothing: frozenset[str] = frozenset()
    if isinstance(value, tuple):
        walked = tuple(_walk(item, nothing, seen) for item in value)
        return walked if type(value) is tuple else value
    if isinstance(value, list):
        value[:] = [_walk(item, nothing, seen) for item in value]
    elif isinstance(value, dict):
        for key in list(value):
            value[key] = _walk(value[key], nothing, seen)
    elif hasattr(value, "__dict__"):
        for name, attribute in list(vars(value).items()):
            if name not in keep:
                replaced = _walk(attribute, nothing, seen)
                if replaced is not attribute:
                    # Some of pytest's representations are frozen dataclasses.
                    object.__setattr__(value, name, replaced)
    return value


def redact_file(path: Path) -> bool:
    """Mask secrets in a finished text file; True where something had to be masked. Keeps its mode."""
    text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    clean = redact(text)
    if clean == text:
        return False
    path.write_bytes(clean.encode("utf-8", errors="surrogateescape"))
    return True


def redact_logs() -> None:
    """From now on every log record of this process is born without secrets, whoever formats it. Idempotent."""
    factory = logging.getLogRecordFactory()
    if isinstance(factory, _RedactingFactory):
        return
    logging.setLogRecordFactory(_RedactingFactory(factory))


class _RedactingFactory:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self.inner(*args, **kwargs)
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            return record  # its handler will say that message and arguments don't fit
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return record

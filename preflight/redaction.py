"""The second line against secrets in output. The first is that their values never enter: facts hold names only.

Masks known secrets by value (`hide`) and unknown ones by their look: AWS key ids (the four letters of their kind stay),
values assigned to a name that says secret, password or token, Authorization headers, passwords in URLs.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

MASK = "****"
SHORTEST_HIDDEN = 6
"""A shorter known secret is not masked by value: it would blank words that merely look like it."""

_QUOTE = r"(?:\\*[\"']|&#34;|&#39;|&quot;|&#x27;)"
_NAME = (
    r"(?:secret(?:[_. -]?access)?(?:[_. -]?key)?|session[_. -]?token|security[_. -]?token|access[_. -]?token"
    r"|api[_. -]?key|(?<!NO)pass(?:word|wd|phrase)|token|credentials?)"
)
_ASSIGNED = re.compile(
    rf"(?P<before>{_NAME}{_QUOTE}?\s*(?P<sign>=>|=|:)\s*(?P<open>{_QUOTE})?)(?P<value>[^\s\"'<>&;,\\)}}\]]+)",
    re.IGNORECASE,
)
_SCHEME = r"(?:Basic|Bearer|ApiKey|AWS4-HMAC-SHA256)"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<![A-Za-z0-9])(AKIA|ASIA)(?:[A-Z0-9]{8,}|[A-Z0-9]{0,16}\.\.\.[A-Z0-9]*)"), rf"\1{MASK}"),
    (re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), rf"-----\1 {MASK}-----"),
)
"""Recognised by themselves; what stays of each."""
_CONTEXTS: tuple[re.Pattern[str], ...] = (
    re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/:@\"'<>]*:)(?P<value>[^\s/@\"'<>]+)(?=@)", re.IGNORECASE),
    re.compile(
        rf"(?P<before>authorization[\"']?\s*[:=]\s*[\"']?(?:{_SCHEME}\s+)?)(?!{_SCHEME}\b|%s)(?P<value>[^\s\"'<>&$]+)",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<before>\b(?:Basic|Bearer|ApiKey)\s+)(?P<value>[A-Za-z0-9+/._~-]{16,}=*)"),
    re.compile(r"(?P<before>X-Amz-(?:Signature|Security-Token|Credential)=)(?P<value>[^\s&\"'<>]+)", re.IGNORECASE),
)
"""Recognised by what stands before them."""

_hidden: set[str] = set()


def hide(secret: str) -> None:
    """Mask this value wherever it would appear from now on, in this process."""
    if len(secret) >= SHORTEST_HIDDEN:
        _hidden.add(secret)


def start() -> None:
    """For a run: hide what the environment holds under a secret's name; log records are born without secrets."""
    for name, value in os.environ.items():
        if re.search(rf"{_NAME}$", name, re.IGNORECASE):
            hide(value)
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _RedactingFactory):
        logging.setLogRecordFactory(_RedactingFactory(factory))


def stop() -> None:
    """The end of the run: forget what was hidden, give log records back."""
    _hidden.clear()
    factory = logging.getLogRecordFactory()
    if isinstance(factory, _RedactingFactory):
        logging.setLogRecordFactory(factory.inner)


def _drawn(value: str) -> bool:
    """Looks drawn by chance: letters and digits, not a word."""
    return len(value) >= 8 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _mask(match: re.Match[str]) -> str:
    value = match["value"]
    if len(value) >= 16 and _drawn(value) and MASK not in value:
        # Where pytest cuts a text short, the same value stands without what it was recognised by.
        _hidden.add(value)
    return f"{match['before']}{MASK}"


def _mask_assigned(match: re.Match[str]) -> str:
    value = match["value"]
    if value.startswith((MASK, "$", "{")):
        return match[0]
    # Prose such as "token: answered" keeps its word.
    if not (match["open"] or match["sign"] != ":" or _drawn(value) or len(value) >= 20):
        return match[0]
    return _mask(match)


def redact(text: str) -> str:
    """text without secrets."""
    for secret in sorted(_hidden, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    for context in _CONTEXTS:
        text = context.sub(_mask, text)
    return _ASSIGNED.sub(_mask_assigned, text)


def redact_tree(value: Any) -> Any:
    """The same structure without secrets: lists, dicts and pytest's representations are changed in place."""
    return _walk(value, set())


def redact_report(report: object) -> None:
    """Mask secrets in what a pytest report shows; what pytest finds a test by is left alone."""
    names = [
        name for name in ("sections", "longrepr", "user_properties", "wasxfail", "extras") if hasattr(report, name)
    ]
    # Twice: a value recognised in one place is known in the others only then.
    for name in names + names:
        setattr(report, name, redact_tree(getattr(report, name)))


def _walk(value: Any, seen: set[int]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if id(value) in seen:
        return value
    seen.add(id(value))
    if type(value) is tuple:
        return tuple(_walk(item, seen) for item in value)
    if isinstance(value, list):
        value[:] = [_walk(item, seen) for item in value]
    elif isinstance(value, dict):
        for key in list(value):
            value[key] = _walk(value[key], seen)
    elif type(value).__module__.startswith("_pytest._code"):
        for name, attribute in list(vars(value).items()):
            replaced = _walk(attribute, seen)
            if replaced is not attribute:
                # Some of the representations are frozen dataclasses.
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

"""The login for Elasticsearch's API, and a keystore's password: from files or the environment, never from the command
line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from .facts import PROTECTED, Unknown
from .redaction import hide


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A login for Elasticsearch's API. Its repr names the kind only."""

    api_key: str | None = None
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.kind})"

    @property
    def kind(self) -> str:
        """ "api-key" or "user"."""
        return "api-key" if self.api_key else "user"


def credentials(
    environ: Mapping[str, str],
    *,
    user: str | None = None,
    password_file: str | Path | None = None,
    api_key_file: str | Path | None = None,
) -> Credentials | None:
    """The login for a node: what its inventory names, else the environment, else None.

    environ: ES_PREFLIGHT_API_KEY, or ES_PREFLIGHT_USER with ES_PREFLIGHT_PASSWORD_FILE
    Raises ValueError with one sentence naming the variable or file to change.
    """
    if api_key_file:
        return Credentials(api_key=_api_key(_secret(api_key_file, "API key"), f"the API key file {api_key_file}"))
    if not user and not password_file and environ.get("ES_PREFLIGHT_API_KEY"):
        return Credentials(api_key=_api_key(environ["ES_PREFLIGHT_API_KEY"].strip(), "ES_PREFLIGHT_API_KEY"))
    user = user or environ.get("ES_PREFLIGHT_USER") or None
    password_file = password_file or environ.get("ES_PREFLIGHT_PASSWORD_FILE") or None
    if user and not password_file:
        raise ValueError(f"Elasticsearch user {user} has no password file: set ES_PREFLIGHT_PASSWORD_FILE")
    if password_file and not user:
        raise ValueError(f"password file {password_file} has no user: set ES_PREFLIGHT_USER")
    if user and password_file:
        return Credentials(user=user, password=_secret(password_file, "password"))
    return None


def keystore_password(file: str | Path | None) -> str | Unknown | None:
    """A keystore's password: the file's first line, as Elasticsearch reads it from ES_KEYSTORE_PASSPHRASE_FILE.

    Hidden from all output from now on. Unknown where the file gives none; None where none is named.
    """
    if file is None:
        return None
    try:
        text = _text(file, "keystore password").split("\n", 1)[0].rstrip("\r")
    except ValueError as error:
        return Unknown(reason=f"the keystore is {PROTECTED}, and this run {error}", remedy="make it readable here")
    if not text:
        return Unknown(
            reason=f"the keystore is {PROTECTED}, and the first line of {file} is empty",
            remedy="--keystore-password-file or preflight_keystore_password_file naming another",
        )
    hide(text)
    return text


def _secret(file: str | Path, what: str) -> str:
    text = _text(file, what).strip()
    if not text:
        raise ValueError(f"the {what} file {file} is empty")
    return text


def _text(file: str | Path, what: str) -> str:
    try:
        return Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ValueError(f"cannot read the {what} file {file}: {reason}") from error


def _api_key(text: str, where: str) -> str:
    """It becomes a header as it stands, and what cannot is repeated whole in the client's exception."""
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"{where} is no API key: it must be one line of plain characters")
    return text

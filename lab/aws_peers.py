"""What the AWS stand-in answers one address otherwise than everybody else: a file a peer, read at every request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from .files import write_secret


class Treatment(NamedTuple):
    """ahead: seconds that S3's clock is ahead of this machine's for that peer
    denied: a bucket policy denies the peer's address everything that is signed
    """

    ahead: float = 0.0
    denied: bool = False


def treat(state: Path, peer: str, treatment: Treatment) -> None:
    """Answer this address so from the next request on. state: the directory that lab.aws keeps."""
    directory = state / "peers"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(directory / f"{peer}.json", json.dumps(treatment._asdict()))


def treatment(state: Path, peer: str) -> Treatment:
    """How this address is answered; as everybody else where nothing was said of it."""
    try:
        return Treatment(**json.loads((state / "peers" / f"{peer}.json").read_text()))
    except FileNotFoundError:
        return Treatment()

"""A stand-in for AWS's session-manager-plugin: the same command line and words, and the wire of lab.aws_sessions.

    session-manager-plugin VARIABLE REGION StartSession PROFILE REQUEST ENDPOINT

VARIABLE names an environment variable with StartSession's answer, or is that answer itself. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from urllib.parse import urlsplit

from .aws_sessions import carry

VERSION = "1.2.792.0"
VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
ARGUMENTS = 7


def main(words: list[str]) -> int:
    """As AWS's plugin: the exit status is 0 whatever became of the session."""
    if words[1:] == ["--version"]:
        print(VERSION)
        return 0
    if len(words) != ARGUMENTS or words[3] != "StartSession":
        print("Invalid Operation")
        return 0
    given = os.environ.pop(words[1], "") if words[1].startswith(VARIABLE) else words[1]
    answer, request = json.loads(given), json.loads(words[5])
    session = answer["SessionId"]
    print(f"\nStarting session with SessionId: {session}", flush=True)
    try:
        standing = _open(answer, connect=False)
    except OSError as error:
        print(f"Cannot perform start session: {error}", flush=True)
        return 0
    threading.Thread(target=_wait_for_the_end, args=(standing, session), daemon=True).start()
    signal.signal(signal.SIGINT, _interrupted)
    listener = socket.create_server(("localhost", int(request["Parameters"].get("localPortNumber", ["0"])[0])))
    print(f"Port {listener.getsockname()[1]} opened for sessionId {session}.", flush=True)
    print("Waiting for connections...", flush=True)
    while True:
        wire, _ = listener.accept()
        threading.Thread(target=_carry, args=(wire, answer), daemon=True).start()


def _open(answer: dict[str, str], *, connect: bool) -> socket.socket:
    """A connection to the gateway that lets this session in. Raises OSError with what it said."""
    where = urlsplit(answer["StreamUrl"])
    wire = socket.create_connection((where.hostname or "", where.port or 0), 10)
    hello = {"SessionId": answer["SessionId"], "TokenValue": answer["TokenValue"], "Connect": connect}
    wire.sendall(json.dumps(hello).encode() + b"\n")
    said = b""
    while not said.endswith(b"\n"):
        octet = wire.recv(1)
        if not octet:
            break
        said += octet
    if said != b"ok\n":
        wire.close()
        raise OSError(said.decode().strip() or "the gateway closes the connection")
    wire.settimeout(None)
    return wire


def _carry(near: socket.socket, answer: dict[str, str]) -> None:
    with near:
        try:
            far = _open(answer, connect=True)
        except OSError:
            return
        with far:
            carry(near, far)


def _wait_for_the_end(standing: socket.socket, session: str) -> None:
    with suppress(OSError):
        standing.recv(1)
    print(f"\n\nSessionId: {session} : the session has ended\n", flush=True)
    os._exit(0)


def _interrupted(*_: object) -> None:
    print("Terminate signal received, exiting.", flush=True)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv))

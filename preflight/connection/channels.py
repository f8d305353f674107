"""Sending on a channel in an order that sshd accepts.

paramiko builds a message under the channel's lock and sends it after letting go of it. Where the other side closes the
channel in between, paramiko's answer overtakes the message, and OpenSSH ends the whole login ("ieof packet referred to
nonexistent channel"): every program on it dies because one short command ended at the wrong moment. So whatever we send
on a channel, and paramiko's answer to its end, take turns here.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from contextlib import nullcontext, suppress

import paramiko
from paramiko.common import MSG_CHANNEL_CLOSE
from paramiko.message import Message

CHUNK = 65536
_WINDOW_POLL = 0.005


def _handle_close(channel: paramiko.Channel, message: Message) -> None:
    with getattr(channel, "turns", nullcontext()):
        paramiko.Channel._handle_close(channel, message)  # type: ignore[attr-defined]


class Transport(paramiko.Transport):
    """paramiko's, whose channels are closed in turn, and whose refusals are told to whom they concern.

    paramiko keeps one exception for all channels: of two that are refused at once, each would give the other's reason.
    """

    _channel_handler_table = {  # noqa: RUF012  as in the class it replaces
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        MSG_CHANNEL_CLOSE: _handle_close,
    }

    def __init__(self, stream: socket.socket) -> None:
        self.refusals: dict[int, paramiko.ChannelException] = {}
        self._asking = threading.local()
        super().__init__(stream)

    def _next_channel(self) -> int:
        self._asking.number = number = super()._next_channel()  # type: ignore[misc]
        return int(number)

    def _parse_channel_open_failure(self, message: Message) -> None:
        number, code = message.get_int(), message.get_int()
        self.refusals[number] = paramiko.ChannelException(code, message.get_text())
        message.rewind()
        super()._parse_channel_open_failure(message)  # type: ignore[misc]

    def open_in_turn(self, kind: str, target: tuple[str, int], timeout: float) -> paramiko.Channel:
        """A channel for the functions below. Raises what open_channel raises."""
        self._asking.number = None
        try:
            channel = self.open_channel(kind, target, ("127.0.0.1", 0), timeout=timeout)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if refusal := self.refusals.pop(self._asking.number, None):
                raise refusal from error
            raise
        channel.turns = threading.Lock()  # type: ignore[attr-defined]
        return channel


def send_all(channel: paramiko.Channel, data: bytes, stalled: float = math.inf) -> None:
    """All of data. Raises OSError once the channel is closed, TimeoutError after `stalled` seconds without progress."""
    offset, until = 0, time.monotonic() + stalled
    while offset < len(data):
        if not channel.send_ready():  # not waited for inside: paramiko's thread must go on to open the window
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(_WINDOW_POLL)
            continue
        with channel.turns:  # type: ignore[attr-defined]
            sent = channel.send(data[offset : offset + CHUNK])
        if not sent:
            raise OSError("the channel is closed")
        offset, until = offset + sent, time.monotonic() + stalled


def end_input(channel: paramiko.Channel) -> None:
    """End of file on the program's standard input. Never raises."""
    with suppress(OSError, EOFError, paramiko.SSHException), channel.turns:  # type: ignore[attr-defined]
        channel.shutdown_write()


def close(channel: paramiko.Channel) -> None:
    """Close the channel. Never raises."""
    with suppress(OSError, EOFError, paramiko.SSHException), channel.turns:  # type: ignore[attr-defined]
        channel.close()

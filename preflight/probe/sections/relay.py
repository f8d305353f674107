"""Question `relay`: bytes between the controller and an address that this node can reach, in base64 frames."""

import binascii
import queue
import socket
import threading

from .base import Unseen
from .network import outcome_of

CHUNK = 48 << 10
LINGER = 10.0


class Relay(object):
    """One relayed connection. Frames of the controller come in through `frame`, on the thread that reads them all."""

    def __init__(self, number, send):
        self.number, self.send = number, send
        self.frames = queue.Queue()
        self.wire = None

    def frame(self, message):
        self.frames.put(message)

    def connect(self, host, port, seconds):
        """Raises Unseen with how it failed: dns, refused, timeout or no-route."""
        try:
            self.wire = socket.create_connection((host, port), timeout=seconds)
        except socket.gaierror:
            raise Unseen("dns")
        except OSError as error:
            raise Unseen(outcome_of(error))
        self.wire.settimeout(None)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def carry(self):
        """Until the far end closes or the controller says so."""
        threading.Thread(target=self.write, daemon=True).start()
        try:
            while True:
                octets = self.wire.recv(CHUNK)
                if not octets:
                    break
                self.send({"id": self.number, "data": binascii.b2a_base64(octets, newline=False).decode("ascii")})
        except OSError:
            pass
        self.send({"id": self.number, "eof": True})
        self.frames.put({"close": True})

    def write(self):
        try:
            while True:
                frame = self.frames.get()
                if "data" in frame:
                    self.wire.sendall(binascii.a2b_base64(frame["data"]))
                elif "eof" in frame:
                    self.wire.shutdown(socket.SHUT_WR)
                    # The controller may be gone altogether: what is still to come gets this long between two parts.
                    self.wire.settimeout(LINGER)
                else:
                    break
        except OSError:
            pass
        try:
            self.wire.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.wire.close()

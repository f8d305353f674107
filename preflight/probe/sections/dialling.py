"""TCP to many addresses at once: how each try ended, what certificate was shown, what the kernel saw of it."""

import errno
import socket
import struct
import time

from .namespace import HERE
from .network import outcome_of_number

STAY = 0.1
HANDSHAKE = 2.0
SHORT = 576
PARTING = 1.0
TCP_INFO = 11
SEGMENT = 2
UNACKNOWLEDGED = 4
PATH_MTU = 13
RETRANSMITS = 23


def plain_socket(address, most=None):
    """A TCP socket for an address. most: bytes of the longest packet that it sends, and asks its peer for."""
    wire = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    if most:
        wire.setsockopt(socket.IPPROTO_TCP, SEGMENT, most - (60 if ":" in address else 40))
    return wire


def kernel_says(wire):
    """(path MTU, packets sent again, packets not acknowledged) of a connection; (None, 0, 0) where it does not tell."""
    try:
        numbers = struct.unpack("24I", wire.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 104)[8:104])
    except (OSError, struct.error):
        return None, 0, 0
    return numbers[PATH_MTU] or None, numbers[RETRANSMITS], numbers[UNACKNOWLEDGED]


class Call(object):
    """One target. patience: seconds for the connection; stay: seconds that it must then stay up to count as open.

    namespace: whose socket it is
    context: of TLS, where a handshake is to be finished and taken leave of, without another byte
    most: bytes of the longest packet, where the kernel is not to decide it
    tls: "ok", "timeout", or OpenSSL's words; shown: DER, the server's own first; whole: shown is all that it sent
    """

    def __init__(self, address, port, stay=0.0, context=None, most=None, namespace=HERE):
        self.address, self.port, self.stay, self.context = address, port, stay, context
        self.most, self.namespace = most, namespace
        self.outcome, self.milliseconds, self.tries = "timeout", 0.0, 0
        self.tls, self.shown, self.whole = None, [], False
        self.path_mtu, self.retransmits = None, 0
        self.wire, self.step, self.until = None, None, 0.0

    def begin(self, patience):
        """Each step returns what to wait for, "r" or "w", or None where the call has ended."""
        self.began = time.monotonic()
        self.until, self.tries, self.step = self.began + patience, self.tries + 1, self.connected
        try:
            with self.namespace:
                self.wire = plain_socket(self.address, self.most)
        except OSError as error:  # a kernel without IPv6
            return self.failed(error.errno)
        self.wire.setblocking(False)
        try:
            number = self.wire.connect_ex((self.address, self.port))
        except OSError as error:
            number = error.errno
        return "w" if number == errno.EINPROGRESS else self.failed(number) if number else self.connected()

    def connected(self):
        number = self.wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number == errno.ECONNRESET:  # by who has accepted it: who does not accept refuses
            self.ended("closed")
            return self.close()
        if number:
            return self.failed(number)
        self.ended("open")
        self.path_mtu, self.retransmits, _ = kernel_says(self.wire)
        if self.context is not None:
            self.wire = self.context.wrap_socket(self.wire, do_handshake_on_connect=False)
            self.until, self.step = max(self.until, time.monotonic() + HANDSHAKE), self.shake
            return self.shake()
        if self.stay:
            self.until, self.step = time.monotonic() + self.stay, self.heard
            return "r"
        return self.close()

    def heard(self):
        """Readable before its time is up: an end, or a server that speaks first."""
        try:
            if not self.wire.recv(4096):
                self.outcome = "closed"
        except OSError:
            self.outcome = "closed"
        return self.close()

    def shake(self):
        import ssl

        try:
            self.wire.do_handshake()
        except ssl.SSLWantReadError:
            return "r"
        except ssl.SSLWantWriteError:
            return "w"
        except (OSError, ValueError) as error:
            if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or not isinstance(error, ssl.SSLError):
                self.outcome = "closed"
            self.tls = str(getattr(error, "reason", None) or type(error).__name__)
            return self.close()
        self.tls = "ok"
        self.shown = [self.wire.getpeercert(True)]
        try:  # from Python 3.10 on
            self.shown += [each.public_bytes(2) for each in self.wire._sslobj.get_unverified_chain()[1:]]
            self.whole = True
        except (AttributeError, TypeError, ValueError):
            pass
        self.until, self.step = time.monotonic() + PARTING, self.part
        return self.part()

    def part(self):
        """Close TLS before TCP, or the server logs a connection that broke off."""
        import ssl

        try:
            self.wire = self.wire.unwrap()
        except ssl.SSLWantReadError:
            return "r"
        except ssl.SSLWantWriteError:
            return "w"
        except (OSError, ValueError):
            pass
        return self.close()

    def late(self):
        """Its time is up in whatever step it is."""
        if self.step == self.connected:
            self.ended("timeout")
        elif self.step == self.shake:
            self.tls = "timeout"
        return self.close()

    def failed(self, number):
        self.ended(outcome_of_number(number))
        return self.close()

    def ended(self, outcome):
        self.outcome, self.milliseconds = outcome, round((time.monotonic() - self.began) * 1000, 1)

    def close(self):
        if self.wire is not None:
            self.wire.close()
        self.wire = None


def dial_all(calls, patience, deadline):
    """All at once; what timed out or was closed by its peer is tried once more: queues overflow where everybody dials
    at once."""
    attempt(calls, deadline.left(patience))
    again = [call for call in calls if call.outcome in ("timeout", "closed")]
    if again and not deadline.passed():
        attempt(again, deadline.left(patience))
    return calls


def attempt(calls, patience):
    """One try each. As many at once as this process may have open."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = max((hard if soft == resource.RLIM_INFINITY else soft) - 100, 16)
    for at in range(0, len(calls), room):
        attempt_at_once(calls[at : at + room], patience)


def attempt_at_once(calls, patience):
    import selectors

    events = {"r": selectors.EVENT_READ, "w": selectors.EVENT_WRITE}
    with selectors.DefaultSelector() as waiting:
        for call in calls:
            wanted = call.begin(patience)
            if wanted:
                waiting.register(call.wire, events[wanted], call)
        while waiting.get_map():
            now = time.monotonic()
            pending = [key.data for key in waiting.get_map().values()]
            ready = [key.data for key, _ in waiting.select(max(min(call.until for call in pending) - now, 0))]
            for call in ready or [call for call in pending if call.until <= time.monotonic()]:
                waiting.unregister(call.wire)
                wanted = call.step() if ready else call.late()
                if wanted:
                    waiting.register(call.wire, events[wanted], call)

"""Names, addresses, and how an attempt at a connection ended in the field's words."""

import errno
import socket

from .together import Piece

# A blackhole route is EINVAL, a prohibit route EACCES, a missing one ENETUNREACH.
NO_ROUTE = (
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
    errno.EINVAL,
    errno.EACCES,
    errno.EPERM,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
)


class Unresolved(Exception):
    """A name without an address."""


def outcome_of(error):
    """refused | timeout | no-route for an exception of a connection or of the answer it should have given."""
    if isinstance(error, socket.timeout):
        return "timeout"
    return outcome_of_number(getattr(error, "errno", None))


def outcome_of_number(number):
    if number in NO_ROUTE:
        return "no-route"
    return "timeout" if number == errno.ETIMEDOUT else "refused"


def split_target(target):
    """ "host:port" or "[address]:port" -> (host, port)."""
    host, _, port = target.rpartition(":")
    return host.strip("[]"), int(port)


def addresses_of(host, seconds):
    """Its addresses in the resolver's order, each once. Raises Unresolved where it has none, or none in time."""
    # The resolver has no timeout of its own to set, and a dead name server can hold it for half a minute.
    lookup = Piece(host, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    lookup.start()
    lookup.join(seconds)
    if lookup.value is None:
        raise Unresolved()
    found = []
    for entry in lookup.value:
        if entry[4][0] not in found:
            found.append(entry[4][0])
    return found


def is_address(host):
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
            return True
        except OSError:
            continue
    return False

"""TCP: how an attempt ended, in the field's five words, and many attempts at once."""

import errno
import socket
import time

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


def dial_all(targets, patience, deadline):
    """Connect to every (address, port) at once, without a byte sent; a timeout is tried once more.

    (outcome, milliseconds of the try that gave it, tries) for each, in order.
    """
    results = attempt(targets, deadline.left(patience))
    again = [at for at, (outcome, _) in enumerate(results) if outcome == "timeout"]
    tried = [result + (1,) for result in results]
    if again and not deadline.passed():
        for at, result in zip(again, attempt([targets[at] for at in again], deadline.left(patience))):
            tried[at] = result + (2,)
    return tried


def attempt(targets, patience):
    """One try each: (outcome, milliseconds). As many at once as this process may have open."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = max((hard if soft == resource.RLIM_INFINITY else soft) - 100, 16)
    results = []
    for at in range(0, len(targets), room):
        results += attempt_at_once(targets[at : at + room], patience)
    return results


def attempt_at_once(targets, patience):
    import selectors

    results = [None] * len(targets)
    with selectors.DefaultSelector() as waiting:
        for at, (address, port) in enumerate(targets):
            began = time.monotonic()
            try:
                wire = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            except OSError as error:  # a kernel without IPv6
                results[at] = ended(error.errno, began)
                continue
            wire.setblocking(False)
            try:
                number = wire.connect_ex((address, port))
            except OSError as error:
                number = error.errno
            if number == errno.EINPROGRESS:
                waiting.register(wire, selectors.EVENT_WRITE, (at, began))
            else:
                wire.close()
                results[at] = ended(number, began)
        end = time.monotonic() + patience
        while waiting.get_map() and time.monotonic() < end:
            for key, _ in waiting.select(max(end - time.monotonic(), 0)):
                at, began = key.data
                number = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                waiting.unregister(key.fileobj)
                key.fileobj.close()
                results[at] = ended(number, began)
        for key in list(waiting.get_map().values()):
            key.fileobj.close()
            results[key.data[0]] = ended(errno.ETIMEDOUT, key.data[1])
    return results


def ended(number, began):
    return ("open" if number == 0 else outcome_of_number(number), round((time.monotonic() - began) * 1000, 1))


def is_address(host):
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
            return True
        except OSError:
            continue
    return False

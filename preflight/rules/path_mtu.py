"""Packets that are too long for a hop of the way and vanish there: nothing tells the sender, so it sends them again.

RFC 1191 and 8201: a router that cannot forward a packet says so by ICMP (type 3, code 4; ICMPv6 type 2), and the sender
shortens its packets. Where that ICMP is dropped, what is short passes (opening a connection, a request without a body),
and what is long (a server's certificates, an upload) hangs: a path MTU black hole. That it is the length is shown by
the same request passing at once in shorter packets (TCP's own way round it: RFC 4821).
"""

from __future__ import annotations

import msgspec

from ..facts import BucketPath, Dial


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """through: bytes of the longest packet with which a bucket answered; lost: of the shortest with which it did not.

    sure: more than one length was answered
    """

    through: int
    lost: int
    sure: bool


def hole(path: BucketPath) -> Hole | None:
    """None where nothing was lost, or length does not decide it: chance, or a server that is slow for all of them."""
    seen = path.packets
    if seen is None or not seen.answered or not seen.unanswered or max(seen.answered) >= min(seen.unanswered):
        return None
    return Hole(through=max(seen.answered), lost=min(seen.unanswered), sure=len(seen.answered) > 1)


def between(dial: Dial) -> bool:
    """True where a member's certificate comes through in short packets and not in those that the kernels chose."""
    return dial.tls == "timeout" and dial.short == "ok"

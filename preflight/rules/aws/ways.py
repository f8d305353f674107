"""How a subnet's traffic leaves for S3: what the rules on the way to it share."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal[
    "gateway endpoint", "interface endpoint", "NAT gateway", "internet gateway", "transit gateway", "network interface"
]

KINDS: tuple[tuple[str, Kind], ...] = (
    ("vpce-", "gateway endpoint"),
    ("nat-", "NAT gateway"),
    ("igw-", "internet gateway"),
    ("tgw-", "transit gateway"),
    ("eni-", "network interface"),
)
"""What a route hands packets to, by how its id begins. source: EC2 API reference, Route."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a subnet's traffic leaves for S3.

    kind, target: None where no route leads there; words: the table and where it leads
    broken: it ends there (no route, a blackhole, a gateway or endpoint that is not available)
    """

    vpc: str
    subnet: str
    table: str
    kind: Kind | None
    target: str | None
    words: str
    broken: bool = False

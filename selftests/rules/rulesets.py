"""Packet filters as facts, from what nft and iptables-save have really printed (rulesets/) or from a few lines."""

from __future__ import annotations

from pathlib import Path

import msgspec

from preflight.facts import Filters
from preflight.probe.sections import filters as probe

FOLDER = Path(__file__).parent / "rulesets"
ADDRESSES = ("198.18.0.11", "198.18.0.12", "198.18.0.13")


def printed(name: str) -> str:
    """One of the files."""
    return (FOLDER / name).read_text()


def read(text: str, addresses=ADDRESSES, ports=(9200, 9300), namespace="probe", translated=False) -> Filters:
    """As the probe hands it on, shortened to what concerns these connections. text: of nft, or of iptables-save"""
    tables = probe.saved(text, "ip", "iptables") if text.startswith("*") else probe.listed_tables(text)
    for table in tables:
        probe.shortened(table, probe.Concern(addresses, list(ports), translated))
    told = [dict(table, namespace=namespace) for table in tables if table["chains"]]
    return msgspec.convert({"tables": told, "unread": []}, Filters)


def chain(*rules: str, hook: str = "input", policy: str = "accept", more: str = "", **how) -> Filters:
    """A table inet fault with one base chain. more: other blocks of the table, as nft prints them"""
    lines = "".join(f"\t\t{rule} # handle {at}\n" for at, rule in enumerate(rules, 5))
    base = f"\t\ttype filter hook {hook} priority filter; policy {policy};\n"
    return read(f"table inet fault {{ # handle 1\n{more}\tchain {hook} {{ # handle 1\n{base}{lines}\t}}\n}}\n", **how)

"""Routing tables in words that mean the same on every host."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from surveys import route, routing

from preflight.facts import Routing
from preflight.rules import tables


@pytest.mark.parametrize(
    ("own", "gateway", "prefix"),
    [("10.0.1.15", "10.0.1.1", 24), ("172.31.16.9", "172.31.16.1", 20), ("198.18.0.11", "198.18.0.1", 24)],
)
def test_own_gateway_is_the_same_in_every_subnet(own, gateway, prefix):
    """198.18.0.1 here is 10.0.1.1 there."""
    network = ipaddress.ip_interface(f"{own}/{prefix}").network
    table = routing(own, gateway, prefix=prefix)
    fixed = tuple(route(str(network), scope="link") if r.destination != "default" else r for r in table.routes)
    table = Routing(routes=fixed, rules=(), addresses=table.addresses)

    assert list(tables.lines(table)) == ["default via its subnet's gateway", "its own subnet"]


def test_another_gateway_shows():
    """The one difference that cuts a node off."""
    theirs, ours = routing("10.0.1.15", "10.0.1.1"), routing("10.0.2.15", "10.0.2.9")

    assert tables.diff(ours, theirs, "b", "a")[3:5] == (
        "-default via its subnet's gateway    [default via 10.0.1.1 dev eth0]",
        "+default via host 9 of its own subnet    [default via 10.0.2.9 dev eth0]",
    )


def test_static_routes_to_each_others_subnets_are_alike():
    """Every node has the others' subnets and not its own."""
    one = routing("10.0.1.15", "10.0.1.1", extra=[route("10.0.2.0/24", gateway="10.0.1.1")])
    two = routing("10.0.2.15", "10.0.2.1", extra=[route("10.0.1.0/24", gateway="10.0.2.1")])

    assert tables.diff(one, two, "one", "two") == ()


networks = st.builds(
    lambda number, prefix: str(ipaddress.ip_network((number, prefix), strict=False)),
    st.integers(0x0B000000, 0xDF000000),
    st.integers(8, 32),
)
routes = st.builds(
    lambda destination, gateway, kind, table: route(destination, gateway=gateway, kind=kind, table=table),
    st.one_of(st.just("default"), networks),
    st.one_of(st.none(), st.integers(0x0B000000, 0xDF000000).map(lambda n: str(ipaddress.ip_address(n)))),
    st.sampled_from(["unicast", "blackhole", "unreachable", "prohibit", "throw"]),
    st.sampled_from(["main", "local", "254", "mine"]),
)


@given(st.lists(routes, max_size=6))
def test_a_table_never_differs_from_itself(extra):
    """Whatever is in it."""
    table = routing("10.0.1.15", "10.0.1.1", extra=extra)

    assert tables.diff(table, table, "a", "b") == ()


@given(st.lists(routes, max_size=6))
def test_order_and_repetition_do_not_matter(extra):
    """The kernel lists routes as they came."""
    one = routing("10.0.1.15", "10.0.1.1", extra=extra)
    two = routing("10.0.1.15", "10.0.1.1", extra=[*reversed(extra), *extra])

    assert tables.diff(one, two, "one", "two") == ()

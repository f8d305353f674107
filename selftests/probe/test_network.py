"""Dials, routes and chosen paths, on loopback and in a network namespace whose routes really refuse."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import time

import msgspec
import pytest

from preflight import facts as records
from preflight.probe.sections import dialling, network, paths, routing
from preflight.probe.sections.base import Deadline


def dial(member, target, port="transport"):
    return {"member": member, "port": port, "target": target}


def ask(probe, dials=(), destinations=(), patience=1.0):
    question = {"ask": "paths", "dials": list(dials), "destinations": list(destinations), "buckets": []}
    answer = probe.ask({**question, "connect_timeout": patience, "deadline": 20}, 20)
    return (
        msgspec.convert(answer["dials"], tuple[records.Dial, ...]),
        msgspec.convert(answer["paths"], tuple[records.ChosenPath, ...]),
    )


def test_open_refused_and_dns_in_the_order_asked_on_every_python(start, python):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as gone:
        open_port, closed_port = server.getsockname()[1], gone.getsockname()[1]
        gone.close()
        targets = [
            f"127.0.0.1:{closed_port}",
            "no-such-host.invalid:9300",
            f"127.0.0.1:{open_port}",
            f"localhost:{open_port}",
        ]
        dials, _ = ask(start(python=python), [dial(f"n{at}", target, "http") for at, target in enumerate(targets)])
        assert [(d.member, d.outcome, d.tries) for d in dials] == [
            ("n0", "refused", 1),
            ("n1", "dns", 1),
            ("n2", "open", 1),
            ("n3", "open", 1),
        ]
        server.settimeout(2)
        wire, _ = server.accept()
        with wire:
            wire.settimeout(2)
            assert wire.recv(10) == b"", "a dial sends nothing"


def test_ipv6_targets_are_in_brackets(start):
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        dials, _ = ask(start(), [dial("six", f"[::1]:{server.getsockname()[1]}")])
        assert [d.outcome for d in dials] == ["open"]


def test_a_silent_target_is_a_timeout_after_a_second_try_and_delays_no_other(start):
    with socket.socket() as full, socket.create_server(("127.0.0.1", 0)) as server:
        # A listener whose queue is full drops what comes: the same silence as a dropping filter.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        stuffing = [socket.socket() for _ in range(4)]
        for wire in stuffing:
            wire.setblocking(False)
            wire.connect_ex(address)
        began = time.monotonic()
        silent = [dial(f"s{at}", "{}:{}".format(*address)) for at in range(20)]
        dials, _ = ask(start(), [*silent, dial("o", f"127.0.0.1:{server.getsockname()[1]}")], patience=0.4)
        for wire in stuffing:
            wire.close()
    assert [(d.outcome, d.tries) for d in dials] == [("timeout", 2)] * 20 + [("open", 1)]
    assert all(350 < d.milliseconds < 1500 for d in dials[:20]) and time.monotonic() - began < 4


def test_more_targets_than_open_files_are_dialled_in_turns(monkeypatch):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (110, 110))
    with socket.create_server(("127.0.0.1", 0)) as server:
        calls = [dialling.Call(*server.getsockname()) for _ in range(60)]
        dialling.dial_all(calls, 2, Deadline(10))
    assert [call.outcome for call in calls] == ["open"] * 60


def test_where_the_kernel_has_no_ipv6_an_ipv6_address_has_no_route_and_the_others_are_dialled(monkeypatch):
    real = socket.socket

    def without_ipv6(family, *more):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *more)

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(socket, "socket", without_ipv6)
        calls = [dialling.Call("::1", 9300), dialling.Call(*server.getsockname())]
        dialling.dial_all(calls, 2, Deadline(10))
        monkeypatch.undo()
    assert [call.outcome for call in calls] == ["no-route", "open"]


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ECONNREFUSED, "refused"),
        (errno.EHOSTUNREACH, "no-route"),
        (errno.ENETUNREACH, "no-route"),
        (errno.EINVAL, "no-route"),
        (errno.EACCES, "no-route"),
        (errno.ETIMEDOUT, "timeout"),
        (errno.ECONNRESET, "refused"),
    ],
)
def test_error_numbers_in_the_field_s_words(number, outcome):
    assert network.outcome_of(OSError(number, "x")) == outcome


NAMESPACE = """
ip link set lo up && ip link add d0 type veth peer name d1 && ip addr add 198.18.9.1/24 dev d0 \
&& ip link set d0 up && ip link set d1 up && ip route add default via 198.18.9.254 \
&& ip route add blackhole 198.18.10.0/24 && ip route add unreachable 198.18.11.0/24 \
&& ip route add prohibit 198.18.12.0/24 && ip route add throw 198.18.13.0/24 table 100 \
&& ip route add 198.18.14.0/24 nexthop via 198.18.9.2 nexthop via 198.18.9.3 \
&& ip rule add from 198.18.9.1 lookup 100 prio 500 && ip rule add fwmark 5 prohibit prio 501 \
&& ip route add default via 198.18.9.7 metric 50 table 100 && eval "$1"
"""


def namespace() -> tuple[str, ...] | None:
    """The command before a shell line that runs it in a network of its own; None where this user may not make one."""
    for before in (("unshare", "-n"), ("unshare", "-rn")):
        if shutil.which("unshare") and shutil.which("ip", path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            shell = (*before, "/bin/sh", "-c", NAMESPACE, "sh")
            if subprocess.run([*shell, "true"], capture_output=True).returncode == 0:
                return shell
    return None


@pytest.fixture(scope="module")
def elsewhere():
    shell = namespace()
    if shell is None:
        pytest.skip("needs root or user namespaces to make a network of its own")
    return shell


def test_the_route_chosen_for_each_kind(start, elsewhere, python):
    kinds = {
        "198.18.9.1": ("local", None, "lo"),
        # What leaves from 198.18.9.1 is looked up in table 100, which has a gateway for everything and no subnet.
        "198.18.9.5": ("gateway", "198.18.9.7", "d0"),
        "198.18.200.1": ("gateway", "198.18.9.7", "d0"),
        "198.18.10.1": ("blackhole", None, None),
        "198.18.11.1": ("unreachable", None, None),
        "198.18.12.1": ("prohibit", None, None),
        "fd05::1": ("none", None, None),
    }
    destinations = [{"purpose": f"peer:{address}", "target": address} for address in kinds]
    _, found = ask(start(shell=elsewhere, python=python), destinations=destinations)
    assert {p.target: (p.kind, p.gateway, p.device) for p in found} == kinds
    assert [p.purpose for p in found] == [d["purpose"] for d in destinations]


def test_what_answers_from_the_published_address_is_asked_for_too(start, elsewhere):
    """By a name of its own where it leaves from another address; a second address is no source of the kernel's."""
    shell = (*elsewhere[:-2], elsewhere[-2].replace("&& eval", "&& ip addr add 198.18.8.1/24 dev d0 && eval"), "sh")
    wanted = [
        {"purpose": "peer:a", "target": "198.18.200.1", "source": source} for source in ("198.18.8.1", "198.18.9.1")
    ]
    _, found = ask(start(shell=shell), destinations=wanted)
    assert [(p.source, p.gateway) for p in found] == [
        ("198.18.9.1", "198.18.9.7"),
        ("198.18.8.1", "198.18.9.254"),
        ("198.18.9.1", "198.18.9.7"),
    ]


@pytest.mark.parametrize(
    ("conf", "stub", "found"),
    [
        (
            "search x\nnameserver 10.0.0.2\n nameserver fe80::1%eth0\n#nameserver 1.1.1.1\n",
            None,
            ["10.0.0.2", "fe80::1"],
        ),
        ("nameserver 127.0.0.53\n", "nameserver 10.0.0.2\n", ["10.0.0.2"]),
        ("nameserver 127.0.0.53\n", None, []),
        ("nameserver 127.0.0.1\n", "nameserver 10.0.0.9\n", []),
        (None, None, []),
    ],
)
def test_resolvers_are_read_where_they_are_written(tmp_path, conf, stub, found):
    files = [tmp_path / "resolv.conf", tmp_path / "stub"]
    for file, text in zip(files, (conf, stub), strict=True):
        if text is not None:
            file.write_text(text)
    assert paths.resolvers([str(file) for file in files]) == found


def test_dials_where_the_routes_refuse(start, elsewhere):
    targets = ["198.18.10.1:9300", "198.18.11.1:9300", "198.18.12.1:9300"]
    dials, _ = ask(start(shell=elsewhere), [dial(target, target) for target in targets])
    assert [d.outcome for d in dials] == ["no-route"] * 3


def test_the_routing_section(facts, elsewhere):
    found = msgspec.convert(facts("routing", shell=elsewhere)["routing"]["value"], records.Routing)
    routes = {(r.table, r.kind, r.destination, r.gateway, r.metric) for r in found.routes if r.family == "inet"}
    assert routes == {
        ("main", "unicast", "default", "198.18.9.254", None),
        ("main", "unicast", "198.18.9.0/24", None, None),
        ("main", "blackhole", "198.18.10.0/24", None, None),
        ("main", "unreachable", "198.18.11.0/24", None, None),
        ("main", "prohibit", "198.18.12.0/24", None, None),
        ("main", "unicast", "198.18.14.0/24", "198.18.9.2", None),
        ("main", "unicast", "198.18.14.0/24", "198.18.9.3", None),
        ("100", "throw", "198.18.13.0/24", None, None),
        ("100", "unicast", "default", "198.18.9.7", 50),
    }
    rules = [(r.priority, r.text) for r in found.rules if r.family == "inet"]
    assert rules[1:3] == [(500, "from 198.18.9.1 lookup 100"), (501, "from all fwmark 0x5 prohibit")]
    addresses = {(a.device, a.address, a.prefix, a.scope) for a in found.addresses if a.family == "inet"}
    assert addresses == {("lo", "127.0.0.1", 8, "host"), ("d0", "198.18.9.1", 24, "global")}
    assert not [r for r in found.routes if r.table == "local"]


def test_an_iproute2_that_speaks_no_json_is_named(facts, tmp_path):
    old = tmp_path / "ip"
    old.write_text('#!/bin/sh\necho \'Option "-j" is unknown, try "ip -help".\' >&2\nexit 255\n')
    old.chmod(0o755)
    replace = {'TOOL_PATH = "/usr/sbin:': f'TOOL_PATH = "{tmp_path}:/usr/sbin:'}
    answer = facts("routing", replace=replace)["routing"]
    assert "too old" in answer["unknown"] and "iproute2 4.17" in answer["remedy"]


def test_no_iproute2_is_unknown_and_the_dials_still_answer(start, tmp_path):
    probe = start(replace={'TOOL_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:': f'TOOL_PATH = "{tmp_path}:'})
    question = {"ask": "paths", "dials": [dial("a", "127.0.0.1:1")], "buckets": [], "connect_timeout": 1, "deadline": 9}
    answer = probe.ask({**question, "destinations": [{"purpose": "imds", "target": "127.0.0.1"}]}, 9)
    assert answer["dials"][0]["outcome"] == "refused" and "no ip command" in answer["paths"]["unknown"]


def test_a_gateway_of_the_other_family():
    entry = {"dst": "default", "via": {"family": "inet6", "host": "fe80::1"}, "dev": "eth0", "flags": []}
    assert routing.routes(entry, "inet")[0]["gateway"] == "fe80::1"


def test_no_output_and_empty_objects_are_no_routes():
    assert routing.listed("\n") == [] and routing.listed(json.dumps([{}, {"dst": "x"}])) == [{"dst": "x"}]

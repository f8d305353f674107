"""Packets longer than a hop takes, over a real router: told by it, and not told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="network namespaces need root on Linux"
)

SERVER = """
import socket, threading
listener = socket.create_server(("0.0.0.0", 8080))
def serve(wire):
    with wire:
        while True:
            seen = b""
            while b"\\r\\n\\r\\n" not in seen:
                octets = wire.recv(65536)
                if not octets:
                    return
                seen += octets
            wire.sendall(b"HTTP/1.1 403 Forbidden\\r\\nContent-Length: 0\\r\\n\\r\\n")
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""

CLIENT = """
import http.client, json
from preflight.probe.sections import packets
from preflight.probe.sections.base import Deadline
from preflight.probe.sections.namespace import HERE
class Look:
    deadline, namespace = Deadline(20), lambda self: HERE
wire = http.client.HTTPConnection("192.0.2.130", 8080, timeout=10)
wire.request("HEAD", "/")
wire.getresponse().read()
asked = {"bucket": "b", "path_style": False, "host": "b.s3.example", "port": 8080, "tls": False}
print(json.dumps(packets.sent_long(wire, "/", asked, 2.0, Look())))
"""


def ip(*arguments, check=True):
    subprocess.run(["ip", *arguments], check=check, capture_output=True)


@pytest.fixture
def way():
    """way(octets, rules): what becomes of long packets to a server behind a router that takes so many bytes at most."""
    near, router, far = (f"mtu{os.getpid()}{side}" for side in "nrf")
    running = []

    def ask(octets, rules=""):
        for namespace in (near, router, far):
            ip("netns", "add", namespace)
        for end, side, address, gateway in (
            (near, "side0", "192.0.2.2", "192.0.2.1"),
            (far, "side1", "192.0.2.130", "192.0.2.129"),
        ):
            ip("-n", router, "link", "add", side, "type", "veth", "peer", "name", "eth0", "netns", end)
            for namespace, device, own in ((end, "eth0", address), (router, side, gateway)):
                ip("-n", namespace, "address", "add", f"{own}/25", "dev", device)
                ip("-n", namespace, "link", "set", device, "up")
            ip("-n", end, "route", "add", "default", "via", gateway)
        inside = ["ip", "netns", "exec"]
        subprocess.run([*inside, router, "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
        for network, device in (("192.0.2.0/25", "side0"), ("192.0.2.128/25", "side1")):
            ip("-n", router, "route", "replace", network, "dev", device, "mtu", "lock", str(octets))
        if rules:
            subprocess.run([*inside, router, "nft", "-f", "-"], input=rules, text=True, check=True)
        server = subprocess.Popen([*inside, far, sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
        running.append(server)
        assert server.stdout.readline() == b"ready\n"
        done = subprocess.run(
            [*inside, near, sys.executable, "-c", CLIENT], cwd=CHECKOUT, capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    yield ask
    for server in running:
        server.kill()
        server.wait()
        server.stdout.close()
    for namespace in (near, router, far):
        ip("netns", "delete", namespace, check=False)


SILENT = """
table ip silent {
    chain output {
        type filter hook output priority 0; policy accept;
        icmp type destination-unreachable drop
    }
}
"""
LOSSY = """
table ip lossy {
    chain forward {
        type filter hook forward priority 0; policy accept;
        numgen random mod 100 < 10 drop
    }
}
"""


def test_a_router_that_says_nothing_is_told_by_the_lengths_that_pass(way):
    seen = way(1400, SILENT)
    assert seen["step"] == "request" and seen["path_mtu"] == 1500 and seen["retransmits"] and seen["unacknowledged"]
    assert (seen["answered"], seen["unanswered"]) == ([1400, 1350, 1280, 1000, 576], [1500, 1450])


def test_a_router_that_says_so_is_heard(way):
    """Two packets are sent again, shorter; nothing is lost, and nothing is tried a second time."""
    began = time.monotonic()
    seen = way(1400)
    assert (seen["step"], seen["path_mtu"], seen["answered"], seen["unanswered"]) == (None, 1400, [], [])
    assert time.monotonic() - began < 10


def test_a_way_that_takes_what_the_interface_does_loses_nothing(way):
    assert way(1500, SILENT) == {
        "path_mtu": 1500, "retransmits": 0, "unacknowledged": 0, "step": None, "answered": [], "unanswered": [],
    }  # fmt: skip


def test_a_lossy_way_is_no_matter_of_length(way):
    """A tenth of all packets, either way."""
    seen = way(1500, LOSSY)
    assert seen is None or seen["step"] is None or not (seen["answered"] and seen["unanswered"])

"""Sockets and tools in another process's network namespace, and whose routes count there: with real namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from preflight.probe.sections import namespace
from preflight.probe.sections.namespace import HERE, Namespace
from preflight.probe.sections.owner import Owner

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="only root may make and enter network namespaces",
)

CHECKOUT = Path(__file__).resolve().parents[2]
LISTENING = """
import socket, subprocess
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
server.accept()[0].recv(1)
"""


@pytest.fixture
def inside():
    """(pid, port) of a listener on loopback in a network namespace of its own."""
    command = ["unshare", "--net", sys.executable, "-c", LISTENING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        if not line:
            pytest.skip("no network namespace can be made here")
        yield process.pid, int(line)
        process.kill()


def namespace_of(process):
    return str(Path(f"/proc/{process}/ns/net").readlink())


def own():
    return namespace_of(f"self/task/{threading.get_native_id()}")


def test_a_socket_made_in_it_is_in_it_and_the_thread_is_back(inside):
    pid, port = inside
    before, found = own(), Namespace(f"/proc/{pid}/ns/net")
    assert found.apart and own() == before
    with pytest.raises(ConnectionRefusedError):
        Owner().connect(("127.0.0.1", port), 5)
    with Owner(65534, 65534, found).connect(("127.0.0.1", port), 5):
        assert own() == before
    with found:
        assert own() == namespace_of(pid)
        assert subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True, text=True).stdout == f"{own()}\n"
    assert own() == before


def test_another_thread_stays_where_it_is(inside):
    seen = []
    entered, looked = threading.Event(), threading.Event()

    def beside():
        entered.wait(10)
        seen.append(own())
        looked.set()

    threading.Thread(target=beside).start()
    with Namespace(f"/proc/{inside[0]}/ns/net"):
        entered.set()
        looked.wait(10)
    assert seen == [own()]


def test_one_s_own_and_one_that_may_not_be_entered_are_here(inside, monkeypatch):
    assert not Namespace(f"/proc/{os.getpid()}/ns/net").apart
    assert not Namespace("/proc/0/ns/net").apart
    assert not HERE.apart
    monkeypatch.setattr(namespace, "library", lambda: None)
    assert not Namespace(f"/proc/{inside[0]}/ns/net").apart


HOST = """
set -e
ip link set lo up
unshare --net sleep 60 & inner=$!
for i in $(seq 100); do
    [ "$(readlink /proc/$inner/ns/net)" = "$(readlink /proc/self/ns/net)" ] || break
    sleep 0.05
done
ip link add d0 type bridge
ip address add 172.17.0.1/16 dev d0
ip link set d0 up
ip link add inner type veth peer name eth0 netns $inner
ip link set inner master d0 up
nsenter -t $inner -n ip address add 172.17.0.2/16 dev eth0
nsenter -t $inner -n ip link set eth0 up
ip route add 198.18.7.0/24 via 172.17.0.9
[ -z "$1" ] || nsenter -t $inner -n ip route add default via $1 dev eth0
"$2" -c "$3" $inner
kill $inner
"""

ASKED = """
import sys
from preflight.probe.sections.base import Deadline, Once
from preflight.probe.sections.namespace import Namespace
from preflight.probe.sections.routing import addresses_within, routing, taken_path

class Look:
    deadline, once = Deadline(20), Once()
    def namespace(self, found=Namespace("/proc/%s/ns/net" % sys.argv[1])):
        return found

look = Look()
path = taken_path("peer:a", "198.18.7.1", look)
print(path["kind"], path["gateway"], path["source"], addresses_within(look))
print(sorted(address["address"] for address in routing(look)["addresses"] if address["scope"] == "global"))
"""


@pytest.mark.parametrize(
    ("gateway", "path", "tables"),
    [
        ("172.17.0.1", "gateway 172.17.0.9 172.17.0.1", "['172.17.0.1']"),
        ("172.17.0.7", "gateway 172.17.0.7 172.17.0.2", "['172.17.0.2']"),
        ("", "gateway 172.17.0.9 172.17.0.1", "['172.17.0.1']"),
    ],
    ids=["the host hands on", "another gateway, as behind an interface of its own", "no way out"],
)
def test_whose_routes_lead_out(gateway, path, tables):
    command = ["unshare", "--net", "bash", "-c", HOST, "host", gateway, sys.executable, ASKED]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, timeout=60)
    if "Operation not permitted" in done.stderr or "Not supported" in done.stderr:
        pytest.skip("no veth pair or bridge can be made here")
    assert done.stdout.splitlines() == [f"{path} ['172.17.0.2']", tables], done.stderr

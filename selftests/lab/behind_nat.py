"""Elasticsearch in a network namespace of its own behind its host's address, as a container engine's bridge has it.

What goes out is masqueraded; of what comes in the two ports are handed on. There is no way back in from within, and
none from the host to its own address: engines differ in both.
"""

from lab import host, names, network

NAMESPACE = "/run/elasticsearch.netns"
ADDRESS, BRIDGE, NETWORK = "172.17.0.2", "172.17.0.1", "172.17.0.0/16"

INSIDE = f"""\
link set lo up
address add {ADDRESS}/16 dev eth0
link set eth0 up
route add default via {BRIDGE} dev eth0
"""

BUILD = f"""
set -e
touch {NAMESPACE}
unshare --net={NAMESPACE} true
ip link add docker0 type bridge
ip address add {BRIDGE}/16 dev docker0
ip link set docker0 up
ip link add vethes type veth peer name eth0 netns {NAMESPACE}
ip link set vethes master docker0 up
sysctl -q -w net.ipv4.ip_forward=1
nsenter --net={NAMESPACE} ip -batch -
"""

REMOVE = f"""
ip link delete vethes
ip link delete docker0
umount {NAMESPACE}
rm -f {NAMESPACE}
sysctl -q -w net.ipv4.ip_forward=0
true
"""


def move_in(node):
    """Make the namespace: Elasticsearch runs in it from its next start on."""
    host.execute(node, ["sh", "-c", BUILD], stdin=INSIDE)
    network.nft(
        node.namespace,
        f"""
        table ip engine {{
            chain prerouting {{
                type nat hook prerouting priority dstnat; policy accept;
                ip daddr {node.address} tcp dport {{ {names.HTTP_PORT}, {names.TRANSPORT_PORT} }} dnat to {ADDRESS}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr {NETWORK} oifname != "docker0" masquerade
            }}
        }}
        """,
    )


def move_out(node):
    """Remove it; what is not there is no error."""
    network.unfilter(node.namespace, "engine", family="ip")
    host.execute(node, ["sh", "-c", REMOVE])


def settings(node, bind=ADDRESS):
    """Lines of its elasticsearch.yml that take the place of network.host."""
    return f"network.bind_host: {bind}\nnetwork.publish_host: {node.address}"


def end_connections(node, address):
    """As lab.network's, of what is in there."""
    host.execute(node, ["sh", "-c", f"nsenter --net={NAMESPACE} ss --tcp --kill dst {address} || true"])

"""Networks of other shapes, first of all three subnets with a router between them: healthy ones are green, and what a
subnet lacks is told of it.

A lab of its own: one that is up is taken down for it, and one like it is brought up again.
"""

import ipaddress
import re
from contextlib import contextmanager

import pytest
from judged import checks
from suite_run import ON_THE_LAB, Ran, run_lab

from lab import ec2, elasticsearch, faults, host, matrix, names, network, state
from lab.faults.fault import YML
from lab.processes import run

pytestmark = ON_THE_LAB

CELLS = [cell for cell in matrix.cells(names.ES_VERSION) if matrix.subnets(cell) > 1]


@pytest.fixture(scope="module")
def apart(request):
    """The lab, its three nodes in three subnets."""
    version = request.config.getoption("lab_version")
    before = state.load()
    if before is not None:
        run_lab("down")
    run_lab("up", "--es-version", version, "--subnets", "3")
    yield state.require()
    run_lab("down")
    if before is not None:
        version = ["--without-elasticsearch"] if before.version is None else ["--es-version", before.version]
        run_lab("up", "--nodes", str(before.count), "--subnets", str(before.subnets), *version)


@pytest.fixture
def asked(tmp_path):
    """Run the suite as an operator with an AWS profile does."""
    environ = {"AWS_CONFIG_FILE": str(names.AWS_STATE / "config")}
    return lambda: Ran(tmp_path / "aws", f"--aws-profile={ec2.PROFILE}", environ=environ)


def outcomes(ran, check):
    return {o.node: o.outcome for o in ran.outcomes if o.check == check}


def test_three_subnets_with_a_router_between_them_are_green(apart, asked):
    ran = asked()
    assert {o.outcome for o in ran.outcomes} <= {"pass", "not applicable"}, ran.text
    assert (ran.status, ran.diagnosis.causes) == (0, ()), ran.text
    assert set(outcomes(ran, "AWS-2").values()) == {"pass"}
    assert {(i.interfaces[0].subnet, i.interfaces[0].addresses[0]) for i in ran.survey.aws.instances} == {
        (instance.interfaces[0].subnet, node.address)
        for node in apart.nodes
        for instance in ran.survey.aws.instances
        if instance.id == node.instance_id
    }
    assert len({i.interfaces[0].subnet for i in ran.survey.aws.instances}) == 3
    peers = [path for node in ran.survey.nodes for path in node.paths if path.purpose.startswith("peer:")]
    assert {(path.kind, path.gateway) for path in peers} == {("gateway", node.subnet.gateway) for node in apart.nodes}


def assert_nothing_red(ran):
    assert {o.outcome for o in ran.outcomes} <= {"pass", "not applicable"}, ran.text
    assert (ran.status, ran.diagnosis.causes) == (0, ()), ran.text


def ip(node, *commands, check=True):
    for command in commands:
        network.in_node(node, *command.split(), check=check)


def test_what_only_one_host_has_in_its_tables_is_no_difference(apart, tmp_path):
    """A container engine's bridge and a per-interface table with its rule; a lease's metric and source; an expiry."""
    one, two, three = apart.nodes
    gateway = three.subnet.gateway
    lease = "-6 route add fd00:7::/64 dev eth0 proto ra expires 900"
    ip(one, "-6 address add fd00:7::1/64 dev eth0 noprefixroute", lease)
    ip(
        two,
        "link add docker0 type bridge",
        "address add 172.17.0.1/16 dev docker0",
        "link set docker0 up",
        f"route add {two.subnet.cidr} dev eth0 table 10001",
        f"route add default via {two.subnet.gateway} dev eth0 table 10001",
        f"rule add from {two.address} lookup 10001 priority 10001",
    )
    ip(three, f"route replace default via {gateway} dev eth0 proto dhcp src {three.address} metric 100")
    ip(three, f"route delete default via {gateway} metric 0")
    try:
        assert_nothing_red(Ran(tmp_path))
    finally:
        ip(one, "-6 route delete fd00:7::/64 dev eth0", "-6 address delete fd00:7::1/64 dev eth0", check=False)
        ip(two, "rule delete priority 10001", "route flush table 10001", "link delete docker0", check=False)
        ip(three, f"route add default via {gateway} dev eth0", f"route delete default via {gateway} metric 100")


@pytest.fixture
def settings(apart):
    """Add lines to the elasticsearch.yml of some nodes, or take others' place, and restart these; as before afterwards.

    change: (pattern, text) pairs
    """
    given = {node: host.execute(node, ["cat", YML]) for node in apart.nodes}
    changed = {}

    def write(texts):
        def restart(node):
            host.execute(node, ["sh", "-c", f"cat >{YML}"], stdin=texts[node])
            elasticsearch.systemctl(node, "restart")

        elasticsearch.everywhere(list(texts), restart)
        elasticsearch.wait_for_members(apart.nodes)

    def add(lines, change=()):
        changed.update((node, given[node]) for node in lines)
        texts = {node: given[node] + "".join(f"{line}\n" for line in more) for node, more in lines.items()}
        for pattern, text in change:
            texts = {node: re.sub(pattern, text, before, flags=re.MULTILINE) for node, before in texts.items()}
        write(texts)

    yield add
    write(changed)
    elasticsearch.wait_for_repository(apart.nodes)


@pytest.fixture
def second_interface(apart):
    """es-2 has one more in its subnet, with a table for what leaves from its address, as EC2's hosts have it."""
    node = apart.nodes[1]
    ip(
        node,
        "link add eth1 link eth0 type macvlan mode bridge",
        f"address add {node.second_address}/{names.PREFIX} dev eth1",
        "link set eth1 up",
        f"route add {node.subnet.cidr} dev eth1 table 10002",
        f"route add default via {node.subnet.gateway} dev eth1 table 10002",
        f"rule add from {node.second_address} lookup 10002 priority 10002",
    )
    yield node
    ip(node, "rule delete priority 10002", "route flush table 10002", "link delete eth1", check=False)


def test_a_second_interface_that_elasticsearch_publishes_and_nobody_logs_in_at(second_interface, settings, tmp_path):
    """What answers its peers from there is asked of the kernel too."""
    node, second = second_interface, second_interface.second_address
    settings({node: [f"network.bind_host: [{node.address}, {second}]", f"network.publish_host: {second}"]})
    ran = Ran(tmp_path)
    assert_nothing_red(ran)
    assert f"{second}:9300" in [member.transport for member in ran.survey.clusters[0].members]
    paths = ran.survey.node(node.name).paths
    assert {path.source for path in paths if path.purpose.startswith("peer:")} == {node.address, second}


@pytest.fixture
def ipv6(apart):
    """Every node and the router have IPv6 addresses too; the router forwards between the subnets."""
    router = names.ROUTER_NAMESPACE
    run(["ip", "netns", "exec", router, "sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1"])
    for node in apart.nodes:
        gateway = ROUTER6.format(node.subnet.third)
        run(["ip", "-n", router, "-6", "address", "add", f"{gateway}/64", "dev", node.subnet.bridge, "nodad"])
        ip(
            node,
            f"-6 address add {node.address6}/64 dev eth0 nodad",
            f"-6 route add default via {gateway} dev eth0",
        )
    yield {node: str(ipaddress.ip_address(node.address6)) for node in apart.nodes}
    for node in apart.nodes:
        gateway = ROUTER6.format(node.subnet.third)
        ip(node, "-6 route delete default dev eth0", f"-6 address delete {node.address6}/64 dev eth0", check=False)
        run(["ip", "-n", router, "-6", "address", "delete", f"{gateway}/64", "dev", node.subnet.bridge], check=False)


ROUTER6 = "fd00:c612:{}::1"


@contextmanager
def controller_in(node, address):
    """The controller has an IPv6 address in the node's subnet. Neighbours are told: the machine answers nobody."""
    device, mac = names.CONTROLLER_DEVICE, network.CONTROLLER_MAC
    setting = f"net.ipv6.conf.{device}.disable_ipv6"
    run(["sysctl", "-q", "-w", f"{setting}=0"])
    try:
        run(["ip", "-6", "address", "add", f"{address}/64", "dev", device, "nodad"])
        run(["ip", "-6", "neighbour", "replace", node.address6, "lladdr", node.mac, "nud", "permanent", "dev", device])
        ip(node, f"-6 neighbour replace {address} lladdr {mac} nud permanent dev eth0")
        yield
    finally:
        ip(node, f"-6 neighbour delete {address} dev eth0", check=False)
        run(["sysctl", "-q", "-w", f"{setting}=1"])


def test_transport_over_ipv6_and_http_too_on_two_of_three(ipv6, settings, apart, asked, tmp_path):
    """Members are dialled, and their routes asked for, at what they publish; addresses are printed in brackets."""
    one, two, three = apart.nodes
    seeds = ((rf"^- {re.escape(node.address)}$", f'- "[{ipv6[node]}]"') for node in apart.nodes)
    lines = {node: [f'transport.host: "{ipv6[node]}"'] for node in apart.nodes}
    for node in (two, three):
        lines[node].append(f'http.host: "{ipv6[node]}"')
    settings(lines, change=seeds)
    ran = asked()
    assert_nothing_red(ran)
    transport = {f"[{address}]:9300" for address in ipv6.values()}
    assert {member.transport for member in ran.survey.clusters[0].members} == transport
    http = {f"{one.address}:9200", f"[{ipv6[two]}]:9200", f"[{ipv6[three]}]:9200"}
    for node in apart.nodes:
        found = ran.survey.node(node.name)
        assert {d.target for d in found.dials if d.port == "transport"} == transport - {f"[{ipv6[node]}]:9300"}
        assert {d.target for d in found.dials if d.port == "http"} == http
        peers = [path for path in found.paths if path.purpose.startswith("peer:")]
        gateway = str(ipaddress.ip_address(ROUTER6.format(node.subnet.third)))
        assert {(path.kind, path.gateway, path.source) for path in peers} == {("gateway", gateway, ipv6[node])}
    assert ran.survey.node(three.name).view.url == f"https://[{ipv6[three]}]:9200"
    assert ran.survey.node(two.name).view.carrier == "probe"
    assert set(outcomes(ran, "TLS-1").values()) == {"pass"}

    drop = f"ip6 saddr {ipv6[one]} tcp dport 9300 tcp flags & (syn | ack) == syn drop"
    network.nft(
        three.namespace,
        f"""
        table inet fault {{
            chain input {{
                type filter hook input priority 0; policy accept;
                {drop}
            }}
        }}
        """,
    )
    try:
        cut = Ran(tmp_path / "cut")
    finally:
        network.unfilter(three.namespace, "fault")
    assert cut.differing() == {("PORT-1", one.name): "fail"}, cut.text
    assert [cause.id for cause in cut.diagnosis.causes] == ["port-blocked"]
    assert f"{one.name} to {three.name} [{ipv6[three]}]:9300: timeout" in cut.text

    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host {ipv6[one]}\n    HostKeyAlias {one.address}\n    User {names.SSH_USER}\n"
        f"    IdentityFile {names.SSH_KEY}\n    UserKnownHostsFile {names.KNOWN_HOSTS}\n"
    )
    login = {
        "ES_PREFLIGHT_USER": names.PREFLIGHT_USER,
        "ES_PREFLIGHT_PASSWORD_FILE": str(names.PREFLIGHT_PASSWORD),
    }
    with controller_in(one, "fd00:c612::5"):
        for carrier in ("ssh", "paramiko"):
            literal = Ran(
                tmp_path / carrier,
                f"--ssh-config={config}",
                environ=login,
                hosts=f"{carrier}://[{ipv6[one]}]?sudo=true",
            )
            assert_nothing_red(literal)
            assert [node.host for node in literal.survey.nodes] == [ipv6[one]]


def test_through_a_bastion(apart, tmp_path):
    """es-1 lets through to es-3; what the controller's own route to it would be does not matter."""
    jump = apart.nodes[0]
    config = tmp_path / "ssh_config"
    config.write_text(f"Host es-3 {apart.nodes[2].address}\n    ProxyJump {jump.name}\n{names.SSH_CONFIG.read_text()}")
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(names.INVENTORY.read_text().replace(str(names.SSH_CONFIG), str(config)))
    assert_nothing_red(Ran(tmp_path / "reports", f"--inventory={inventory}"))


@pytest.fixture(scope="module")
def mended(apart):
    """What one test breaks the next one mends; the last is mended here."""
    yield
    with state.lock():
        faults.heal(state.require())


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_what_a_subnet_lacks_is_found_on_its_node_with_its_cause(apart, mended, asked, tmp_path, cell):
    """Without AWS by what the traffic feels; with it the subnet's table or ACL is named, and nothing else goes red."""
    with state.lock():
        broken = state.require()
        placed = matrix.bring_about(broken, cell)
    ran = matrix.run_suite(broken, placed, tmp_path)
    assert {(o.check, o.node) for o in ran.outcomes} == {(id, node.name) for id in checks() for node in apart.nodes}
    judged = matrix.judge(ran, matrix.declared(broken, placed, set(checks())))
    assert judged.misses == (), ran.text

    victim = placed.by_who["victim"]
    told = asked()
    by_aws, cause = AWS_SAYS[cell.row]
    differing = told.differing()
    assert {key: value for key, value in differing.items() if key not in ran.differing() and value != "pass"} == {
        (by_aws, victim.name): "fail"
    }, told.text
    assert {found.id for found in told.diagnosis.causes} == {cause}, told.text
    assert all(found.nodes == (victim.name,) and found.confidence == "certain" for found in told.diagnosis.causes)
    evidence = " ".join(line for found in told.diagnosis.causes for line in found.evidence)
    assert NAMED[cell.row] in evidence, told.text


AWS_SAYS = {
    "route-table-swapped": ("AWS-2", "route-table"),
    "endpoint-not-associated": ("AWS-2", "route-table"),
    "nacl-return-path": ("AWS-1", "port-blocked"),
}
"""The check that AWS's control plane fails, and the cause that is then named."""

NAMED = {
    "route-table-swapped": "has no route to S3",
    "endpoint-not-associated": "has no route to S3",
    "nacl-return-path": "entry 100 of acl-",
}
"""What AWS is quoted for."""

"""Bringing the lab up and taking it down, whole or not at all."""

from __future__ import annotations

import shutil
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import (
    cloud,
    distribution,
    dns,
    elasticsearch,
    host,
    layer,
    names,
    network,
    processes,
    requirements,
    ssh,
    state,
    storage,
)
from .certificates import Authority
from .errors import LabError
from .host import File
from .names import Node
from .progress import say
from .state import Lab


def up(count: int, version: str | None, subnets: int = 1) -> None:
    """Bring up a lab of `count` hosts in that many subnets; version: Elasticsearch's, None without it.

    The same lab already up is said and left alone; another one is refused. A failure or an interruption on the way
    removes what was begun and is raised again.
    """
    if not 1 <= count <= names.MOST_NODES:
        raise LabError(f"--nodes {count}: the lab has room for 1 to {names.MOST_NODES}")
    if not 1 <= subnets <= len(names.SUBNETS):
        raise LabError(f"--subnets {subnets}: the lab's VPC has 1 to {len(names.SUBNETS)}")
    requirements.check(elasticsearch=version is not None)
    with state.lock():
        wanted = Lab(count, version, str(names.CHECKOUT), subnets=subnets)
        present = state.load()
        if present is not None and present.complete:
            _accept(present, wanted)
            return
        if present is not None or names.STATE.exists() or network.namespaces():
            say("removing what an interrupted lab left behind")
            _tear_down()
        network.refuse_conflicts()
        distributed = None if version is None else _fetch(version)
        try:
            _build(wanted, distributed)
        except BaseException as error:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            processes.abort()
            say("interrupted: cleaning up" if isinstance(error, KeyboardInterrupt) else "failed: cleaning up")
            _tear_down()
            raise


def down() -> None:
    """Remove the lab: no namespace, mount, loop device, process, filter table, route or file of it stays."""
    with state.lock():
        if not names.STATE.exists() and not network.namespaces():
            say("no lab is up: nothing to take down")
            return
        _tear_down()
    say("the lab is gone")


class _Distribution:
    """Elasticsearch's zip, the repository plugin's and the JDK both need."""

    def __init__(self, version: str) -> None:
        self.java_home = distribution.java_home_for(version)
        self.zip = distribution.elasticsearch_zip(version)
        self.plugin = distribution.s3_plugin_zip(version, self.java_home)


def _fetch(version: str) -> _Distribution:
    say(f"Elasticsearch {version} and the s3 plugin for it (the first time through Maven: minutes)")
    return _Distribution(version)


def _accept(present: Lab, wanted: Lab) -> None:
    if present.shape != wanted.shape:
        raise LabError(
            f"a lab is already up ({present.describe()}, from {present.checkout}) and there is one at a time: "
            "`python -m lab down` first"
        )
    say(f"already up: {present.describe()}")
    if present.broken:
        faults = ", ".join(f"{fault} on {node}" for fault, node in present.broken)
        say(f"broken on purpose: {faults} (`python -m lab heal` mends it)")


def _build(lab: Lab, distributed: _Distribution | None) -> None:
    for directory in (names.LOGS, names.RUN, names.SSH, names.LAYER, names.NODES, names.CERTIFICATES):
        directory.mkdir(parents=True, exist_ok=True)
    for directory in (names.SECRETS, names.AWS_STATE):
        directory.mkdir(mode=0o700, exist_ok=True)
    lab.save()
    with ThreadPoolExecutor(max_workers=1) as beside:
        unpacking = None if distributed is None else beside.submit(
            layer.unpack, distributed.zip, distributed.plugin, distributed.java_home
        )  # fmt: skip
        say("network, resolver and AWS")
        network.build(names.SUBNETS[: lab.subnets])
        authority = Authority("AWS CA")
        cloud.start_aws(authority, lab.nodes)
        storage.prepare(authority)
        dns.serve(lab.nodes)
        for node in lab.nodes:
            network.attach(node, tuple(other for other in lab.nodes if other != node))
        public_key, servers = ssh.write_client(lab.nodes)
        java_home = None if distributed is None else distributed.java_home
        layer.write_files(public_key, java_home)
        say("the layer that every host has over the machine's own files")
        if unpacking is not None:
            unpacking.result()
        layer.build(authority.certificate, java_home)
    shared = {} if distributed is None else elasticsearch.write_users()
    es_authority = None if distributed is None else Authority("Elasticsearch CA")
    for node in lab.nodes:
        files = {**_identity(node), **servers[node], **shared}
        if es_authority is not None:
            files |= elasticsearch.configuration(node, lab.nodes, es_authority)
        host.seed(node, files)
    cloud.wait_for_aws()
    say(f"booting {', '.join(node.name for node in lab.nodes)}")
    for node in lab.nodes:
        cloud.start_imds(node)
    elasticsearch.everywhere(lab.nodes, host.power_on)
    if distributed is not None:
        say("starting Elasticsearch on all of them (half a minute or so)")
        elasticsearch.first_start(lab.nodes)
        elasticsearch.wait_for_members(lab.nodes)
        say(f"green; registering repository {names.REPOSITORY}")
        elasticsearch.register_repository(lab.nodes)
        elasticsearch.verify(lab.nodes)
    ssh.write_inventory(lab.nodes, elasticsearch=distributed is not None)
    lab.complete = True
    lab.save()
    say(f"up: {lab.describe()}")


def _identity(node: Node) -> dict[str, File]:
    hosts = f"127.0.0.1 localhost\n{node.address} {node.fqdn} {node.hostname}\n::1 localhost ip6-localhost\n"
    return {
        "/etc/hostname": File(f"{node.hostname}\n".encode()),
        "/etc/hosts": File(hosts.encode()),
        "/etc/machine-id": File(f"{uuid.uuid4().hex}\n".encode(), mode=0o444),
    }


def _tear_down() -> None:
    """Remove everything in the order in which nothing still holds what comes next; a missing part is no error."""
    for node in names.nodes(names.MOST_NODES):
        host.cut_power(node)
    for file in sorted(names.RUN.glob("*.pid")):
        processes.stop(file.stem)
    # Mount namespaces that have just ended let go of the layer a moment later.
    if not processes.wait_until(_unmounted, 10, every=0.2):
        raise LabError(f"{layer.MOUNT} is still in use: `python -m lab down` again")
    network.tear_down()
    if names.STATE.exists():
        shutil.rmtree(names.STATE)
    names.INVENTORY.unlink(missing_ok=True)
    _forget_empty_netns()


def _unmounted() -> bool:
    try:
        layer.unmount()
    except LabError:
        return False
    return True


def _forget_empty_netns() -> None:
    """`ip netns add` mounts its directory on itself the first time; without a namespace in it nobody needs that.

    A file system of its own that somebody mounted there is left, and so is the directory: removing one that is mounted
    on in another mount namespace takes that mount, and every network namespace named in it, away over there.
    """
    directory = Path("/run/netns")
    if not directory.is_dir() or any(directory.iterdir()):
        return
    # Fields 4 and 5 of a line: the directory of its file system that is mounted, and where.
    fields = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    mounted = [field[3] for field in fields if field[4] == str(directory)]
    if "/" in mounted:
        return
    for _ in mounted:
        processes.run(["umount", directory])
    directory.rmdir()

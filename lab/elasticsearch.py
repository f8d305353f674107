"""Elasticsearch on the lab's hosts: its configuration, its start, its API as the lab's own superuser."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bcrypt
import yaml

from . import names
from .certificates import Authority
from .errors import LabError
from .host import File, execute, is_on
from .names import Node
from .state import Lab

GREEN_SECONDS = 180.0
KEYSTORE = "/usr/share/elasticsearch/bin/elasticsearch-keystore"
KEYSTORE_FILE = "/etc/elasticsearch/elasticsearch.keystore"
CERTS = "/etc/elasticsearch/certs"
HTTP_CA = names.CERTIFICATES / "elasticsearch-ca.crt"

ANY_TIME = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME: the lab goes on speaking to a node whose certificate it has let expire."""

JVM_OPTIONS = """\
-Xms512m
-Xmx512m
# Two cores start three nodes at once: the optimising compiler would compete with the start it is to speed up.
-XX:TieredStopAtLevel=1
"""


def write_users() -> dict[str, File]:
    """Passwords for the suite's user and the lab's own, and the file realm that knows them."""
    users = []
    for name, path in ((names.PREFLIGHT_USER, names.PREFLIGHT_PASSWORD), (names.ADMIN_USER, names.ADMIN_PASSWORD)):
        password = secrets.token_urlsafe(18)
        path.touch(mode=0o600)
        path.write_text(password + "\n")
        # 2a is the name Elasticsearch knows the same bcrypt by; ten rounds are its default.
        digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(10, prefix=b"2a")).decode()
        users.append(f"{name}:{digest}\n")
    role = json.loads(names.ES_ROLE.read_text())
    texts = {
        "users": "".join(users),
        "users_roles": f"superuser:{names.ADMIN_USER}\n{names.PREFLIGHT_USER}:{names.PREFLIGHT_USER}\n",
        "roles.yml": yaml.safe_dump({names.PREFLIGHT_USER: role}),
    }
    return {f"/etc/elasticsearch/{name}": _configuration(text) for name, text in texts.items()}


def configuration(node: Node, nodes: Sequence[Node], authority: Authority) -> dict[str, File]:
    """The node's own files in /etc/elasticsearch, its certificate included."""
    addresses = [node.address, node.second_address, node.address6, "127.0.0.1"]
    hosts = [node.name, node.hostname, node.fqdn, "localhost", *addresses]
    # HTTP's own, as on clusters that renew the two apart.
    signed = {layer: authority.sign(f"{node.name}-{layer}", hosts) for layer in ("http", "transport")}
    settings: dict[str, Any] = {
        "cluster.name": names.CLUSTER,
        "node.name": node.name,
        "path.data": "/var/lib/elasticsearch",
        "path.logs": "/var/log/elasticsearch",
        "network.host": node.address,
        "discovery.seed_hosts": [peer.address for peer in nodes],
        "cluster.initial_master_nodes": [peer.name for peer in nodes],
        # The machine's vm.max_map_count is not the lab's to change.
        "node.store.allow_mmap": False,
        # How full the machine's disk is says nothing about the cluster.
        "cluster.routing.allocation.disk.threshold_enabled": False,
        "xpack.security.enabled": True,
        "s3.client.default.region": names.REGION,
    }
    for layer in signed:
        settings[f"xpack.security.{layer}.ssl.enabled"] = True
        settings[f"xpack.security.{layer}.ssl.key"] = f"certs/{layer}.key"
        settings[f"xpack.security.{layer}.ssl.certificate"] = f"certs/{layer}.crt"
        settings[f"xpack.security.{layer}.ssl.certificate_authorities"] = "certs/http_ca.crt"
    return {
        "/etc/elasticsearch/elasticsearch.yml": _configuration(yaml.safe_dump(settings, sort_keys=False)),
        "/etc/elasticsearch/jvm.options.d/lab.options": _configuration(JVM_OPTIONS),
        f"{CERTS}/http_ca.crt": _configuration(authority.certificate.read_text()),
        **{
            f"{CERTS}/{layer}.{kind}": _configuration(path.read_text())
            for layer, paths in signed.items()
            for kind, path in zip(("crt", "key"), paths, strict=True)
        },
    }


def first_start(nodes: Sequence[Node]) -> None:
    """Create every node's keystore, as the deb does when it is installed, and start them all at once."""

    def create_and_start(node: Node) -> None:
        execute(node, [KEYSTORE, "create"], timeout=120)
        systemctl(node, "start")

    everywhere(nodes, create_and_start)


def everywhere(nodes: Sequence[Node], act: Callable[[Node], None]) -> None:
    """Do something on several nodes at once. The first failure is raised without waiting for the others to end."""
    pool = ThreadPoolExecutor(max_workers=len(nodes))
    try:
        for done in [pool.submit(act, node) for node in nodes]:
            done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def systemctl(node: Node, verb: str) -> None:
    """start, stop or restart the node's Elasticsearch; returns when that is done.

    Raises LabError with what Elasticsearch said last where it does not start.
    """
    try:
        execute(node, ["systemctl", verb, "elasticsearch"], timeout=GREEN_SECONDS + 60)
    except LabError as error:
        logs = f"/var/log/elasticsearch/stdout.log /var/log/elasticsearch/{names.CLUSTER}.log"
        said = execute(
            node, ["sh", "-c", f"grep -hE 'ERROR|FATAL|Exception|bootstrap check' {logs} | tail -n 5 | cut -c1-300"]
        )
        raise LabError(f"{error} Elasticsearch said: {' / '.join(said.splitlines()) or 'nothing'}") from None


def is_running(node: Node) -> bool:
    if not is_on(node):
        return False
    try:
        execute(node, ["systemctl", "is-active", "elasticsearch"])
    except LabError:
        return False
    return True


def api(node: Node, method: str, path: str, body: object = None, *, timeout: float = 30) -> Any:
    """Ask one node as the lab's superuser; the decoded answer. Raises LabError with Elasticsearch's own reason."""
    login = f"{names.ADMIN_USER}:{names.ADMIN_PASSWORD.read_text().strip()}"
    request = urllib.request.Request(
        f"https://{node.address}:{names.HTTP_PORT}/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
            "Content-Type": "application/json",
        },
    )
    context = ssl.create_default_context(cafile=HTTP_CA)
    context.verify_flags |= ANY_TIME
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        raise LabError(f"{node.name} answers {error.code} to {method} {path}: {_reason(error.read())}") from None
    except (OSError, ValueError) as error:
        raise LabError(f"{node.name} does not answer {method} {path}: {error}") from None


def wait_for_members(nodes: Sequence[Node], seconds: float = GREEN_SECONDS) -> None:
    """Wait until exactly these nodes form a green cluster. Raises LabError with the last thing seen."""
    deadline = time.monotonic() + seconds
    seen = "nobody was asked"
    while nodes:
        try:
            health = api(nodes[0], "GET", "_cluster/health", timeout=5)
            if health["status"] == "green" and health["number_of_nodes"] == len(nodes):
                return
            seen = f"{health['status']} with {health['number_of_nodes']} nodes"
        except LabError as error:
            seen = str(error)
        if time.monotonic() > deadline:
            raise LabError(f"no green cluster of {len(nodes)} nodes within {seconds:.0f} s: {seen}")
        time.sleep(0.3)


def master(nodes: Sequence[Node]) -> Node:
    """The elected master. Raises LabError where no node knows one."""
    seen = "no node is running"
    for node in nodes:
        try:
            state = api(node, "GET", "_cluster/state/master_node,nodes", timeout=5)
        except LabError as error:
            seen = str(error)
            continue
        name = state["nodes"].get(state["master_node"], {}).get("name")
        for candidate in nodes:
            if candidate.name == name:
                return candidate
    raise LabError(f"no elected master: {seen}")


def make_master(node: Node, nodes: Sequence[Node], seconds: float = 60) -> None:
    """Have the cluster elect this node."""
    others = ",".join(other.name for other in nodes if other != node)
    deadline = time.monotonic() + seconds
    while master(nodes) != node:
        api(node, "POST", f"_cluster/voting_config_exclusions?node_names={others}")
        api(node, "DELETE", "_cluster/voting_config_exclusions?wait_for_removal=false")
        if time.monotonic() > deadline:
            raise LabError(f"the cluster does not elect {node.name} within {seconds:.0f} s")
        time.sleep(0.5)


def register_repository(nodes: Sequence[Node], **settings: object) -> None:
    """Register the S3 repository, nobody having to reach it. settings: over those of a healthy one."""
    settings = {"bucket": names.BUCKET, "client": "default", "base_path": names.BASE_PATH, **settings}
    api(nodes[0], "PUT", f"_snapshot/{names.REPOSITORY}?verify=false", {"type": "s3", "settings": settings})


def verify(nodes: Sequence[Node], timeout: float = 180) -> None:
    """Raise LabError unless the repository's verification succeeds and names all these nodes."""
    answer = api(nodes[0], "POST", f"_snapshot/{names.REPOSITORY}/_verify", timeout=timeout)
    verified = {entry["name"] for entry in answer["nodes"].values()}
    missing = [node.name for node in nodes if node.name not in verified]
    if missing:
        raise LabError(f"{names.REPOSITORY} is not verified by {', '.join(missing)}")


def wait_for_repository(nodes: Sequence[Node], seconds: float = 60) -> None:
    """Wait until the repository is verified by all these nodes. Raises LabError with Elasticsearch's last answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return verify(nodes)
        except LabError:
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


def require(lab: Lab) -> None:
    """Raise LabError where the lab has hosts alone."""
    if lab.version is None:
        raise LabError("this lab was brought up without Elasticsearch: `python -m lab down`, then `python -m lab up`")


def _configuration(text: str) -> File:
    return File(text.encode(), group="elasticsearch", mode=0o660)


def _reason(body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        return str(error["reason"] if isinstance(error, dict) else error)
    except (ValueError, KeyError):
        return body[:200].decode(errors="replace")

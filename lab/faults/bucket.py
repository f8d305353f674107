"""What can be wrong with a bucket, or between one node and its bucket: name, clock, policy, certificate."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from .. import elasticsearch, host, names, network
from ..aws_peers import Treatment, treat
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, YML, Expected, Fault, healthy_repository

BUCKET_HOSTS = tuple(
    f"{names.BUCKET}.{service}" for service in (f"s3.{names.REGION}.amazonaws.com", "s3.amazonaws.com")
)
"""The bucket's names: AWS SDK v2 asks for the first, SDK v1 for the second whatever its region."""

NOBODYS_ADDRESS = names.AWS_ADDRESS.rpartition(".")[0] + ".99"
"""In S3's subnet, so that the node's route to it is the right one."""

HOSTS = "/etc/hosts"
PLUGINS = "/usr/share/elasticsearch/plugins"
TRUST_STORE = "/etc/ssl/certs/java/cacerts"

_NO_BUCKET = {"PATH-1": "fail", "REGION-1": "not applicable", "ROLE-3": "not applicable"}


def _write_hosts(lab: Lab, victim: Node) -> None:
    line = f"{NOBODYS_ADDRESS} {' '.join(BUCKET_HOSTS)}\n"
    host.execute(victim, ["sh", "-c", f"cat >>{HOSTS}"], stdin=line)
    network.end_connections(victim, names.AWS_ADDRESS)


def _clear_hosts(lab: Lab, victim: Node) -> None:
    command = f"sed -E '/^#*{NOBODYS_ADDRESS}/d' {HOSTS} >{HOSTS}.new && cat {HOSTS}.new >{HOSTS}"
    host.execute(victim, ["sh", "-c", f"{command}; rm -f {HOSTS}.new {HOSTS}.before-preflight-*"])


def _shift_clock(lab: Lab, victim: Node) -> None:
    treat(names.AWS_STATE, victim.address, Treatment(ahead=1200))


def _deny(lab: Lab, victim: Node) -> None:
    treat(names.AWS_STATE, victim.address, Treatment(denied=True))


def _register_no_bucket(lab: Lab, victim: Node) -> None:
    elasticsearch.register_repository(lab.nodes, bucket=f"{names.BUCKET}-2019")


def _register_read_only(lab: Lab, victim: Node) -> None:
    elasticsearch.register_repository(lab.nodes, readonly=True)


def _lose_authority(lab: Lab, victim: Node) -> None:
    # What an upgrade does that brings a JDK of its own: the machine's trust store knows nothing of the lab's authority.
    host.execute(victim, ["cp", "-p", TRUST_STORE, f"{TRUST_STORE}.aside"])
    bare = base64.b64encode(Path(TRUST_STORE).read_bytes()).decode()
    host.execute(victim, ["sh", "-c", f"base64 -d >{TRUST_STORE}"], stdin=bare)


def _restore_authority(lab: Lab, victim: Node) -> None:
    back = f"if [ -e {TRUST_STORE}.aside ]; then mv {TRUST_STORE}.aside {TRUST_STORE}; fi"
    host.execute(victim, ["sh", "-c", back])


def _lose_plugin(lab: Lab, victim: Node) -> None:
    # Without the plugin its settings are unknown ones, which Elasticsearch does not start with.
    host.execute(victim, ["sh", "-c", f"mv {PLUGINS} {PLUGINS}.aside; mkdir -m 755 {PLUGINS}"])
    host.execute(victim, ["sed", "--in-place=.aside", r"/^s3\.client\./d", YML])


def _restore_plugin(lab: Lab, victim: Node) -> None:
    for path in (PLUGINS, YML):
        host.execute(victim, ["sh", "-c", f"if [ -e {path}.aside ]; then rm -r {path}; mv {path}.aside {path}; fi"])


def _treat_alike(lab: Lab, victim: Node) -> None:
    treat(names.AWS_STATE, victim.address, Treatment())


FAULTS: Mapping[str, Fault] = {
    "dns-wrong": Fault(
        "a line of the node's /etc/hosts gives the bucket's name an address where nobody is",
        _write_hosts,
        _clear_hosts,
        Expected(
            "dns-wrong",
            {("PATH-1", "victim"): "fail", ("ROLE-3", "victim"): "not applicable", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        needs_elasticsearch=False,
        # The JVM goes on with the address that it was told before, for as long as its cache lasts.
        restart_to_break=True,
        restart_to_heal=True,
    ),
    "clock-skew": Fault(
        "S3's clock is 20 minutes ahead of the node's",
        _shift_clock,
        _treat_alike,
        Expected("clock-skew", {("PATH-2", "victim"): "fail"}),
        needs_elasticsearch=False,
    ),
    "bucket-missing": Fault(
        "the repository names a bucket that does not exist",
        _register_no_bucket,
        healthy_repository,
        Expected(
            "bucket-missing",
            {
                **{(check, who): said for check, said in _NO_BUCKET.items() for who in ("victim", "others")},
                ("REPO-1", "victim"): "fail",
                ("REPO-1", "others"): "could not check",
            },
        ),
        everywhere=True,
    ),
    "repository-plugin-missing": Fault(
        "the node's Elasticsearch lacks the plugin that knows repositories of type s3, and the settings that it reads",
        _lose_plugin,
        _restore_plugin,
        Expected(
            "repository-plugin-missing",
            {("CLUSTER-3", "victim"): "warning", ("REGION-2", "victim"): "warning", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        on_sdk_v1=Expected(
            "repository-plugin-missing",
            {("CLUSTER-3", "victim"): "warning", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        restart_to_break=True,
        restart_to_heal=True,
    ),
    "bucket-policy-denies-one-node": Fault(
        "a policy of the bucket denies the node's address what its role may do",
        _deny,
        _treat_alike,
        Expected(
            "policy-denies-node",
            {("ROLE-3", "victim"): "fail", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        needs_elasticsearch=False,
    ),
    "repository-readonly": Fault(
        "the repository is registered as read-only",
        _register_read_only,
        healthy_repository,
        Expected(None, {}),
        everywhere=True,
    ),
    "s3-tls-untrusted": Fault(
        "the JVM's trust store on the node lacks the authority that signs S3's certificate",
        _lose_authority,
        _restore_authority,
        Expected(
            "tls-untrusted",
            {("PATH-1", "victim"): "fail", ("ROLE-3", "victim"): "not applicable", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        restart_to_break=True,
        restart_to_heal=True,
    ),
}

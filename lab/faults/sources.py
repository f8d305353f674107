"""Static keys from outside the keystore: environment, -D options, elasticsearch.yml."""

from __future__ import annotations

from collections.abc import Mapping

from .. import cloud, host
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, YML, Expected, Fault, restart

DEFAULT_FILE = "/etc/default/elasticsearch"
KEY_OPTIONS = "/etc/elasticsearch/jvm.options.d/aws.options"


def _append(victim: Node, path: str, text: str) -> None:
    """Add lines to a file of Elasticsearch's, its own group's as all of them are; a secret only over standard input."""
    command = f"umask 007; cat >>{path} && chgrp elasticsearch {path}"
    host.execute(victim, ["sh", "-c", command], stdin=text)


def _drop_lines(victim: Node, path: str, pattern: str) -> None:
    """Take lines out of a file, commented out by the printed fix or not, with the copy that the fix has left."""
    command = f"sed -i -E '/^#*({pattern})/d' {path}; rm -f {path}.before-preflight-*"
    host.execute(victim, ["sh", "-c", command])


def _write_key_variables(lab: Lab, victim: Node) -> None:
    pair = cloud.stale_key()
    values = f"AWS_ACCESS_KEY_ID={pair['access_key']}\nAWS_SECRET_ACCESS_KEY={pair['secret_key']}\n"
    _append(victim, DEFAULT_FILE, values)


def _remove_key_variables(lab: Lab, victim: Node) -> None:
    _drop_lines(victim, DEFAULT_FILE, "AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)=")


def _load_key_variables(lab: Lab, victim: Node) -> None:
    _write_key_variables(lab, victim)
    restart(lab, victim)


def _unload_key_variables(lab: Lab, victim: Node) -> None:
    _remove_key_variables(lab, victim)
    restart(lab, victim)


def _load_key_options(lab: Lab, victim: Node) -> None:
    pair = cloud.stale_key()
    values = f"-Daws.accessKeyId={pair['access_key']}\n-Daws.secretAccessKey={pair['secret_key']}\n"
    _append(victim, KEY_OPTIONS, values)
    restart(lab, victim)


def _unload_key_options(lab: Lab, victim: Node) -> None:
    host.execute(victim, ["sh", "-c", f"rm -f {KEY_OPTIONS} {KEY_OPTIONS}.before-preflight-*"])
    restart(lab, victim)


def _write_bare_keys(lab: Lab, victim: Node) -> None:
    pair = cloud.stale_key()
    # Not restarted: the lab's plugin does not register the two, as the real module does.
    host.execute(victim, ["cp", "-p", YML, f"{YML}.aside"])
    _append(victim, YML, f"access_key: {pair['access_key']}\nsecret_key: {pair['secret_key']}\n")


def _remove_bare_keys(lab: Lab, victim: Node) -> None:
    # The very file, its time too: a change since the start is a finding of its own.
    host.execute(
        victim, ["sh", "-c", f"rm -f {YML}.before-preflight-*; if [ -e {YML}.aside ]; then mv {YML}.aside {YML}; fi"]
    )


FAULTS: Mapping[str, Fault] = {
    "env-keys": Fault(
        "a deleted access key in the environment of the node's Elasticsearch, from /etc/default/elasticsearch",
        _load_key_variables,
        _unload_key_variables,
        Expected(
            "static-keys-in-environment",
            {("SRC-1", "victim"): "fail", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        on_sdk_v1=Expected("static-keys-ignored", {("SRC-2", "victim"): "warning"}),
        restarts=True,
    ),
    "jvm-option-keys": Fault(
        "a deleted access key in -D options of the node's Elasticsearch, from jvm.options.d",
        _load_key_options,
        _unload_key_options,
        Expected(
            "static-keys-in-environment",
            {("SRC-1", "victim"): "fail", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        on_sdk_v1=Expected("static-keys-ignored", {("SRC-2", "victim"): "warning"}),
        restarts=True,
    ),
    "default-file-keys": Fault(
        "a deleted access key in /etc/default/elasticsearch, not loaded yet",
        _write_key_variables,
        _remove_key_variables,
        Expected("static-keys-on-disk", {("SRC-1", "victim"): "fail"}),
        on_sdk_v1=Expected("static-keys-ignored", {("SRC-2", "victim"): "warning"}),
    ),
    "yml-bare-keys": Fault(
        "access_key and secret_key at the top of the node's elasticsearch.yml, where nothing reads them",
        _write_bare_keys,
        _remove_bare_keys,
        Expected(
            "static-keys-ignored",
            {("SRC-2", "victim"): "warning", ("RESTART-1", "victim"): "warning"},
            # Written, and not started with since: worth a look by itself, whatever was written.
            besides=("changed-since-start",),
        ),
    ),
}

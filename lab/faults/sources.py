"""Static keys from outside the keystore: environment, -D options, elasticsearch.yml."""

from __future__ import annotations

from collections.abc import Mapping

from .. import cloud, host
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, YML, Expected, Fault

DEFAULT_FILE = "/etc/default/elasticsearch"
KEY_OPTIONS = "/etc/elasticsearch/jvm.options.d/aws.options"


def append(victim: Node, path: str, text: str) -> None:
    """Add lines to a file of Elasticsearch's, its own group's as all of them are; a secret only over standard input."""
    command = f"umask 007; cat >>{path} && chgrp elasticsearch {path}"
    host.execute(victim, ["sh", "-c", command], stdin=text)


def _set_aside(victim: Node, path: str) -> None:
    host.execute(victim, ["cp", "-p", path, f"{path}.aside"])


def _put_back(victim: Node, path: str) -> None:
    """The very file, its time too: a change since the start is a finding of its own."""
    command = f"rm -f {path}.before-preflight-*; if [ -e {path}.aside ]; then mv {path}.aside {path}; fi"
    host.execute(victim, ["sh", "-c", command])


def drop_lines(victim: Node, path: str, pattern: str) -> None:
    """Take lines out of a file, commented out by the printed fix or not, with the copy that the fix has left."""
    command = f"sed -i -E '/^#*({pattern})/d' {path}; rm -f {path}.before-preflight-*"
    host.execute(victim, ["sh", "-c", command])


def _write_key_variables(lab: Lab, victim: Node) -> None:
    pair = cloud.stale_key()
    values = f"AWS_ACCESS_KEY_ID={pair['access_key']}\nAWS_SECRET_ACCESS_KEY={pair['secret_key']}\n"
    append(victim, DEFAULT_FILE, values)


def _remove_key_variables(lab: Lab, victim: Node) -> None:
    drop_lines(victim, DEFAULT_FILE, "AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)=")


def _leave_key_variables(lab: Lab, victim: Node) -> None:
    _set_aside(victim, DEFAULT_FILE)
    _write_key_variables(lab, victim)


def _take_key_variables(lab: Lab, victim: Node) -> None:
    _put_back(victim, DEFAULT_FILE)


def _load_key_options(lab: Lab, victim: Node) -> None:
    pair = cloud.stale_key()
    values = f"-Daws.accessKeyId={pair['access_key']}\n-Daws.secretAccessKey={pair['secret_key']}\n"
    append(victim, KEY_OPTIONS, values)


def _unload_key_options(lab: Lab, victim: Node) -> None:
    host.execute(victim, ["sh", "-c", f"rm -f {KEY_OPTIONS} {KEY_OPTIONS}.before-preflight-*"])


def _write_bare_keys(lab: Lab, victim: Node) -> None:
    pair = cloud.stale_key()
    # Not restarted: the lab's plugin does not register the two, as the real module does.
    _set_aside(victim, YML)
    append(victim, YML, f"access_key: {pair['access_key']}\nsecret_key: {pair['secret_key']}\n")


def _remove_bare_keys(lab: Lab, victim: Node) -> None:
    _put_back(victim, YML)


_LOADED = Expected(
    "static-keys-in-environment",
    {("SRC-1", "victim"): "fail", ("REPO-1", "victim"): "fail"},
    on_master=STOPS_AT_MASTER,
)
_IGNORED = Expected("static-keys-ignored", {("SRC-2", "victim"): "warning"})

FAULTS: Mapping[str, Fault] = {
    "env-keys": Fault(
        "a deleted access key in the environment of the node's Elasticsearch, from /etc/default/elasticsearch",
        _write_key_variables,
        _remove_key_variables,
        _LOADED,
        on_sdk_v1=_IGNORED,
        restart_to_break=True,
        restart_to_heal=True,
    ),
    "jvm-option-keys": Fault(
        "a deleted access key in -D options of the node's Elasticsearch, from jvm.options.d",
        _load_key_options,
        _unload_key_options,
        _LOADED,
        on_sdk_v1=_IGNORED,
        restart_to_break=True,
        restart_to_heal=True,
    ),
    "default-file-keys": Fault(
        "a deleted access key in /etc/default/elasticsearch, not loaded yet",
        _leave_key_variables,
        _take_key_variables,
        Expected("static-keys-on-disk", {("SRC-1", "victim"): "fail", ("RESTART-1", "victim"): "fail"}),
        on_sdk_v1=Expected(
            "static-keys-ignored",
            {("SRC-2", "victim"): "warning", ("RESTART-1", "victim"): "warning"},
            besides=("changed-since-start",),
        ),
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

"""What can be wrong with a keystore: its keys, and the file itself."""

from __future__ import annotations

from collections.abc import Mapping

from .. import cloud, elasticsearch, host
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, Expected, Fault

STALE_SETTINGS = ("s3.client.default.access_key", "s3.client.default.secret_key")
SESSION_TOKEN = "s3.client.default.session_token"  # noqa: S105 - a setting's name
HEALTHY = "/root/keystore.healthy"
"""Where a fault keeps the keystore as it was: nothing of the suite looks there."""

ASIDE = f"{elasticsearch.KEYSTORE_FILE}.aside"
PASSWORD = "a keystore's own password"  # noqa: S105 - the lab's, and no secret

_HALF = {("KEY-1", "victim"): "fail", ("KEY-3", "victim"): "fail", ("RESTART-1", "victim"): "fail"}
_CLOSED = {("KEY-5", "victim"): "fail", ("RESTART-1", "victim"): "fail"}


def _add(victim: Node, *settings: str, pair: Mapping[str, str] | None = None) -> None:
    """Write settings into the file; the running process does not notice. pair: the stale one where none is given."""
    pair = pair or cloud.stale_key()
    values = {
        STALE_SETTINGS[0]: pair["access_key"],
        STALE_SETTINGS[1]: pair["secret_key"],
        SESSION_TOKEN: "a token that belongs to no key",
    }
    lines = "".join(f"{values[setting]}\n" for setting in settings)
    host.execute(victim, ["sh", "-c", f"[ -e {HEALTHY} ] || cp -p {elasticsearch.KEYSTORE_FILE} {HEALTHY}"])
    host.execute(victim, [elasticsearch.KEYSTORE, "add", "--stdin", "--force", *settings], stdin=lines)


def _restore(victim: Node) -> None:
    """Put the file back as it was before the fault, whatever was added or mended since; nothing is loaded by that."""
    file = elasticsearch.KEYSTORE_FILE
    back = f"if [ -e {HEALTHY} ]; then cp {HEALTHY} {file} && rm {HEALTHY}; fi"
    host.execute(victim, ["sh", "-c", f"{back}; rm -f {file}.before-preflight-*"])


def _reload(victim: Node) -> None:
    if elasticsearch.is_running(victim):
        elasticsearch.api(victim, "POST", "_nodes/_local/reload_secure_settings", timeout=60)


def _load_and_remove(lab: Lab, victim: Node) -> None:
    put_pair_on_disk(lab, victim)
    _reload(victim)
    _restore(victim)


def put_pair_on_disk(lab: Lab, victim: Node) -> None:
    _add(victim, *STALE_SETTINGS)


def _put_half_on_disk(lab: Lab, victim: Node) -> None:
    _add(victim, STALE_SETTINGS[0])


def _put_token_on_disk(lab: Lab, victim: Node) -> None:
    _add(victim, SESSION_TOKEN)


def restore_and_reload(lab: Lab, victim: Node) -> None:
    _restore(victim)
    _reload(victim)


def _put_current_pair_on_disk(lab: Lab, victim: Node) -> None:
    _add(victim, *STALE_SETTINGS, pair=cloud.current_key())


def _set_password(lab: Lab, victim: Node) -> None:
    host.execute(victim, [elasticsearch.KEYSTORE, "passwd"], stdin=f"{PASSWORD}\n{PASSWORD}\n")


def _drop_password(lab: Lab, victim: Node) -> None:
    host.execute(victim, [elasticsearch.KEYSTORE, "passwd"], stdin=f"{PASSWORD}\n\n\n")


def _close_keystore(lab: Lab, victim: Node) -> None:
    file = elasticsearch.KEYSTORE_FILE
    host.execute(victim, ["sh", "-c", f"chown root:root {file} && chmod 600 {file}"])


def _take_keystore(lab: Lab, victim: Node) -> None:
    host.execute(victim, ["mv", elasticsearch.KEYSTORE_FILE, ASIDE])


def _restore_keystore(lab: Lab, victim: Node) -> None:
    # What was taken aside holds more than an empty one that a printed fix may have made since.
    file = elasticsearch.KEYSTORE_FILE
    back = f"if [ -e {ASIDE} ]; then mv -f {ASIDE} {file}; fi"
    host.execute(victim, ["sh", "-c", f"{back}; chown root:elasticsearch {file} && chmod 660 {file}"])


FAULTS: Mapping[str, Fault] = {
    "stale-keystore": Fault(
        "a deleted access key in the node's keystore, loaded",
        put_pair_on_disk,
        restore_and_reload,
        Expected(
            "stale-static-keys", {("KEY-1", "victim"): "fail", ("REPO-1", "victim"): "fail"}, on_master=STOPS_AT_MASTER
        ),
        restart_to_break=True,
    ),
    "stale-in-memory": Fault(
        "a deleted access key, loaded, then removed from the keystore without a reload",
        _load_and_remove,
        restore_and_reload,
        Expected("stale-keys-loaded", {("REPO-1", "victim"): "fail"}, on_master=STOPS_AT_MASTER),
    ),
    "stale-on-disk": Fault(
        "a deleted access key in the node's keystore, not loaded yet",
        put_pair_on_disk,
        restore_and_reload,
        Expected("static-keys-waiting", {("KEY-1", "victim"): "fail", ("RESTART-1", "victim"): "fail"}),
    ),
    "keystore-half": Fault(
        "an access key without its secret in the node's keystore, not loaded",
        _put_half_on_disk,
        restore_and_reload,
        Expected("keystore-half", _HALF),
    ),
    "lone-session-token": Fault(
        "a session token without its key in the node's keystore, not loaded",
        _put_token_on_disk,
        restore_and_reload,
        Expected("keystore-half", _HALF),
    ),
    "keystore-current-key": Fault(
        "an access key that IAM knows in the node's keystore, loaded",
        _put_current_pair_on_disk,
        restore_and_reload,
        Expected("static-keys-present", {("KEY-1", "victim"): "warning"}),
        restart_to_break=True,
    ),
    "keystore-password": Fault(
        "the node's keystore has a password that neither the suite nor the node's service is given",
        _set_password,
        _drop_password,
        Expected(
            "keystore-password",
            {
                **{(f"KEY-{number}", "victim"): "could not check" for number in (1, 2, 3, 4, 5, 6)},
                ("RESTART-1", "victim"): "fail",
            },
        ),
    ),
    "keystore-unreadable": Fault(
        "the keystore is root's alone; the process that runs has read it",
        _close_keystore,
        _restore_keystore,
        Expected("keystore-file", _CLOSED),
    ),
    "keystore-missing": Fault(
        "the keystore is moved aside; the process that runs has read it",
        _take_keystore,
        _restore_keystore,
        Expected("keystore-file", _CLOSED),
    ),
}

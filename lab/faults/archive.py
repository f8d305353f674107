"""What can be wrong with the keys of a second S3 client, one that goes to a service that is not AWS.

Breaking brings that service and the client up first, mending takes both away again: every node restarts for each.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import elasticsearch, host, storage
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, Expected, Fault

UNKNOWN = {"access_key": "ARCHIVE0ROTATED0OUT", "secret_key": "the secret of a key that the service does not know"}


def _lose_keys(lab: Lab, victim: Node) -> None:
    storage.attach(lab)
    host.execute(victim, [elasticsearch.KEYSTORE, "remove", *storage.KEYS], timeout=180)
    _reload(victim)


def _keep_old_keys(lab: Lab, victim: Node) -> None:
    storage.attach(lab)
    storage.put_keys(victim, UNKNOWN)
    _reload(victim)


def _reload(victim: Node) -> None:
    elasticsearch.api(victim, "POST", "_nodes/_local/reload_secure_settings", timeout=60)


def _detach(lab: Lab, victim: Node) -> None:
    storage.detach(lab)


FAULTS: Mapping[str, Fault] = {
    "keystore-other-client": Fault(
        "a second S3 client that goes to a service other than AWS; its keys are in every keystore but the node's",
        _lose_keys,
        _detach,
        Expected(
            "keystore-differs",
            {("KEY-4", "victim"): "fail", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        needs_peers=True,
        restarts=True,
    ),
    "keystore-other-client-stale": Fault(
        "a second S3 client that goes to a service other than AWS, which does not know the key the node has for it",
        _keep_old_keys,
        _detach,
        Expected(
            "keys-differ",
            {("KEY-6", "victim"): "fail", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        needs_peers=True,
        restarts=True,
    ),
}

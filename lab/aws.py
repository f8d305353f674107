"""The lab's AWS: S3, IAM, STS and EC2 by moto under AWS's own names, authentication enforced.

    python -m lab.aws --listen 198.18.1.10 --certificate FILE --key FILE --state DIR --instances es-1=i-0e5...,es-2=...

One process. DIR/aws.json appears when everything is set up, and says what exists. DIR/credentials/ holds what
each instance's metadata service hands out for a role, renewed long before it expires. Both are for root alone (0600).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import aws_sessions, aws_ssm, ec2, host, names, simulation
from .aws_front import GLOBAL_REGION, Front
from .aws_peers import treatment
from .aws_server import Server
from .aws_signature import verify_every_signed_header
from .errors import LabError
from .files import write_secret

DNS_ZONE = "amazonaws.com"
"""Every name in and below this zone resolves to this process's address inside the lab."""

CERTIFICATE_NAMES = (
    *(
        f"{wild}s3.{region}amazonaws.com"
        for wild in ("", "*.")
        for region in (f"{names.REGION}.", f"{GLOBAL_REGION}.", "")
    ),
    *(f"{service}.{names.REGION}.amazonaws.com" for service in ("sts", "ec2")),
    "sts.amazonaws.com",
    "ec2.amazonaws.com",
    "iam.amazonaws.com",
)
"""What the certificate must name: the region's endpoints, and those that SDKs fall back to without a region."""

SESSION_SECONDS = 6 * 3600
RENEWAL_SECONDS = 3600
"""AWS renews an instance's credentials hours before they expire, so that a node never holds nearly expired ones."""

_BUCKETS = [f"arn:aws:s3:::{bucket}" for bucket in (names.BUCKET, names.OTHER_BUCKET)]

NODE_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "s3:ListBucket",
                "s3:GetBucketLocation",
                "s3:ListBucketMultipartUploads",
                "s3:ListBucketVersions",
                # For moto: the first is no permission of AWS's, the second it checks for DeleteObjects on the bucket.
                "s3:HeadBucket",
                "s3:DeleteObject",
            ],
            "Resource": _BUCKETS,
        },
        {
            "Effect": "Allow",
            "Action": [
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ],
            "Resource": [f"{bucket}/*" for bucket in _BUCKETS],
        },
    ],
}
"""The permissions Elastic's documentation asks for, and moto's two extras."""

ROLES = (names.ROLE, names.OTHER_ROLE, names.BARE_ROLE)

_TRUST_EC2 = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
_ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. The ready file of an earlier run is removed first."""
    options = _options(arguments)
    ready: Path = options.state / "aws.json"
    ready.unlink(missing_ok=True)
    for directory in (options.state, options.state / "credentials"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    nodes = {options.instances[n.name]: n for n in names.nodes(names.MOST_NODES) if n.name in options.instances}
    gateway = aws_sessions.Gateway(
        (options.listen, 0),
        lambda instance: instance in nodes and host.is_on(nodes[instance]),
        lambda instance, address, port: host.connect(nodes[instance], address, port, aws_sessions.DIAL_SECONDS),
    )
    front = Front(
        _moto(nodes, gateway),
        _bucket_region,
        _caller,
        lambda peer: treatment(options.state, peer),
        _no_longer_good.__contains__,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    try:
        https = Server((options.listen, options.https_port), front, context)
        http = Server((options.listen, options.http_port), front)
    except OSError as error:
        print(f"AWS cannot listen on {options.listen}: {error}", file=sys.stderr)
        return 1
    for server in (https, http, gateway):
        threading.Thread(target=server.serve_forever, daemon=True).start()

    endpoint = f"http://{options.listen}:{http.server_address[1]}"
    record = _set_up(endpoint, options.instances, options.subnets)
    _renew(options)
    _enforce(front)
    record["endpoints"] = {"https": f"https://{options.listen}:{https.server_address[1]}", "http": endpoint}
    ec2.write_profile(options.state / "config", record["operator_key"], endpoint)
    write_secret(ready, json.dumps(record, indent=1))
    print(f"AWS answers on {options.listen}", file=sys.stderr, flush=True)

    while not stop.wait(RENEWAL_SECONDS):
        _renew(options)
    return 0


def instances(text: str) -> dict[str, str]:
    """{"es-1": "i-0abc"} of "es-1=i-0abc,..."; raises LabError for anything else."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if any(not name or not instance_id.startswith("i-") for name, _, instance_id in pairs):
        raise LabError(f"--instances {text!r}: give NODE=INSTANCE-ID pairs with commas, as in es-1=i-0abc,es-2=i-0def")
    return {name: instance_id for name, _, instance_id in pairs}


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.aws", description=__doc__, add_help=True)
    parser.add_argument("--listen", default=names.AWS_ADDRESS, help="address (default %(default)s)")
    parser.add_argument("--https-port", type=int, default=443, help="default %(default)s; 0 takes a free one")
    parser.add_argument("--http-port", type=int, default=80, help="default %(default)s; 0 takes a free one")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM chain for CERTIFICATE_NAMES")
    parser.add_argument("--key", type=Path, required=True, help="its private key")
    parser.add_argument("--state", type=Path, required=True, help="directory for aws.json and credentials/")
    parser.add_argument("--instances", default="", help="NODE=INSTANCE-ID,... to keep role credentials for")
    parser.add_argument("--subnets", type=int, default=1, help="of the instances' VPC (default %(default)s)")
    options = parser.parse_args(arguments)
    try:
        options.instances = instances(options.instances)
    except LabError as error:
        parser.error(str(error))
    return options


def _moto(nodes: Mapping[str, names.Node], gateway: aws_sessions.Gateway) -> Any:
    """nodes: by their instance ids"""
    # Seconds of imports, which whoever only wants the constants above should not pay.
    # Hundreds of machine images that nobody starts.
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    verify_every_signed_header()
    simulation.install()
    aws_ssm.install(
        lambda: {instance: host.is_on(node) for instance, node in nodes.items()},
        lambda instance, command: host.enter(nodes[instance], command),
    )
    aws_sessions.install(gateway)
    return DomainDispatcherApplication(create_backend_app)


def _bucket_region(bucket: str) -> str | None:
    from moto.s3.models import s3_backends

    found = s3_backends[names.ACCOUNT]["aws"].buckets.get(bucket)
    return None if found is None else str(found.region_name)


def _caller(key: str) -> str | None:
    from moto.sts.models import sts_backends

    found = sts_backends[names.ACCOUNT]["aws"].get_assumed_role_from_access_key(key)
    return None if found is None else str(found.arn)


def _enforce(front: Front) -> None:
    from moto import settings
    from moto.core.authorization import ActionAuthenticatorMixin

    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    ActionAuthenticatorMixin.request_count = 0
    front.enforcing.set()


def _set_up(endpoint: str, instances: dict[str, str], subnets: int) -> dict[str, Any]:
    """Create what exists at start, through the API as an administrator would, and return the record of it."""
    import boto3
    from botocore.config import Config

    session = boto3.Session("AKIASETUP", "unchecked before enforcement", region_name=names.REGION)
    config = Config(proxies={}, s3={"addressing_style": "path"})
    iam = session.client("iam", endpoint_url=endpoint, config=config)
    s3 = session.client("s3", endpoint_url=endpoint, config=config)

    s3.create_bucket(Bucket=names.BUCKET, CreateBucketConfiguration={"LocationConstraint": names.REGION})
    elsewhere = session.client("s3", endpoint_url=endpoint, config=config, region_name=names.OTHER_REGION)
    elsewhere.create_bucket(Bucket=names.OTHER_BUCKET)

    for role in ROLES:
        trust = json.dumps(_TRUST_EC2)
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust, MaxSessionDuration=SESSION_SECONDS)
        if role != names.BARE_ROLE:
            iam.put_role_policy(RoleName=role, PolicyName="snapshots", PolicyDocument=json.dumps(NODE_POLICY))
        iam.create_instance_profile(InstanceProfileName=role)
        iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)

    iam.create_user(UserName="es-snapshots-2019")
    iam.put_user_policy(UserName="es-snapshots-2019", PolicyName="snapshots", PolicyDocument=json.dumps(NODE_POLICY))
    stale = iam.create_access_key(UserName="es-snapshots-2019")["AccessKey"]
    iam.delete_access_key(UserName="es-snapshots-2019", AccessKeyId=stale["AccessKeyId"])
    current = iam.create_access_key(UserName="es-snapshots-2019")["AccessKey"]

    iam.create_user(UserName="lab-admin")
    iam.put_user_policy(UserName="lab-admin", PolicyName="all", PolicyDocument=json.dumps(_ALLOW_ALL))
    admin = iam.create_access_key(UserName="lab-admin")["AccessKey"]

    iam.create_user(UserName="lab-operator")
    policy = names.AWS_POLICY.read_text()
    iam.put_user_policy(UserName="lab-operator", PolicyName="preflight", PolicyDocument=policy)
    # moto holds every request but S3's against the resource "*", so that ARNs would deny it, and knows no condition.
    statements = [
        {"Effect": one["Effect"], "Action": one["Action"], "Resource": "*"}
        for one in json.loads(names.SSM_POLICY.read_text())["Statement"]
    ]
    commands = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="lab-operator", PolicyName="preflight-ssm", PolicyDocument=commands)
    operator = iam.create_access_key(UserName="lab-operator")["AccessKey"]

    ec2.draw(session.client("ec2", endpoint_url=endpoint, config=config), instances, subnets)
    # The first request to a service imports it, for up to two seconds: better here than in somebody's deadline.
    session.client("sts", endpoint_url=endpoint, config=config).get_caller_identity()

    return {
        "account": names.ACCOUNT,
        "region": names.REGION,
        "bucket": names.BUCKET,
        "role": names.ROLE,
        "stale_key": _key(stale),
        "current_key": _key(current),
        "admin_key": _key(admin),
        "operator_key": _key(operator),
    }


def _key(created: dict[str, str]) -> dict[str, str]:
    return {"access_key": created["AccessKeyId"], "secret_key": created["SecretAccessKey"]}


EXPIRED = "expired"
"""Stands for a role in the name of the file with credentials that are no longer good."""

_no_longer_good: set[str] = set()


def credentials_file(state: Path, node: str, role: str) -> Path:
    """Where the credentials lie that a node's metadata service hands out for a role."""
    return state / "credentials" / (f"{node}.json" if role == names.ROLE else f"{node}.{role}.json")


def _renew(options: argparse.Namespace) -> None:
    """Fresh credentials of every role for every instance, as EC2 itself obtains them: nobody's key signs for it."""
    now = time.time()
    for node, instance_id in options.instances.items():
        for role in ROLES:
            document = json.dumps(_credentials(role, instance_id, now), indent=2)
            write_secret(credentials_file(options.state, node, role), document)
        late = _credentials(names.ROLE, instance_id, now - SESSION_SECONDS - 600)
        _no_longer_good.add(late["AccessKeyId"])
        write_secret(credentials_file(options.state, node, EXPIRED), json.dumps(late, indent=2))


def _credentials(role: str, instance_id: str, now: float) -> dict[str, str]:
    from moto.sts.models import sts_backends

    assumed = sts_backends[names.ACCOUNT]["aws"].assume_role(
        region_name=names.REGION,
        role_session_name=instance_id,
        role_arn=f"arn:aws:iam::{names.ACCOUNT}:role/{role}",
        policy="",
        duration=SESSION_SECONDS,
        external_id="",
    )
    return {
        "Code": "Success",
        "LastUpdated": _utc(now),
        "Type": "AWS-HMAC",
        "AccessKeyId": assumed.access_key_id,
        "SecretAccessKey": assumed.secret_access_key,
        "Token": assumed.session_token,
        "Expiration": _utc(now + SESSION_SECONDS),
    }


def _utc(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # tearing moto's modules down takes a second or more, and the ports would stay taken

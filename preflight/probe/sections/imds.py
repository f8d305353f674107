"""Section `imds`: the instance metadata service, by IMDSv2 and never through a proxy."""

import json
import time

from .base import REGION, Unseen
from .network import outcome_of

METADATA = ("169.254.169.254", 80)
PATIENCE = 2.0


class Metadata(object):
    """What the instance metadata service said; asked once, kept for signing.

    value: the section; key: (access key id, secret key, session token) of the role, None without one. It never leaves
    this process.
    """

    def __init__(self, deadline):
        self.deadline = deadline
        self.key = None
        self.value = self.ask()

    def ask(self):
        import http.client

        began = time.monotonic()
        value = {"outcome": "answered", "milliseconds": 0.0}
        wire = http.client.HTTPConnection(*METADATA, timeout=self.deadline.left(PATIENCE))
        try:
            value["token_status"], token = self.call(
                wire, "PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
            )
        except (OSError, http.client.HTTPException) as error:
            value["outcome"] = outcome_of(error)
            return value
        finally:
            value["milliseconds"] = round((time.monotonic() - began) * 1000, 1)
        try:
            if value["token_status"] == 200:
                self.describe(wire, {"X-aws-ec2-metadata-token": token}, value)
        except (OSError, http.client.HTTPException) as error:
            # What it did not say is unknown: without its instance id this would read as no EC2 instance.
            raise Unseen(
                "the metadata service handed out a token and then stopped answering (%s)" % outcome_of(error),
                "run again",
            )
        finally:
            wire.close()
        return value

    def describe(self, wire, token, value):
        status, text = self.call(wire, "GET", "dynamic/instance-identity/document", token)
        document = object_in(text) if status == 200 else {}
        for field, key, path in (
            ("instance_id", "instanceId", "instance-id"),
            ("region", "region", "placement/region"),
            ("availability_zone", "availabilityZone", "placement/availability-zone"),
        ):
            answer = document.get(key)
            if not answer:
                status, text = self.call(wire, "GET", "meta-data/" + path, token)
                answer = text.strip() if status == 200 else None
            value[field] = answer if answer and REGION.fullmatch(answer) else None
        value["role_status"], text = self.call(wire, "GET", "meta-data/iam/security-credentials/", token)
        roles = text.split()
        if value["role_status"] == 200 and roles:
            value["role"] = roles[0]
            status, text = self.call(wire, "GET", "meta-data/iam/security-credentials/" + roles[0], token)
            value["credentials"] = self.credentials(status, object_in(text))

    def credentials(self, status, answer):
        code = str(answer.get("Code", "no code")) if status == 200 else "HTTP %d" % status
        parts = tuple(answer.get(name) or "" for name in ("AccessKeyId", "SecretAccessKey", "Token"))
        if code == "Success" and all(parts):
            self.key = parts
        return {"code": code[:64], "key_prefix": parts[0][:4], "expires": moment(answer.get("Expiration"))}

    def call(self, wire, method, path, headers):
        """(status, text) of one request on the kept-alive connection."""
        wire.timeout = self.deadline.left(PATIENCE)
        wire.request(method, "/latest/" + path, headers=headers)
        answer = wire.getresponse()
        return answer.status, answer.read(1 << 16).decode("utf-8", "replace")


def imds(look):
    return look.metadata().value


def object_in(text):
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def moment(text):
    """Seconds since the epoch of "2026-01-31T12:00:00Z", None where it is not written so."""
    import calendar

    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except (TypeError, ValueError):
        return None

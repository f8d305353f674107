"""One lab node's instance metadata service: IMDSv2 with the real one's token rules.

    python -m lab.imds --node es-1 --instance-id i-0e5... --role es-node --state DIR

Runs in the node's network namespace. DIR/imds/NODE.json says which role it names and whether it answers; both files
below DIR are read at every request, so a fault only rewrites them (set_role) and a renewal needs no network from here.
source of status codes and paths: EC2 user guide, "Use the Instance Metadata Service to access instance metadata".
"""

from __future__ import annotations

import argparse
import fcntl
import json
import secrets
import signal
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from . import names
from .aws import EXPIRED, credentials_file
from .files import write_secret

LONGEST_TOKEN_SECONDS = 21600


def set_role(
    state: Path, node: str, role: str | None, enabled: bool = True, *, expired: bool = False, delay: float = 0.0
) -> None:
    """What the node's metadata service names from its next request on.

    role: None as for an instance without a profile; enabled: False as for an instance with its HTTP endpoint off
    expired: hand out credentials that are no longer good; delay: seconds before every answer
    """
    directory = state / "imds"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = {"role": role, "enabled": enabled, "expired": expired, "delay": delay}
    write_secret(directory / f"{node}.json", json.dumps(settings))


@dataclass
class Metadata:
    """What one instance's service knows. tokens: to the time they end."""

    node: str
    instance_id: str
    state: Path
    zone: str = names.SUBNETS[0].zone
    tokens: dict[str, float] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = json.loads((self.state / "imds" / f"{self.node}.json").read_text())
        return settings

    def new_token(self, seconds: int) -> str:
        now = time.monotonic()
        self.tokens = {token: end for token, end in self.tokens.items() if end > now}
        token = secrets.token_urlsafe(40) + "=="
        self.tokens[token] = now + seconds
        return token

    def accepts(self, token: str | None) -> bool:
        return token is not None and self.tokens.get(token, 0.0) > time.monotonic()

    def tree(self, role: str | None, expired: bool) -> dict[str, str]:
        """Every path below /latest to its text; the listing of a directory follows from the paths in it."""
        address, mac = _interface()
        found = {
            "meta-data/ami-id": "ami-0e5a1b2c3d4e5f607",
            "meta-data/instance-id": self.instance_id,
            "meta-data/instance-type": "m6i.large",
            "meta-data/placement/availability-zone": self.zone,
            "meta-data/placement/region": names.REGION,
        }
        if address:
            hostname = f"ip-{address.replace('.', '-')}.{names.DOMAIN}"
            found |= {
                "meta-data/hostname": hostname,
                "meta-data/local-hostname": hostname,
                "meta-data/local-ipv4": address,
                "meta-data/mac": mac,
            }
        document = {
            "accountId": names.ACCOUNT,
            "availabilityZone": self.zone,
            "imageId": found["meta-data/ami-id"],
            "instanceId": self.instance_id,
            "instanceType": found["meta-data/instance-type"],
            "privateIp": address,
            "region": names.REGION,
            "version": "2017-09-30",
        }
        found["dynamic/instance-identity/document"] = json.dumps(document, indent=2)
        if role is not None:
            credentials = credentials_file(self.state, self.node, EXPIRED if expired else role).read_text()
            profile = {
                "Code": "Success",
                "LastUpdated": json.loads(credentials)["LastUpdated"],
                "InstanceProfileArn": f"arn:aws:iam::{names.ACCOUNT}:instance-profile/{role}",
                "InstanceProfileId": "AIPA0E5LABESNODE00001",
            }
            found["meta-data/iam/info"] = json.dumps(profile, indent=2)
            found[f"meta-data/iam/security-credentials/{role}"] = credentials
        return found

    def get(self, path: str, role: str | None, expired: bool = False) -> str | None:
        """The text at a path below /latest, the listing of a directory, None for 404."""
        tree = self.tree(role, expired)
        path = path.strip("/")
        if path in tree:
            return tree[path]
        below = [key[len(path) + 1 :] for key in tree if key.startswith(f"{path}/")]
        entries = sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in below})
        return "\n".join(entries) if entries else None


class Server(ThreadingHTTPServer):
    """One listener on the link-local address of one network namespace."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], metadata: Metadata) -> None:
        self.metadata = metadata
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks the address up in DNS, which waits where there is none.
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60.0
    wbufsize = -1
    server: Server

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        settings = self.server.metadata.settings()
        time.sleep(settings["delay"])
        if not settings["enabled"]:
            self.answer(403, "403 - Forbidden")
        elif self.headers.get("X-Forwarded-For") is not None:
            # A proxy that forwards requests from elsewhere must not be able to obtain a token.
            self.answer(403, "403 - Forbidden")
        elif self.path != "/latest/api/token":
            self.answer(404, "404 - Not Found")
        elif (seconds := self.token_seconds()) is None:
            self.answer(400, "400 - Bad Request")
        else:
            lifetime = {"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": str(seconds)}
            self.answer(200, self.server.metadata.new_token(seconds), lifetime)

    def do_GET(self) -> None:
        metadata = self.server.metadata
        settings = metadata.settings()
        time.sleep(settings["delay"])
        if not settings["enabled"]:
            self.answer(403, "403 - Forbidden")
            return
        if not metadata.accepts(self.headers.get("X-aws-ec2-metadata-token")):
            self.answer(401, "401 - Unauthorized")
            return
        below = self.path.partition("?")[0]
        known = below.startswith("/latest/")
        found = metadata.get(below[len("/latest/") :], settings["role"], settings["expired"]) if known else None
        if found is None:
            self.answer(404, "404 - Not Found")
        else:
            self.answer(200, found)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(405, "405 - Method Not Allowed")

    do_DELETE = do_POST  # noqa: N815

    def token_seconds(self) -> int | None:
        value = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        seconds = int(value) if value.isascii() and value.isdigit() else 0
        return seconds if 1 <= seconds <= LONGEST_TOKEN_SECONDS else None

    def answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "EC2ws"

    def log_message(self, format: str, *args: object) -> None:
        print(format % args, file=sys.stderr, flush=True)


def _interface() -> tuple[str, str]:
    """Address and MAC of the first interface that is not loopback and has an IPv4 address; ("", "") without one."""
    get_flags, get_address, get_mac = 0x8913, 0x8915, 0x8927  # SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFHWADDR
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                flags = struct.unpack("H", fcntl.ioctl(asking, get_flags, request)[16:18])[0]
                address = fcntl.ioctl(asking, get_address, request)[20:24]
                mac = fcntl.ioctl(asking, get_mac, request)[18:24]
            except OSError:
                continue
            if not flags & 0x8:  # IFF_LOOPBACK
                return socket.inet_ntoa(address), mac.hex(":")
    return "", ""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Settings that are already there win over --role: a fault outlives a restart."""
    parser = argparse.ArgumentParser(prog="python -m lab.imds", description=__doc__)
    parser.add_argument("--node", required=True)
    parser.add_argument("--instance-id", required=True)
    parser.add_argument("--zone", default=names.SUBNETS[0].zone, help="availability zone (default %(default)s)")
    parser.add_argument("--role", required=True, help="role named at first, or none")
    parser.add_argument("--state", type=Path, required=True, help="the directory lab.aws keeps")
    parser.add_argument("--listen", default=f"{names.IMDS_ADDRESS}:80", help="ADDRESS:PORT (default %(default)s)")
    options = parser.parse_args(arguments)
    if not (options.state / "imds" / f"{options.node}.json").exists():
        set_role(options.state, options.node, None if options.role == "none" else options.role)
    address, _, port = options.listen.rpartition(":")
    try:
        server = Server((address, int(port)), Metadata(options.node, options.instance_id, options.state, options.zone))
    except OSError as error:
        print(f"the metadata service of {options.node} cannot listen on {options.listen}: {error}", file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

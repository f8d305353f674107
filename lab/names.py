"""Every address, name and path of the lab, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ES_VERSION = "8.19.21"
MOST_NODES = 9
"""One octet's worth of addresses and as much memory as a small machine has."""

REGION = "ap-northeast-2"
ACCOUNT = "123456789012"
BUCKET = "es-snapshots"
OTHER_REGION = "us-east-1"
OTHER_BUCKET = "es-snapshots-virginia"
"""In OTHER_REGION; the nodes' role may use it as it may use BUCKET."""
BASE_PATH = "prod"
REPOSITORY = "s3_backup"
ROLE = "es-node"
OTHER_ROLE = "es-node-b"
"""May do what ROLE may."""
BARE_ROLE = "es-bare"
"""May do nothing with the bucket."""
CLUSTER = "es-lab"

STATE = Path("/var/lib/es-preflight-lab")
"""Everything the lab writes, but for the inventory; `down` removes it whole."""

RECORD = STATE / "lab.json"
LOGS = STATE / "log"
RUN = STATE / "run"
AWS_STATE = STATE / "aws"
STORAGE_STATE = STATE / "storage"
SECRETS = STATE / "secrets"
CERTIFICATES = STATE / "certificates"
LAYER = STATE / "layer"
NODES = STATE / "nodes"

SSH = STATE / "ssh"
SSH_KEY = SSH / "id_ed25519"
SSH_CONFIG = SSH / "ssh_config"
KNOWN_HOSTS = SSH / "known_hosts"
SSH_USER = "admin"

PREFLIGHT_USER = "preflight"
PREFLIGHT_PASSWORD = SECRETS / "preflight.password"
ADMIN_USER = "lab_admin"
ADMIN_PASSWORD = SECRETS / "lab_admin.password"

CHECKOUT = Path(__file__).resolve().parent.parent
INVENTORY = CHECKOUT / "inventories" / "lab.yml"
ES_ROLE = CHECKOUT / "docs" / "es-role.json"
AWS_POLICY = CHECKOUT / "docs" / "aws-policy.json"
PLUGIN = CHECKOUT / "lab" / "bin"
"""Where the stand-in for AWS's session-manager-plugin is."""
SSM_POLICY = CHECKOUT / "docs" / "aws-ssm-policy.json"

WHOLE_NETWORK = "198.18.0.0/15"
"""The range set aside for benchmarking networks (RFC 2544): nobody's real address."""

PREFIX = 24
DNS = "198.18.0.2"
CONTROLLER = "198.18.0.5"
AWS_SUBNET = "198.18.1.0/24"
AWS_GATEWAY = "198.18.1.1"
AWS_ADDRESS = "198.18.1.10"
STORAGE_ADDRESS = "198.18.1.20"
STORAGE_HOST = "s3.storage.lab"
STORAGE_PORT = 8333
IMDS_ADDRESS = "169.254.169.254"

DOMAIN = f"{REGION}.compute.internal"

OLD_TABLE = 99
"""The router's routing table that no subnet uses: it knows the subnets and no way to S3."""

ROUTER_NAMESPACE = "eslab-router"
AWS_NAMESPACE = "eslab-aws"
CONTROLLER_DEVICE = "eslab0"
NFT_TABLE = "es_preflight_lab"

HTTP_PORT = 9200
TRANSPORT_PORT = 9300


class Subnet(NamedTuple):
    """One of the nodes' subnets. number: 0 for the first, where resolver and controller are too."""

    number: int

    @property
    def third(self) -> int:
        """Third octet of its addresses; 1 is AWS's."""
        return self.number + 1 if self.number else 0

    @property
    def cidr(self) -> str:
        return f"198.18.{self.third}.0/{PREFIX}"

    @property
    def gateway(self) -> str:
        return f"198.18.{self.third}.1"

    @property
    def dead_gateway(self) -> str:
        """An address that nobody has."""
        return f"198.18.{self.third}.254"

    @property
    def bridge(self) -> str:
        return f"br{self.number}"

    @property
    def bridge_mac(self) -> str:
        return f"06:00:c6:12:{self.third:02x}:01"

    @property
    def table(self) -> int:
        """The router's routing table for what comes from this subnet."""
        return 100 + self.number

    @property
    def zone(self) -> str:
        """Its availability zone."""
        return REGION + "abc"[self.number]


SUBNETS = tuple(Subnet(number) for number in range(3))
"""As many as a region has availability zones. A lab has the first one, or as many as `up --subnets` says."""


class Node(NamedTuple):
    """One lab host. number: 1 for es-1; place: its subnet's number; every other name follows from them."""

    number: int
    place: int = 0

    @property
    def subnet(self) -> Subnet:
        return SUBNETS[self.place]

    @property
    def name(self) -> str:
        return f"es-{self.number}"

    @property
    def address(self) -> str:
        return f"198.18.{self.subnet.third}.{10 + self.number}"

    @property
    def second_address(self) -> str:
        """Of a second interface in the same subnet, where a shape of the lab gives it one."""
        return f"198.18.{self.subnet.third}.{110 + self.number}"

    @property
    def address6(self) -> str:
        """The same for IPv6."""
        return f"fd00:c612:{self.subnet.third}::{10 + self.number}"

    @property
    def hostname(self) -> str:
        return "ip-" + self.address.replace(".", "-")

    @property
    def fqdn(self) -> str:
        return f"{self.hostname}.{DOMAIN}"

    @property
    def mac(self) -> str:
        return f"06:00:c6:12:{self.subnet.third:02x}:{10 + self.number:02x}"

    @property
    def instance_id(self) -> str:
        return f"i-0e5{self.number:014x}"

    @property
    def namespace(self) -> str:
        return f"eslab-{self.name}"

    @property
    def directory(self) -> Path:
        return NODES / self.name


def nodes(count: int, subnets: int = 1) -> tuple[Node, ...]:
    """The first `count` lab hosts, dealt out to that many subnets in turn."""
    return tuple(Node(number, (number - 1) % subnets) for number in range(1, count + 1))

"""Runs to render: made up, in the shapes that nodes and Elasticsearch really send."""

from __future__ import annotations

from dataclasses import dataclass, field

from preflight.facts import (
    FORMAT,
    Cluster,
    Config,
    Dial,
    Imds,
    Install,
    Keystore,
    Login,
    Member,
    NodeFacts,
    Options,
    Process,
    Repository,
    RoleCredentials,
    Routing,
    Sources,
    Survey,
    System,
    Unknown,
    View,
)
from preflight.judgement import Cause, Command, Diagnosis, NodeLine, Remedy
from preflight.outcomes import Outcome, Verdict

CHECKS = {
    "NODE-1": ("critical", "The node can be logged in to and surveyed."),
    "KEY-1": ("critical", "The keystore holds no static AWS key of any S3 client that talks to AWS."),
    "KEY-2": ("warning", "The keystore holds no discovery.ec2 key."),
    "REGION-1": ("high", "Every node knows the bucket's region."),
    "REGION-2": ("warning", "The region does not come from IMDS alone."),
    "REGION-3": ("critical", "elasticsearch.yml holds no removed region setting."),
    "ROLE-1": ("critical", "IMDSv2 names a role whose credentials are current."),
    "ROLE-2": ("warning", "All nodes name the same role."),
    "PORT-1": ("critical", "Transport of every member is open from this node."),
    "PORT-2": ("high", "HTTP of every member is open from this node."),
    "ROUTE-1": ("high", "The routes traffic takes match the reference node's."),
    "ROUTE-2": ("warning", "The rest of the routing tables match the reference's."),
    "PATH-1": ("critical", "DNS, TCP and TLS to every bucket endpoint succeed."),
    "REPO-1": ("critical", "_verify of every S3 repository succeeds and names this node."),
    "CLUSTER-1": ("critical", "The node is a running member of the one cluster."),
    "CLUSTER-2": ("high", "Every member of the cluster was given."),
}

STARTED = 1_795_000_000.0
STALE = "The AWS Access Key Id you provided does not exist in our records."


@dataclass
class Scene:
    survey: Survey
    diagnosis: Diagnosis
    outcomes: list[Outcome] = field(default_factory=list)

    def set(self, check: str, node: str, outcome: Verdict, reason: str, **more: object) -> None:
        """Replace one outcome."""
        for index, old in enumerate(self.outcomes):
            if (old.check, old.node) == (check, node):
                self.outcomes[index] = Outcome(
                    check=check, node=node, severity=old.severity, title=old.title,
                    outcome=outcome, reason=reason, **more,  # type: ignore[arg-type]
                )  # fmt: skip


def node_id(name: str) -> str:
    return f"id-of-{name}"


def node_facts(name: str, number: int, names: list[str]) -> NodeFacts:
    address = f"198.18.0.{10 + number}"
    dials = tuple(
        Dial(
            member=node_id(peer), port=port, target=f"198.18.0.{11 + index}:{9300 if port == 'transport' else 9200}",
            outcome="open", milliseconds=0.3 + 0.1 * index,
        )
        for index, peer in enumerate(names)
        for port in ("transport", "http")
    )  # fmt: skip
    return NodeFacts(
        name=name, host=address, ssh=f"ssh admin@{address}",
        login=Login(user="admin", sudo_user="root", carrier="paramiko", milliseconds=212.0, host_key="verified"),
        system=System(hostname=f"ip-198-18-0-{10 + number}", user="root", os="Debian GNU/Linux 12", kernel="6.1.0-18",
                      python="3.11.2", clock=STARTED, clock_offset=0.004),
        install=Install(layout="deb", home="/usr/share/elasticsearch", path_conf="/etc/elasticsearch",
                        version="8.19.21", service_user="elasticsearch"),
        process=Process(pid=812, user="elasticsearch", started=STARTED - 86400, environment=(), properties=(),
                        region_environment=None, region_property=None, listeners=(f"{address}:9200", f"{address}:9300"),
                        own_network_namespace=False),
        keystore=Keystore(path="/etc/elasticsearch/elasticsearch.keystore", exists=True, settings=("keystore.seed",),
                          format=7, owner="root", group="elasticsearch", mode="0660", modified=STARTED - 90000,
                          read_by="file"),
        config=Config(path="/etc/elasticsearch/elasticsearch.yml", modified=STARTED - 90000, settings={}, names=()),
        sources=Sources(files=("/etc/elasticsearch/jvm.options",), found=()),
        imds=Imds(outcome="answered", milliseconds=1.2, token_status=200, instance_id="i-0abc", region="ap-northeast-2",
                  availability_zone="ap-northeast-2a", role_status=200, role="es-node",
                  credentials=RoleCredentials(code="Success", key_prefix="ASIA", expires=STARTED + 3600)),
        routing=Routing(routes=(), rules=(), addresses=()),
        view=View(node_id=node_id(name), node_name=f"ip-198-18-0-{10 + number}", cluster_uuid="uuid-1",
                  cluster_name="lab", master_id=node_id(names[0]), url=f"https://{address}:9200",
                  carrier="probe" if number == 2 else "direct-tcpip"),
        dials=dials, paths=(), buckets=(),
    )  # fmt: skip


def healthy(names: list[str] | None = None, **options: object) -> Scene:
    names = names or ["es-1", "es-2", "es-3"]
    members = tuple(
        Member(
            id=node_id(name), name=f"ip-198-18-0-{11 + index}", version="8.19.21", roles=("data", "master"),
            transport=f"198.18.0.{11 + index}:9300", http=f"198.18.0.{11 + index}:9200", clients=(),
        )
        for index, name in enumerate(names)
    )  # fmt: skip
    survey = Survey(
        format=FORMAT, version="0.1.0", started=STARTED, finished=STARTED + 2.4,
        options=Options(elasticsearch_login="user", **options),  # type: ignore[arg-type]
        nodes=tuple(node_facts(name, index, names) for index, name in enumerate(names, 1)),
        clusters=(
            Cluster(uuid="uuid-1", name="lab", asked=names[0], master_id=node_id(names[0]), members=members,
                    repositories=(Repository(name="s3_backup", type="s3", bucket="es-snapshots", base_path="prod"),),
                    verifications=()),
        ),
    )  # fmt: skip
    outcomes = [
        Outcome(check=check, node=name, severity=severity, outcome="pass", title=title)
        for check, (severity, title) in CHECKS.items()
        for name in names
    ]
    diagnosis = Diagnosis(
        verdict=f"Snapshots to S3 work on all {len(names)} nodes.",
        causes=(),
        nodes=tuple(NodeLine(node=name, text="no static keys; role es-node proven; routes alike") for name in names),
    )
    scene = Scene(survey, diagnosis, outcomes)
    for name in names:
        scene.set("CLUSTER-2", name, "not applicable", "asked for with --complete only")
    return scene


REMOVE = (
    "sudo cp -p /etc/elasticsearch/elasticsearch.keystore /root/elasticsearch.keystore.before && "
    "sudo /usr/share/elasticsearch/bin/elasticsearch-keystore remove "
    "s3.client.default.access_key s3.client.default.secret_key"
)
RELOAD = (
    "curl -sS --cacert /etc/elasticsearch/certs/http_ca.crt -u elastic "
    "-X POST 'https://198.18.0.12:9200/_nodes/_local/reload_secure_settings'"
)
VERIFY = (
    "curl -sS --cacert /etc/elasticsearch/certs/http_ca.crt -u elastic "
    "-X POST 'https://198.18.0.11:9200/_snapshot/s3_backup/_verify?pretty'"
)
DIFF = (
    "--- es-1 (reference)",
    "+++ es-3",
    "@@ main @@",
    " default via GATEWAY dev eth0",
    "-10.0.0.0/8 via GATEWAY dev eth0",
    "+10.0.0.0/8 via 198.18.0.254 dev eth0 metric 100 a-rather-long-attribute that goes on and on to the right",
    " OWN-SUBNET dev eth0 scope link",
)


def incident() -> Scene:
    """Stale keys on es-2, S3 cut off upstream of es-3."""
    scene = healthy()
    scene.set(
        "KEY-1", "es-2", "fail", "static keys of S3 client default",
        observed="the keystore holds s3.client.default.access_key and s3.client.default.secret_key",
        expected="no static key: the instance role answers for S3",
        remedy=Remedy(commands=(Command(where="es-2", text=REMOVE),)),
    )  # fmt: skip
    scene.set(
        "REPO-1", "es-2", "fail", "_verify of s3_backup fails", observed=f'_verify of s3_backup: "{STALE}"',
        expected="_verify names this node as good",
        details=("outermost: [s3_backup] a message from the master", f"innermost: {STALE}"),
    )  # fmt: skip
    scene.set(
        "PATH-1", "es-3", "fail", "S3 unreachable",
        observed="TCP to es-snapshots.s3.ap-northeast-2.amazonaws.com:443 timed out after 5000 ms, tried twice",
        expected="open from every node",
    )  # fmt: skip
    scene.set(
        "REPO-1", "es-3", "could not check",
        "Elasticsearch stops at the master: es-3 was not asked. This sentence is long enough to be wrapped.",
    )  # fmt: skip
    scene.set(
        "ROUTE-2", "es-3", "warning", "routing tables differ", observed="1 route differs from es-1's",
        expected="the tables of es-1 and es-3 alike", details=DIFF,
    )  # fmt: skip
    scene.set("REGION-2", "es-1", "waived", "region from IMDS only",
              waiver="waived until 2027-01-31 by storage team: region moves to elasticsearch.yml with 9.x")  # fmt: skip
    scene.diagnosis = Diagnosis(
        verdict="Snapshots to S3 fail on es-2 and es-3, for two separate reasons.",
        causes=(
            Cause(
                id="stale-keystore", nodes=("es-2",), confidence="certain",
                title="Stale static keys in the keystore of es-2 win over its instance role.",
                evidence=(
                    "keystore of es-2: s3.client.default.access_key, s3.client.default.secret_key (names only)",
                    f'S3 refuses them: "{STALE}"',
                    "role es-node of es-2 lists es-snapshots/prod with its own credentials: HTTP 200",
                ),
                explains=(("KEY-1", "es-2"), ("REPO-1", "es-2")),
                remedy=Remedy(
                    commands=(
                        Command(where="es-2", text=REMOVE),
                        Command(where="es-2", text=RELOAD),
                        Command(where="controller", text=VERIFY),
                    ),
                    advice=("Change the source of the keys in configuration management too, or they come back.",),
                ),
            ),
            Cause(
                id="route-upstream", nodes=("es-3",), confidence="likely",
                title="Traffic of es-3 to S3 is lost outside the node.",
                evidence=(
                    "es-3: S3 timed out at 5000 ms, twice; es-1 and es-2 reach it in 1.1 ms",
                    "the route es-3 takes to S3 is the same as es-1's",
                ),
                explains=(("PATH-1", "es-3"), ("REPO-1", "es-3")),
                remedy=Remedy(
                    caution="do not change es-3 itself: its own table is as the reference's",
                    commands=(Command(where="es-3", text="ip route get 198.18.1.10"),),
                    advice=("Compare the route table of es-3's subnet with es-1's (VPC console).",),
                ),
            ),
        ),
        nodes=(
            NodeLine(node="es-1", text="no static keys; role es-node proven on this node"),
            NodeLine(
                node="es-2",
                text="static keys in use, refused by S3; role proven on this node; safe to remove: yes; "
                "routes as the reference",
            ),
            NodeLine(node="es-3", text="no static keys; S3 not reached; routes as the reference"),
        ),
        notes=("es-3: role not proven against the bucket, because S3 was not reached",),
    )  # fmt: skip
    return scene


def host_down(names: list[str] | None = None) -> Scene:
    """The last node cannot be logged in to; es-1 cannot reach its port."""
    scene = healthy(names)
    *_, node = scene.survey.nodes
    down = node.name
    reason = f"connection to {node.host}:22 timed out after 5.0 s"
    gone = Unknown(reason=reason, blocked=True)
    sections = (
        "login", "system", "install", "process", "keystore", "config", "sources", "imds", "routing",
        "view", "dials", "paths", "buckets",
    )  # fmt: skip
    dead = NodeFacts(name=down, host=node.host, ssh=node.ssh, **dict.fromkeys(sections, gone))  # type: ignore[arg-type]
    first, *others = scene.survey.nodes[:-1]
    dials = tuple(
        Dial(member=d.member, port=d.port, target=d.target, outcome="timeout", milliseconds=5000.0, tries=2)
        if d.member == node_id(down) else d
        for d in first.dials  # type: ignore[union-attr]
    )  # fmt: skip
    fields = {name: getattr(first, name) for name in first.__struct_fields__} | {"dials": dials}
    old = scene.survey
    scene.survey = Survey(
        format=FORMAT, version=old.version, started=old.started, finished=old.finished, options=old.options,
        nodes=(NodeFacts(**fields), *others, dead), clusters=old.clusters,
    )  # fmt: skip
    for check in CHECKS:
        scene.set(check, down, "blocked", f"NODE-1 of {down} could not be checked")
    scene.set("NODE-1", down, "could not check", reason)
    scene.set(
        "PORT-1", first.name, "fail", "a member's transport is not open",
        observed=f"{down} (198.18.0.13:9300): timeout after 5000 ms, tried twice", expected="open",
    )  # fmt: skip
    scene.diagnosis = Diagnosis(
        verdict=f"{down} cannot be reached; nothing is known of it.",
        causes=(),
        nodes=tuple(
            NodeLine(node=n.name, text="not surveyed" if n.name == down else "nothing wrong seen")
            for n in scene.survey.nodes
        ),
    )
    return scene

"""Remedies: exact, quoted, and a fix only where the facts prove it safe."""

from __future__ import annotations

import base64
import http.server
import os
import shlex
import subprocess
import threading
from contextlib import suppress

import pytest
import surveys
from judged import judged
from msgspec.structs import replace
from shapes import elsewhere
from surveys import healthy, stale_keys, with_cluster, with_node

from preflight import remedy
from preflight.diagnosis import diagnose
from preflight.facts import Imds, Keystore, Repository, SignedList, Unknown
from preflight.judgement import NotApplicable
from preflight.remedy.asking import ask, instance


def keys(survey, name="es-2"):
    return remedy.remove_static_keys(survey, survey.node(name))


def texts(mend):
    return [command.text for command in mend.commands]


def test_the_fix_to_the_letter():
    """Copy aside, one removal naming the whole pair, reload of this node alone, then `_verify`."""
    mend = keys(stale_keys(healthy(), "es-2"))
    keystore = "/etc/elasticsearch/elasticsearch.keystore"
    login = (
        """printf '%s:%s\\n' "$ES_PREFLIGHT_USER" "$(cat "$ES_PREFLIGHT_PASSWORD_FILE")" """
        """| sed 's/[\\\\"]/\\\\&/g; s/^/user = "/; s/$/"/'"""
    )
    curl = "sudo curl -sS -K - --noproxy 198.18.0.12 --cacert /etc/elasticsearch/certs/ca.crt -X POST https://198.18.0.12:9200"

    assert mend.caution is None
    assert [(c.where, c.text) for c in mend.commands] == [
        ("es-2", f"sudo cp -p {keystore} {keystore}.before-preflight-20251124T104000Z"),
        (
            "es-2",
            "sudo ES_PATH_CONF=/etc/elasticsearch /usr/share/elasticsearch/bin/elasticsearch-keystore remove "
            "s3.client.default.access_key s3.client.default.secret_key",
        ),
        (
            "controller",
            f"{login} | ssh -F lab/ssh_config es-2 '{curl}/_nodes/es2___________________/reload_secure_settings'",
        ),
        ("controller", f"{login} | ssh -F lab/ssh_config es-2 '{curl}/_snapshot/s3_backup/_verify'"),
    ]
    assert "reload_exception" in mend.advice[0]
    assert any(line.startswith("to undo: sudo cp -p ") for line in mend.advice)


@pytest.mark.parametrize(
    "signed",
    [
        Unknown(reason="IMDS names no role"),
        SignedList(status=403, code="AccessDenied", message="Access Denied"),
        SignedList(status=403, code="InvalidAccessKeyId", message="no such key"),
        SignedList(status=301, code="PermanentRedirect", message=None),
    ],
)
def test_nothing_is_removed_before_the_role_is_proven(signed):
    """Without a role that S3 accepts, removing the keys takes away the last thing that might work."""
    survey = stale_keys(healthy(), "es-2")
    survey = with_node(survey, "es-2", buckets=(replace(surveys.bucket(), signed_list=signed),))
    mend = keys(survey)

    assert mend.caution.startswith("do not remove yet: role not proven on es-2: ")
    assert not any(" remove " in text or "_secure_settings" in text for text in texts(mend))


def test_every_repository_of_the_client_must_be_proven():
    """One bucket that the role cannot list is enough to wait."""
    survey = stale_keys(healthy(), "es-2")
    cluster = survey.clusters[0]
    second = Repository(name="archive", type="s3", bucket="archive")
    survey = with_cluster(survey, repositories=(*cluster.repositories, second))

    assert "the bucket of archive was not tried" in keys(survey).caution


def test_unknown_repositories_prove_nothing():
    """Without a login nobody knows which bucket the role must reach."""
    survey = replace(stale_keys(healthy(), "es-2"), clusters=())
    survey = with_node(survey, "es-2", view=Unknown(reason="no login"))

    assert "unknown" in keys(survey).caution


def test_a_client_no_repository_uses_is_removed_without_proof():
    """Nothing signs with it."""
    file = healthy().node("es-2").keystore
    survey = with_node(healthy(), "es-2", keystore=replace(file, settings=("s3.client.old.access_key",)))
    mend = keys(survey)

    assert mend.caution is None
    assert texts(mend)[1].endswith("remove s3.client.old.access_key")
    assert len(mend.commands) == 2
    assert mend.advice[0].startswith("nothing has to be reloaded")


def test_a_node_that_never_touches_snapshots_needs_no_proof():
    """A coordinating node may have no role, and signs nothing."""
    survey = surveys.with_member(surveys.no_instance_role(healthy(), "es-2"), "es-2", roles=("ingest",))
    file = survey.node("es-2").keystore
    survey = with_node(survey, "es-2", keystore=replace(file, settings=surveys.STATIC_KEYS))

    assert keys(survey).caution is None


def test_keys_that_another_s3_needs_stay():
    """One client for AWS and for MinIO: without its keys the second repository has nothing to sign with."""
    survey = stale_keys(healthy(), "es-2")
    cluster = survey.clusters[0]
    minio = Repository(name="minio", type="s3", bucket="b", endpoint="https://minio.example.net")
    survey = with_cluster(survey, repositories=(*cluster.repositories, minio))
    mend = keys(survey)

    assert mend.caution == (
        "do not remove yet: client default signs for minio too, which is not on AWS: a role opens nothing there"
    )
    assert mend.commands == ()


def test_a_tarball_is_changed_as_its_owner():
    """The tool refuses to save a file whose owner would change."""
    survey = stale_keys(healthy(), "es-2")
    node = survey.node("es-2")
    path = "/opt/es/config/elasticsearch.keystore"
    install = replace(node.install, layout="tar", home="/opt/es", path_conf="/opt/es/config")
    survey = with_node(survey, "es-2", install=install, keystore=replace(node.keystore, path=path, owner="elastic"))
    mend = keys(survey)

    assert texts(mend)[0].startswith(f"sudo -u elastic cp -p {path} ")
    assert texts(mend)[1].startswith(
        "sudo -u elastic ES_PATH_CONF=/opt/es/config /opt/es/bin/elasticsearch-keystore remove "
    )
    elsewhere = with_node(survey, "es-2", install=replace(install, java_home="/usr/lib/jvm/17"))
    assert texts(keys(elsewhere))[1].startswith(
        "sudo -u elastic ES_PATH_CONF=/opt/es/config ES_JAVA_HOME=/usr/lib/jvm/17 /opt/es/bin/elasticsearch-keystore "
    )


def test_an_api_key_is_never_in_a_command_line():
    """Only its variable's name is, on its way to curl's standard input."""
    survey = stale_keys(healthy(), "es-2")
    survey = replace(survey, options=replace(survey.options, elasticsearch_login="api-key"))

    assert texts(keys(survey))[2].startswith(
        """printf 'header = "Authorization: ApiKey %s"\\n' "$ES_PREFLIGHT_API_KEY" | ssh """
    )


class Listening(http.server.BaseHTTPRequestHandler):
    """Keeps what it was asked with."""

    def do_POST(self):
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        """Nothing on stderr."""


@pytest.fixture
def listening():
    with http.server.HTTPServer(("127.0.0.1", 0), Listening) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "password", ["plain", 'a"b', "a\\b", 'end\\"', "%s%d", "$HOME `x`", "a:b c#d", "it's", "schlüssel", "\\n\\t"]
)
def test_any_password_reaches_elasticsearch_as_it_is(password, tmp_path, listening):
    """The printed command, really run: curl decodes what stands between quotes in its configuration."""
    (tmp_path / "password").write_text(f"{password}\n", encoding="utf-8")
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\nexec "$@"\n')
    sudo.chmod(0o755)
    node = healthy().node("es-2")
    url = f"http://127.0.0.1:{listening.server_port}"
    # Instead of ssh: what the other side would hand to a shell is handed to one here.
    survey = with_node(healthy(), "es-2", ssh="sh -c", view=replace(node.view, url=url))
    text = ask(survey, survey.node("es-2"), "_snapshot/s3_backup/_verify").text
    login = {"ES_PREFLIGHT_USER": 'pre"flight', "ES_PREFLIGHT_PASSWORD_FILE": str(tmp_path / "password")}
    path = f"{tmp_path}:{os.environ['PATH']}"
    proxy = {"http_proxy": "http://127.0.0.1:1"}
    subprocess.run(["bash", "-c", text], check=True, timeout=10, env={"PATH": path, **proxy, **login})

    expected = base64.b64encode(f'pre"flight:{password}'.encode()).decode()
    assert listening.asked == [("/_snapshot/s3_backup/_verify", f"Basic {expected}")]


@pytest.mark.parametrize(
    ("url", "carrier", "said"),
    [
        ("https://198.18.0.12:9200", "probe", ("--cacert", "-k")),
        ("https://es.example.net", "direct", ("--cacert",)),
        ("http://198.18.0.12:9200", "probe", ()),
    ],
)
def test_a_certificate_without_the_address_is_told_of(url, carrier, said):
    """The suite checks the chain alone inside its own SSH session; curl wants the name as well."""
    survey = stale_keys(healthy(), "es-2")
    view = replace(survey.node("es-2").view, url=url, carrier=carrier)
    lines = [line for line in keys(with_node(survey, "es-2", view=view)).advice if "curl error 60" in line]

    assert len(lines) == bool(said)
    assert tuple(word for word in ("--cacert", "-k") if any(word in line for line in lines)) == said


def test_without_a_login_the_node_is_restarted_instead():
    """The loaded keys go with the process."""
    survey = stale_keys(healthy(), "es-2")
    survey = replace(survey, options=replace(survey.options, elasticsearch_login=None))

    assert texts(keys(survey))[2:] == ["sudo systemctl restart elasticsearch"]


def test_no_repository_is_ever_deleted():
    """Whatever is wrong: registering again mends nothing, and deleting loses the way to the snapshots."""
    for fault in surveys.FAULTS.values():
        survey = (
            fault(stale_keys(healthy(), "es-2"), "es-3") if fault is not stale_keys else stale_keys(healthy(), "es-2")
        )
        assert not any("DELETE" in text for text in texts(keys(survey)))


STRANGE = "it's a; $(touch x) `y`"


def test_everything_is_quoted():
    """Paths, names and addresses come from nodes and clusters: a shell must read each as one word."""
    survey = stale_keys(healthy(), "es-2")
    node = survey.node("es-2")
    assert isinstance(node.keystore, Keystore)
    survey = with_node(
        survey,
        "es-2",
        install=replace(node.install, home=f"/opt/{STRANGE}", path_conf=f"/etc/{STRANGE}"),
        keystore=replace(node.keystore, path=f"/etc/{STRANGE}/elasticsearch.keystore", owner=STRANGE),
    )
    first, second = texts(keys(survey))[:2]

    assert shlex.split(first)[:3] == ["sudo", "-u", STRANGE]
    assert shlex.split(first)[5] == f"/etc/{STRANGE}/elasticsearch.keystore"
    assert shlex.split(second)[3:5] == [
        f"ES_PATH_CONF=/etc/{STRANGE}",
        f"/opt/{STRANGE}/bin/elasticsearch-keystore",
    ]


def every_remedy():
    healthy_survey = healthy()
    for name, fault in surveys.FAULTS.items():
        survey = fault(stale_keys(healthy_survey, "es-1"), "es-2")
        for node in survey.nodes:
            yield name, survey, node


@pytest.mark.parametrize("login", ["user", "api-key"])
def test_every_command_is_one_that_a_shell_can_read(login):
    """bash -n on all of them: none has an open quote or bracket."""
    commands = set()
    for _, survey, node in every_remedy():
        survey = replace(survey, options=replace(survey.options, elasticsearch_login=login))
        mends = [
            remedy.give_role(survey, node),
            remedy.one_role(survey, node),
            remedy.own_route(survey, node),
            remedy.upstream_route(survey, node),
            remedy.reach_bucket(survey, node),
            remedy.open_ports(survey, node, "transport") if not isinstance(node.dials, Unknown) else None,
            remedy.start_elasticsearch(survey, node),
            remedy.join(survey, node),
            remedy.reach_host(survey, node),
            remedy.discovery_keys(node),
            remedy.drop_removed_settings(survey, node),
        ]
        if not isinstance(node.keystore, Unknown):
            mends.append(remedy.remove_static_keys(survey, node))
            with suppress(NotApplicable):  # a cluster without a repository asks for no region
                mends.append(remedy.set_region(survey, node))
        commands |= {command.text for mend in mends if mend for command in mend.commands}

    assert len(commands) > 20
    for text in commands:
        done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0, f"{text}\n{done.stderr}"


def test_the_region_is_the_buckets():
    """Appended where it is missing, on a line of its own even where the file lacks its last newline."""
    survey = surveys.region_missing(healthy(), "es-2")
    mend = remedy.set_region(survey, survey.node("es-2"))

    assert mend.caution is None
    assert texts(mend) == [
        "printf '\\n%s\\n' 's3.client.default.region: ap-northeast-2' "
        "| sudo tee -a /etc/elasticsearch/elasticsearch.yml",
        "sudo systemctl restart elasticsearch",
    ]


def test_a_wrong_region_is_replaced(tmp_path):
    """The sed that is printed really changes the line, and no other."""
    file = tmp_path / "elasticsearch.yml"
    file.write_text("a: 1\ns3.client.default.region: us-east-1\ns3xclientxdefaultxregion: keep\n")
    survey = surveys.with_member(
        healthy(), "es-2", clients=(replace(healthy().clusters[0].members[1].clients[0], region="us-east-1"),)
    )
    survey = with_node(survey, "es-2", config=replace(survey.node("es-2").config, path=str(file)))
    text = texts(remedy.set_region(survey, survey.node("es-2")))[0]
    subprocess.run(["bash", "-c", text.removeprefix("sudo ")], check=True, timeout=10)

    assert file.read_text() == "a: 1\ns3.client.default.region: ap-northeast-2\ns3xclientxdefaultxregion: keep\n"


def test_removed_settings_are_commented_out(tmp_path):
    """The sed that is printed comments out exactly them and keeps a copy."""
    file = tmp_path / "elasticsearch.yml"
    file.write_text("cluster.name: x\ncloud.aws.region: eu\n# cloud.aws.region: old\n")
    config = replace(healthy().node("es-2").config, path=str(file), names=("cluster.name", "cloud.aws.region"))
    survey = with_node(healthy(), "es-2", config=config)
    text = texts(remedy.drop_removed_settings(survey, survey.node("es-2")))[0]
    subprocess.run(["bash", "-c", text.removeprefix("sudo ")], check=True, timeout=10)

    assert file.read_text() == "cluster.name: x\n#cloud.aws.region: eu\n# cloud.aws.region: old\n"
    assert (tmp_path / "elasticsearch.yml.before-preflight-20251124T104000Z").exists()


def test_own_default_route_back_to_the_gateway_a_peer_proves():
    """Same subnet, the others' gateway: proven."""
    survey = surveys.route_own(healthy(), "es-2")
    mend = remedy.own_route(survey, survey.node("es-2"))

    assert mend.caution is None
    assert texts(mend) == ["sudo ip route replace default via 198.18.0.1"]


def test_a_stray_route_is_taken_out():
    """A route to S3 that the reference has not."""
    survey = surveys.route_own(healthy(), "es-2")
    table = surveys.routing("198.18.0.12", extra=[surveys.route("198.18.1.0/24", gateway="198.18.0.254")])
    survey = with_node(survey, "es-2", routing=table)

    assert texts(remedy.own_route(survey, survey.node("es-2"))) == [
        "sudo ip route del 198.18.1.0/24 via 198.18.0.254 dev eth0"
    ]


def test_a_stray_route_of_ipv6_is_taken_out_there():
    """`ip route del blackhole default` without -6 would mean the other family."""
    survey = healthy()
    for number, node in enumerate(survey.nodes, 1):
        own = surveys.Address(device="eth0", family="inet6", address=f"2001:db8::{number}", prefix=64, scope="global")
        table = replace(node.routing, addresses=(*node.routing.addresses, own))
        paths = tuple(
            replace(p, target="2600:1f00::1", gateway="fe80::1") if p.purpose.startswith("s3:") else p
            for p in node.paths
        )
        survey = with_node(survey, node.name, routing=table, paths=paths)
    node = survey.node("es-2")
    stray = surveys.route("default", family="inet6", kind="blackhole", device=None)
    paths = tuple(
        replace(p, kind="blackhole", gateway=None, device=None) if p.purpose.startswith("s3:") else p
        for p in node.paths
    )
    table = replace(node.routing, routes=(*node.routing.routes, stray))
    survey = with_node(survey, "es-2", routing=table, paths=paths)

    assert texts(remedy.own_route(survey, survey.node("es-2"))) == ["sudo ip -6 route del blackhole default"]


def test_two_stray_routes_are_for_a_person():
    """One command does not mend them, and which of them is right is not proven."""
    survey = surveys.route_own(healthy(), "es-2")
    extra = [surveys.route(f"198.18.{part}", gateway="198.18.0.254") for part in ("1.0/24", "0.0/15")]
    survey = with_node(survey, "es-2", routing=surveys.routing("198.18.0.12", gateway="198.18.0.254", extra=extra))

    assert "not proven" in remedy.own_route(survey, survey.node("es-2")).caution


@pytest.mark.parametrize(("outcome", "advised"), [("timeout", True), ("refused", False)])
def test_a_timeout_is_explained_as_a_filter(outcome, advised):
    """A refusal is an answer; only vanished packets point at a filter."""
    survey = surveys.port_fails(healthy(), "es-1", "es-2", outcome)
    survey = surveys.port_fails(survey, "es-1", "es-3", "refused")
    mend = remedy.open_ports(survey, survey.node("es-1"), "transport")

    assert any("a filter that drops" in line for line in mend.advice) is advised
    assert "sudo ss -ltnp 'sport = :9300'" in texts(mend)


def test_aws_is_asked_for_an_ipv6_address_by_that_name():
    """Its filter for private addresses knows none."""
    survey = surveys.port_fails(healthy(), "es-1", "es-2", "timeout")
    node = survey.node("es-1")
    dials = tuple(replace(d, target="[fd00::12]:9300") if d.outcome == "timeout" else d for d in node.dials)
    survey = with_node(survey, "es-1", dials=dials)
    mend = remedy.open_ports(survey, survey.node("es-1"), "transport")
    assert "Name=ipv6-addresses.ipv6-address,Values=fd00::12" in " ".join(texts(mend))
    unnamed = with_node(survey, "es-2", host="fd00::12", imds=Imds(outcome="timeout", milliseconds=2000.0))
    assert "Name=network-interface.ipv6-addresses.ipv6-address,Values=fd00::12" in instance(unnamed.node("es-2"))


def test_a_gateway_that_no_peer_of_the_subnet_shows_is_not_guessed():
    """The reference is in another subnet: its gateway is not this node's."""
    survey = surveys.route_own(healthy(), "es-2", gateway="198.18.5.254")
    node = survey.node("es-2")
    survey = with_node(survey, "es-2", routing=surveys.routing("198.18.5.12", "198.18.5.254"))
    mend = remedy.own_route(survey, survey.node(node.name))

    assert "not proven" in mend.caution
    assert not any("replace" in text or " del " in text for text in texts(mend))


def test_an_instance_profile_is_attached_only_where_the_peers_agree():
    """One role among the others: that one. Two: nobody knows."""
    survey = surveys.no_instance_role(healthy(), "es-2")
    mend = remedy.give_role(survey, survey.node("es-2"))
    other = with_node(survey, "es-3", imds=replace(survey.node("es-3").imds, role="es-other"))

    assert mend.caution is None
    assert "associate-iam-instance-profile --region ap-northeast-2 --instance-id i-0a1b2c3d4e5f60002" in texts(mend)[0]
    assert "not known from the other nodes" in remedy.give_role(other, other.node("es-2")).caution


def test_a_node_that_would_not_start_is_not_told_to():
    """The removed setting comes first."""
    survey = surveys.elasticsearch_down(healthy(), "es-2")
    config = survey.node("es-2").config
    survey = with_node(survey, "es-2", config=replace(config, names=(*config.names, "cloud.aws.region")))
    mend = remedy.start_elasticsearch(survey, survey.node("es-2"))

    assert "will not start" in mend.caution
    assert not any("systemctl start" in text for text in texts(mend))


@pytest.mark.parametrize("layout", ["tar", "docker"])
def test_a_restart_that_nobody_can_type_is_advice(layout):
    """Elasticsearch from a tarball or in a container has no command of ours to restart it."""
    survey = surveys.region_missing(stale_keys(healthy(), "es-2"), "es-2")
    survey = with_node(survey, "es-2", install=replace(survey.node("es-2").install, layout=layout))
    survey = replace(survey, options=replace(survey.options, elasticsearch_login=None))
    node = survey.node("es-2")

    for mend in (
        remedy.remove_static_keys(survey, node),
        remedy.set_region(survey, node),
        remedy.forget_loaded_keys(survey, node),
    ):
        assert not any("start" in text for text in texts(mend))
        assert any("then restart this node: " in line for line in mend.advice)


@pytest.mark.parametrize(
    ("layout", "unit", "others", "command"),
    [
        ("deb", None, 0, "sudo systemctl restart elasticsearch"),
        ("deb", "elasticsearch.service", 1, "sudo systemctl restart elasticsearch"),
        ("rpm", "elasticsearch@b.service", 1, "sudo systemctl restart elasticsearch@b"),
        ("tar", "elasticsearch-prod.service", 0, "sudo systemctl restart elasticsearch-prod"),
        ("deb", None, 1, None),
        ("tar", None, 0, None),
    ],
)
def test_the_unit_that_is_restarted_is_the_processs_own(layout, unit, others, command):
    """Beside another Elasticsearch the package's unit may be that one's."""
    survey = surveys.region_missing(healthy(), "es-2")
    node = survey.node("es-2")
    process = replace(node.process, unit=unit, others=others)
    survey = with_node(survey, "es-2", install=replace(node.install, layout=layout), process=process)
    mend = remedy.set_region(survey, survey.node("es-2"))

    assert [text for text in texts(mend) if "restart" in text] == ([command] if command else [])
    assert any("as it was started" in line for line in mend.advice) is (command is None)


@pytest.mark.parametrize("install", [None, Unknown(reason="not known while it does not run")])
def test_an_installation_that_is_not_known_is_not_started_by_the_packages_unit(install):
    """None: a tarball that does not run is not seen."""
    survey = surveys.elasticsearch_down(healthy(), "es-2")
    survey = with_node(survey, "es-2", install=install)
    mend = remedy.start_elasticsearch(survey, survey.node("es-2"))
    assert mend.commands == () and mend.caution == "how it is started here is not known"


@pytest.mark.parametrize("login", ["user", None])
def test_no_command_restarts_a_node_that_would_not_start_again(login):
    """With a removed setting in its file a restart is the end of that node, whatever it was to mend."""
    survey = surveys.region_missing(stale_keys(healthy(), "es-2"), "es-2")
    config = survey.node("es-2").config
    survey = with_node(survey, "es-2", config=replace(config, names=(*config.names, "cloud.aws.region")))
    survey = replace(survey, options=replace(survey.options, elasticsearch_login=login))
    node = survey.node("es-2")
    mends = (
        remedy.remove_static_keys(survey, node),
        remedy.set_region(survey, node),
        remedy.forget_loaded_keys(survey, node),
        remedy.remove_outside_keys(surveys.env_keys(survey, "es-2"), surveys.env_keys(survey, "es-2").node("es-2")),
    )

    for mend in mends:
        assert not any("systemctl" in text for text in (*texts(mend), *mend.advice))
        assert any("REGION-3" in text for text in (mend.caution or "", *mend.advice))


def test_a_region_is_not_written_beside_an_endpoint_of_another():
    """The requests would go on to that endpoint, signed for a region it is not in."""
    client = surveys.S3Client(name="default", endpoint="s3.eu-west-1.amazonaws.com")
    survey = surveys.with_member(healthy(), "es-2", clients=(client,))
    mend = remedy.set_region(survey, survey.node("es-2"))

    assert mend.caution.startswith("s3_backup goes to an endpoint of eu-west-1")
    assert texts(mend) == ["sudo grep -nE endpoint /etc/elasticsearch/elasticsearch.yml"]


def test_loaded_keys_are_forgotten_only_where_the_role_is_proven():
    """Keys gone from the file and still loaded: a reload is the fix, unless nothing would sign afterwards."""
    survey = surveys.verify_fails(healthy(), "es-2", surveys.STALE)
    proven = remedy.forget_loaded_keys(survey, survey.node("es-2"))
    without = surveys.no_instance_role(survey, "es-2")

    assert proven.caution is None
    assert "reload_secure_settings" in texts(proven)[0]
    assert remedy.forget_loaded_keys(without, without.node("es-2")).caution.startswith("do not reload or restart yet")


def test_a_tarballs_log_is_looked_at_where_it_is():
    survey = healthy()
    node = survey.node("es-2")
    survey = with_node(survey, "es-2", install=replace(node.install, layout="tar", home="/opt/es"))
    (text,) = texts(remedy.join(survey, survey.node("es-2")))
    assert " /opt/es/logs/*.log " in text


def test_a_running_node_outside_the_cluster_is_not_told_to_start():
    """It runs; its log says why it stays away."""
    survey = with_node(healthy(), "es-2", view=replace(healthy().node("es-2").view, master_id=None))

    assert "grep" in texts(remedy.join(survey, survey.node("es-2")))[0]
    down = surveys.elasticsearch_down(healthy(), "es-2")
    assert texts(remedy.join(down, down.node("es-2")))[0] == "sudo systemctl start elasticsearch"


def test_no_command_is_printed_for_a_member_that_was_not_given():
    """Nobody knows whether this machine can log in there."""
    survey = surveys.port_fails(healthy(), "es-1", "es-3", "timeout")
    survey = replace(survey, nodes=survey.nodes[:2])
    mend = remedy.open_ports(survey, survey.node("es-1"), "transport")

    assert {command.where for command in mend.commands} == {"controller"}


@pytest.mark.parametrize(("layout", "said"), [("docker", True), ("deb", False)])
def test_a_container_is_told_where_to_type(layout, said):
    """Paths are those inside the container."""
    survey = stale_keys(healthy(), "es-2")
    survey = with_node(survey, "es-2", install=replace(survey.node("es-2").install, layout=layout))

    assert any("docker exec" in line for line in keys(survey).advice) is said


def fix(survey, check, name="es-2"):
    (found,) = (o for o in judged(survey) if (o.check, o.node) == (check, name))
    return found.remedy


def test_half_a_pair_is_removed_where_the_role_is_proven():
    """Copy, removal of the one name, reload, `_verify`: the node never needed it."""
    mend = fix(surveys.keystore_half(healthy(), "es-2"), "KEY-3")

    assert mend.caution is None
    assert texts(mend)[1].endswith("elasticsearch-keystore remove s3.client.default.access_key")
    assert mend == fix(surveys.keystore_half(healthy(), "es-2"), "RESTART-1")


@pytest.mark.parametrize("why", ["role", "elsewhere"])
def test_half_a_pair_that_may_be_needed_is_completed(why):
    """No role that S3 accepts, or a service that is not AWS: nothing is removed, the missing name is asked for."""
    survey = healthy()
    if why == "role":
        survey = surveys.keystore_half(survey, "es-2")
        refused = SignedList(status=403, code="AccessDenied", message="Access Denied")
        survey = with_node(survey, "es-2", buckets=(replace(surveys.bucket(), signed_list=refused),))
        client = "default"
    else:
        survey = surveys.keys_on_disk(elsewhere(survey), "es-2", "s3.client.minio.access_key")
        client = "minio"
    mend = fix(survey, "KEY-3")

    assert mend.caution.startswith("do not restart or reload es-2 before the pair is whole; nothing is removed, since ")
    assert texts(mend)[1].endswith(f"elasticsearch-keystore add s3.client.{client}.secret_key")
    assert not any(" remove " in text or "reload_secure" in text for text in texts(mend))


def test_owner_and_mode_are_restored_for_packages_only():
    """The package's own owner is known; a tar's folders are shown."""
    survey = surveys.keystore_unreadable(healthy(), "es-2")
    file = "/etc/elasticsearch/elasticsearch.keystore"
    assert texts(fix(survey, "KEY-5")) == [
        f"sudo chown root:elasticsearch {file} && sudo chmod 660 {file}",
        f"sudo -u elasticsearch test -r {file} && echo readable",
    ]

    install = survey.node("es-2").install
    mend = fix(with_node(survey, "es-2", install=replace(install, layout="tar")), "KEY-5")
    assert texts(mend) == [f"sudo namei -l {file}"]
    assert mend.caution == "until elasticsearch may read it, do not restart or reload es-2"


def test_a_closed_folder_is_shown():
    """The file is as the package makes it: chmod would mend nothing."""
    survey = healthy()
    survey = with_node(survey, "es-2", keystore=replace(survey.node("es-2").keystore, readable_by_service=False))

    assert texts(fix(survey, "KEY-5")) == ["sudo namei -l /etc/elasticsearch/elasticsearch.keystore"]


def test_a_keystore_that_is_gone_is_looked_for_first():
    """An empty one would start, and hold nothing of what the process has in memory."""
    mend = fix(surveys.keystore_missing(healthy(), "es-2"), "KEY-5")

    assert mend.caution.startswith("do not restart or reload es-2 yet")
    assert texts(mend) == ["sudo find /etc/elasticsearch -maxdepth 1 -name 'elasticsearch.keystore*' -ls"]
    assert not any(" create" in text for text in texts(mend))


def test_keys_that_wait_are_removed_before_they_bite():
    """As any static key: only where the role is proven."""
    survey = surveys.stale_on_disk(healthy(), "es-2")

    assert fix(survey, "RESTART-1") == fix(survey, "KEY-1") == keys(survey)


def test_keys_only_in_memory_are_ended_by_a_reload():
    """Nothing is left to remove, and registering the repository again would not help."""
    survey = surveys.stale_in_memory(healthy(), "es-2")
    (cause,) = diagnose(survey, judged(survey)).causes

    assert "_nodes/es2___________________/reload_secure_settings" in texts(cause.remedy)[0]
    assert any("registering the repository again does not" in line for line in cause.remedy.advice)


def test_a_node_that_is_down_is_not_started_into_its_end():
    """The lone key is mended first."""
    survey = surveys.elasticsearch_down(surveys.keystore_half(healthy(), "es-2"), "es-2")
    mend = remedy.start_elasticsearch(survey, survey.node("es-2"))

    assert mend.caution.startswith("it will not start before this is mended: s3.client.default.access_key without")
    assert not any("systemctl start" in text for text in texts(mend))


def test_a_secret_in_the_configuration_leaves_only_a_copy_to_delete():
    """The line goes, the value is nowhere printed, and the copy is named."""
    survey = healthy()
    config = survey.node("es-2").config
    names = (*config.names, "s3.client.default.secret_key")
    mend = fix(with_node(survey, "es-2", config=replace(config, names=names)), "RESTART-1")

    assert texts(mend) == [
        "sudo sed -i.before-preflight-20251124T104000Z -E '/^(s3\\.client\\.default\\.secret_key):/d' "
        "/etc/elasticsearch/elasticsearch.yml"
    ]
    assert any("delete the copy" in line for line in mend.advice)

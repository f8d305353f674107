"""`_verify` answers of real clusters, read to failures by node."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight import answers
from preflight.credentials import credentials
from preflight.rules import refusals
from preflight.versions import line

CAPTURES = Path(__file__).parent.parent / "captures"
STALE = "The AWS Access Key Id you provided does not exist in our records."
NO_ROLE = "The requested metadata is not found at http://169.254.169.254/latest/meta-data/iam/security-credentials/"
VERSIONS = ("7.17.13", "8.19.3", "9.1.0")


def capture(name):
    found = json.loads((CAPTURES / f"{name}.json").read_text())
    return found["status"], found["body"]


def names(version):
    _, body = capture(f"s3/{version}/b0_nodes")
    return {node["id"]: node["name"] for node in body}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_node_that_verified_is_named(version):
    verified, failures = answers.verification(*capture(f"s3/{version}/a2_verify_ok"))
    assert {names(version)[node] for node in verified} == {"es-a", "es-b", "es-c"}
    assert failures == ()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", ["b1_verify_stale_nonmaster", "e1_verify_removed_from_file_no_reload"])
def test_a_failing_data_node_is_named_with_awss_own_sentence(version, file):
    verified, failures = answers.verification(*capture(f"s3/{version}/{file}"))
    assert verified == ()
    assert [(names(version)[f.node_id], f.sentence) for f in failures] == [("es-b", STALE)]


@pytest.mark.parametrize("version", VERSIONS)
def test_two_failing_nodes_each_keep_their_own_cause(version):
    _, failures = answers.verification(*capture(f"s3/{version}/c9_verify_stale_two_nonmasters"))
    assert len(failures) == 2
    assert {f.sentence for f in failures} == {STALE}
    assert len({f.node_id for f in failures}) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_a_failing_master_is_named_by_no_answer(version):
    verified, failures = answers.verification(*capture(f"s3/{version}/c2_verify_stale_master"))
    assert verified == ()
    assert [(f.node_id, f.sentence) for f in failures] == [(None, STALE)]
    assert "is not accessible on master node" in failures[0].chain[0]


def test_different_causes_on_two_nodes_are_not_mixed_up():
    _, failures = answers.verification(*capture("s3/8.19.3-more/g3_es-b_stale_and_es-c_without_imds"))
    by_node = {f.node_id: f.sentence for f in failures}
    assert len(by_node) == 2
    assert STALE in by_node.values()
    assert any(text.startswith("Unable to load credentials from any of the providers") for text in by_node.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_missing_repository_says_so(version):
    _, failures = answers.verification(*capture(f"api/{version}/verify_missing_repo"))
    assert [f.node_id for f in failures] == [None]
    assert "missing" in failures[0].sentence


def test_the_words_of_sdk_v1_lose_their_request_ids():
    text = (
        "The AWS Access Key Id you provided does not exist in our records. (Service: Amazon S3; Status Code: 403; "
        "Error Code: InvalidAccessKeyId; Request ID: X; S3 Extended Request ID: Y; Proxy: null)"
    )
    assert answers.sentence(text) == STALE


SDK_V1 = ("7.17.29", "8.18.0")
"""Their answers come through the SDK that the real module of these versions is on."""


@pytest.mark.parametrize("version", SDK_V1)
@pytest.mark.parametrize(
    ("file", "sentence", "kind"),
    [
        ("b1_verify_stale_nonmaster", STALE, "key refused"),
        ("c2_verify_stale_master", STALE, "key refused"),
        ("g2_verify_no_role_nonmaster", NO_ROLE, "no credentials"),
        ("g3_verify_no_role_master", NO_ROLE, "no credentials"),
    ],
)
def test_what_sdk_v1_really_says_is_read_and_understood(version, file, sentence, kind):
    status, body = capture(f"s3/{version}/{file}")
    _, (failure,) = answers.verification(status, body)
    assert failure.sentence == sentence
    assert refusals.of(failure).kind == kind
    assert refusals.meaning(json.dumps(body)).kind == kind
    # The nodes' names are in the answer of a whole verification alone.
    _, everybody = capture(f"s3/{version}/a2_verify_ok")
    assert (failure.node_id in everybody["nodes"]) == ("nonmaster" in file)


@pytest.mark.parametrize("version", SDK_V1)
def test_sdk_v1_prints_the_error_code_as_the_table_of_versions_says(version):
    assert line(version).errors == "code"
    assert "Status Code: 403; Error Code: InvalidAccessKeyId;" in json.dumps(
        capture(f"s3/{version}/b1_verify_stale_nonmaster")
    )


@pytest.mark.parametrize("file", ["seaweedfs_without_keys", "seaweedfs_unknown_key"])
def test_another_services_words_for_an_unknown_key_are_understood(file):
    """Without "AWS" and with other capitals than S3's."""
    _, (failure,) = answers.verification(*capture(f"s3-compatible/8.18.0/{file}"))
    assert failure.sentence == "The access key ID you provided does not exist in our records."
    assert refusals.of(failure).kind == "key refused"
    assert refusals.unknown_key(failure.sentence)


KEYS = st.sampled_from(["error", "reason", "caused_by", "suppressed", "type", "nodes", "x"])
REASONS = st.text() | st.just("[r] [[MEAX3Dm4TWCK98keL3dTSQ, 'RemoteTransportException[[a]]; nested: X[y];']]")
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | REASONS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)
)


@given(st.integers(100, 599), BODIES | st.fixed_dictionaries({"error": st.dictionaries(KEYS, BODIES | REASONS)}))
def test_no_body_is_read_as_verified_unless_it_says_so(status, body):
    try:
        verified, failures = answers.verification(status, body)
    except Exception as error:
        pytest.fail(f"{type(error).__name__} on {body!r}")
    assert failures or status == 200
    assert verified == () or status == 200


def test_members_and_clients_of_a_real_answer():
    _, body = capture("api/8.19.3/nodes_info_all")
    flat = {
        "nodes": {
            node_id: {
                **node,
                "settings": {"s3.client.default.region": "eu-west-1", "s3.client.b.path_style_access": "true"},
            }
            for node_id, node in body["nodes"].items()
        }
    }
    (member,) = answers.members(flat)
    assert member.version == "8.19.3"
    assert member.transport == "127.0.0.33:9300"
    assert member.http == "127.0.0.33:9200"
    assert {client.name: (client.region, client.path_style_access) for client in member.clients} == {
        "default": ("eu-west-1", None),
        "b": (None, True),
    }


def test_a_publish_address_with_a_host_name_in_front_keeps_the_address():
    info = {"nodes": {"a": {"name": "n", "version": "8.19.3", "transport": {"publish_address": "es-1/10.0.0.1:9300"}}}}
    (member,) = answers.members(info)
    assert member.transport == "10.0.0.1:9300"
    assert member.http is None


def test_repositories_of_a_real_answer():
    _, body = capture("api/8.19.3/snapshot_repos")
    assert [(r.name, r.type, r.readonly) for r in answers.repositories(body)] == [
        ("B", "fs", False),
        ("R", "fs", False),
    ]


class TestCredentials:
    def test_none_without_any_variable(self):
        assert credentials({}) is None

    def test_user_with_password_file(self, tmp_path):
        file = tmp_path / "password"
        file.write_text("s3cret\n")
        found = credentials({"ES_PREFLIGHT_USER": "u", "ES_PREFLIGHT_PASSWORD_FILE": str(file)})
        assert (found.user, found.password, found.kind) == ("u", "s3cret", "user")
        assert "s3cret" not in repr(found)

    def test_the_api_key_comes_first(self):
        found = credentials({"ES_PREFLIGHT_API_KEY": "abc", "ES_PREFLIGHT_USER": "u"})
        assert found.kind == "api-key"
        assert "abc" not in repr(found)

    def test_an_inventorys_user_beats_the_environments_key(self, tmp_path):
        file = tmp_path / "password"
        file.write_text("x")
        found = credentials({"ES_PREFLIGHT_API_KEY": "abc"}, user="u", password_file=file)
        assert found.kind == "user"

    @pytest.mark.parametrize(
        ("environ", "says"),
        [
            ({"ES_PREFLIGHT_USER": "u"}, "set ES_PREFLIGHT_PASSWORD_FILE"),
            ({"ES_PREFLIGHT_PASSWORD_FILE": "/nowhere/p"}, "set ES_PREFLIGHT_USER"),
            (
                {"ES_PREFLIGHT_USER": "u", "ES_PREFLIGHT_PASSWORD_FILE": "/nowhere/p"},
                "cannot read the password file /nowhere/p",
            ),
        ],
    )
    def test_half_a_login_names_the_variable_to_set(self, environ, says):
        with pytest.raises(ValueError, match=says):
            credentials(environ)

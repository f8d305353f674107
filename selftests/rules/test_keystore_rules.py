"""KEY-1 and KEY-2: which keys count, and what is said of their use."""

from __future__ import annotations

import pytest
import surveys
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from surveys import STALE, healthy, with_cluster, with_keys, with_member, with_node

from preflight.facts import CouldNotCheck, Repository, S3Client, Unknown
from preflight.rules import keystore


def judge(survey, name="es-2"):
    return keystore.static_s3_keys(survey, survey.node(name))


@pytest.mark.parametrize(
    "setting",
    [
        "s3.client.default.access_key",
        "s3.client.default.secret_key",
        "s3.client.default.session_token",
        "s3.client.other.access_key",
        "s3.client.with-dash_1.secret_key",
    ],
)
def test_any_static_key_of_any_client_counts(setting):
    """Also for a client that no repository uses: it goes to AWS by default, and the next repository may name it."""
    finding = judge(with_keys(healthy(), "es-2", setting))

    assert finding is not None
    use = "in use now, accepted by S3 today"
    if ".default." not in setting:
        use = "not in use: no repository uses the client"
    assert finding.observed == f"{setting} in the keystore; {use}"


@pytest.mark.parametrize(
    "setting",
    [
        "s3.client.default.proxy.password",
        "xpack.security.http.ssl.keystore.secure_password",
        "azure.client.default.key",
        "s3.client.access_key",
        "xs3.client.default.access_key",
        "s3.client.default.access_key.old",
    ],
)
def test_other_secure_settings_do_not_count(setting):
    """Names are matched whole."""
    assert judge(with_keys(healthy(), "es-2", setting)) is None


def test_refused_keys_carry_awss_sentence():
    """The finding says what S3 said, for which repository, and never a value."""
    finding = judge(surveys.stale_keys(healthy(), "es-2"))

    assert finding is not None
    assert finding.observed == (
        "s3.client.default.access_key and s3.client.default.secret_key in the keystore; "
        f"in use now, refused by S3 (s3_backup): {STALE}"
    )
    assert not finding.warning


@pytest.mark.parametrize(
    "sentence",
    [
        "The AWS Access Key Id you provided does not exist in our records.",
        "The AWS Access Key ID you provided does not exist in our records",
        "the access key id you provided does not exist in our records",
        "Forbidden (Service: Amazon S3; Status Code: 403; Error Code: InvalidAccessKeyId; Request ID: 1)",
    ],
)
def test_refusal_is_recognised_in_every_wording(sentence):
    """SDK v1 prints a code, SDK v2 a sentence, and S3 has changed the sentence."""
    survey = surveys.verify_fails(with_keys(healthy(), "es-2", *surveys.STATIC_KEYS), "es-2", sentence)
    (keys,) = keystore.client_keys(survey, survey.node("es-2"))

    assert keys.refusal == sentence


@pytest.mark.parametrize("sentence", ["Access Denied", surveys.CONNECT_TIMED_OUT, surveys.NO_CREDENTIALS])
def test_another_failure_does_not_prove_the_keys_refused(sentence):
    """A denied or lost request says nothing against the key itself."""
    survey = surveys.verify_fails(with_keys(healthy(), "es-2", *surveys.STATIC_KEYS), "es-2", sentence)
    (keys,) = keystore.client_keys(survey, survey.node("es-2"))

    assert keys.refusal is None
    assert judge(survey).observed.endswith("cannot tell whether in use: _verify on this node does not show it")


def test_a_refusal_of_another_node_is_not_this_nodes():
    """`_verify` names the node: a key on es-3 is not held refused because es-2's is."""
    survey = with_keys(surveys.stale_keys(healthy(), "es-2"), "es-3", *surveys.STATIC_KEYS)

    assert "refused by S3" in judge(survey, "es-2").observed
    assert "refused by S3" not in judge(survey, "es-3").observed


@pytest.mark.parametrize("sentence", [None, surveys.NO_CREDENTIALS])
def test_keys_that_wait_on_disk(sentence):
    """Younger than the process, which works without them, or says itself that it holds no key."""
    survey = with_keys(healthy(), "es-2", *surveys.STATIC_KEYS, modified=surveys.STARTED - 10)
    if sentence:
        survey = surveys.verify_fails(survey, "es-2", sentence)

    assert "in the keystore; on disk and not loaded yet: the file changed after" in judge(survey).observed


@pytest.mark.parametrize("sentence", ["Access Denied", surveys.CONNECT_TIMED_OUT])
def test_a_younger_file_alone_tells_nothing(sentence):
    """Without `_verify`'s word the time of a change decides nothing."""
    survey = with_keys(healthy(), "es-2", *surveys.STATIC_KEYS, modified=surveys.STARTED - 10)
    survey = surveys.verify_fails(survey, "es-2", sentence)

    assert "cannot tell whether in use" in judge(survey).observed


@pytest.mark.parametrize(
    ("late", "owner", "creatable", "use"),
    [
        (1.0, "root", False, "accepted"),
        (60.0, "elasticsearch", True, "unknown"),
        (60.0, "elasticsearch", False, "waiting"),
        (60.0, "root", True, "waiting"),
        (180.0, "elasticsearch", True, "waiting"),
    ],
)
def test_what_elasticsearch_writes_itself_at_its_start_is_not_held_against_it(late, owner, creatable, use):
    """A format upgrade touches the file within two minutes, where Elasticsearch's user may write the folder."""
    survey = with_keys(healthy(), "es-2", *surveys.STATIC_KEYS)
    node = survey.node("es-2")
    file = replace(node.keystore, modified=node.process.started + late, owner=owner, creatable_by_service=creatable)
    survey = with_node(survey, "es-2", keystore=file)

    assert [keys.use for keys in keystore.client_keys(survey, survey.node("es-2"))] == [use]


def test_keys_only_in_memory_are_told_from_none():
    """The keystore is clean and passes; what S3 says of this node's key is kept for REPO-1's cause."""
    survey = surveys.stale_in_memory(healthy(), "es-2")

    assert judge(survey) is None
    assert keystore.only_in_memory(survey, survey.node("es-2")) == STALE
    assert keystore.only_in_memory(survey, survey.node("es-3")) is None
    loaded = surveys.stale_keys(healthy(), "es-2")
    assert keystore.only_in_memory(loaded, loaded.node("es-2")) is None


def test_keys_in_use_and_accepted_still_fail():
    """They work until the day they are rotated."""
    assert judge(with_keys(healthy(), "es-2", *surveys.STATIC_KEYS)).observed.endswith(
        "in use now, accepted by S3 today"
    )


def test_a_client_that_goes_elsewhere_keeps_its_keys():
    """A repository's own endpoint wins over the client's."""
    survey = with_cluster(
        healthy(),
        repositories=(Repository(name="r", type="s3", bucket="b", endpoint="https://minio.example.net"),),
    )

    assert judge(with_keys(survey, "es-2", *surveys.STATIC_KEYS)) is None


def test_a_client_that_goes_to_both_is_found():
    """One repository on AWS is enough."""
    cluster = healthy().clusters[0]
    survey = with_cluster(
        healthy(),
        repositories=(
            *cluster.repositories,
            Repository(name="r", type="s3", bucket="b", endpoint="https://minio.example.net"),
        ),
    )

    assert judge(with_keys(survey, "es-2", *surveys.STATIC_KEYS)) is not None


@pytest.mark.parametrize(
    ("endpoint", "aws"),
    [
        ("s3.eu-west-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", True),
        ("minio.internal:9000", False),
        ("http://10.0.0.4:9000", False),
        ("https://s3.amazonaws.com.example.net", False),
    ],
)
def test_which_endpoints_are_aws(endpoint, aws):
    """A look-alike host name isn't Amazon's."""
    survey = with_member(healthy(), "es-2", clients=(S3Client(name="default", endpoint=endpoint),))

    assert (judge(with_keys(survey, "es-2", *surveys.STATIC_KEYS)) is not None) is aws


def test_an_unused_client_with_an_endpoint_elsewhere_is_quiet():
    """No repository names it, and its own endpoint is not AWS."""
    clients = (S3Client(name="minio", endpoint="https://minio.example.net"),)
    survey = with_member(with_keys(healthy(), "es-2", "s3.client.minio.access_key"), "es-2", clients=clients)

    assert judge(survey) is None


def test_without_a_login_the_nodes_own_file_says_where_the_client_goes():
    """The most useful finding needs no Elasticsearch login."""
    why = Unknown(reason="no login for Elasticsearch was given")
    survey = replace(with_keys(healthy(), "es-2", *surveys.STATIC_KEYS), clusters=())
    survey = with_node(survey, "es-2", view=why)

    finding = judge(survey)
    assert finding is not None
    assert "its repositories are unknown" in finding.details[0]


def test_an_unknown_configuration_leaves_keys_undecided():
    """Keys are there, where they go is not known: neither pass nor fail."""
    why = Unknown(reason="elasticsearch.yml cannot be read")
    survey = with_node(with_keys(healthy(), "es-2", *surveys.STATIC_KEYS), "es-2", view=why, config=why)

    with pytest.raises(CouldNotCheck, match=r"elasticsearch\.yml cannot be read"):
        judge(replace(survey, clusters=()))


def test_an_unknown_keystore_is_never_a_pass():
    """A file that cannot be read holds who knows what."""
    survey = with_node(healthy(), "es-2", keystore=Unknown(reason="permission denied", remedy="--sudo"))

    with pytest.raises(CouldNotCheck, match="permission denied"):
        judge(survey)


def test_an_absent_keystore_holds_no_key():
    """No file, no key: that was seen, not assumed."""
    file = healthy().node("es-2").keystore
    survey = with_node(healthy(), "es-2", keystore=replace(file, exists=False, settings=(), modified=None))

    assert judge(survey) is None


def test_discovery_keys_are_a_warning():
    """KEY-2 names them."""
    survey = with_keys(healthy(), "es-2", "discovery.ec2.access_key", "discovery.ec2.secret_key")
    finding = keystore.discovery_ec2_keys(survey.node("es-2"))

    assert finding is not None
    assert finding.warning
    assert finding.observed == "discovery.ec2.access_key and discovery.ec2.secret_key in the keystore"
    assert judge(survey) is None


@given(st.lists(st.from_regex(r"[A-Za-z0-9_.-]{1,40}", fullmatch=True), max_size=8))
def test_no_name_raises(names):
    """Whatever a keystore names, the rule answers."""
    judge(with_keys(healthy(), "es-2", *names))

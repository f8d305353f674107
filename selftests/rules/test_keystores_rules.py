"""KEY-3 to KEY-5: whole pairs, the same clients everywhere, and a file that can be read again."""

from __future__ import annotations

import pytest
import surveys
from judged import judged, not_passed
from msgspec.structs import replace
from shapes import elsewhere
from surveys import healthy, with_cluster, with_keys, with_member, with_node

from preflight.diagnosis import diagnose
from preflight.facts import CouldNotCheck, Repository, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import keystores

MINIO = ("s3.client.minio.access_key", "s3.client.minio.secret_key")


# -- KEY-3 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (("access_key",), "Missing secret key for s3 client [x]"),
        (("access_key", "session_token"), "Missing secret key for s3 client [x]"),
        (("secret_key",), "Missing access key for s3 client [x]"),
        (("secret_key", "session_token"), "Missing access key for s3 client [x]"),
        (("session_token",), "Missing access key and secret key for s3 client [x]"),
    ],
)
def test_half_a_pair_is_said_in_elasticsearchs_words(parts, says):
    """S3ClientSettings.loadCredentials: the order of its questions, for a client that nobody uses too."""
    survey = with_keys(healthy(), "es-2", *(f"s3.client.x.{part}" for part in parts))
    finding = keystores.whole_pairs(survey, survey.node("es-2"))

    assert finding is not None
    assert finding.details == (says,)
    assert finding.observed.endswith("a reload is refused and the next start ends")


@pytest.mark.parametrize(
    "parts",
    [
        (),
        ("access_key", "secret_key"),
        ("access_key", "secret_key", "session_token"),
        ("proxy.username",),
        ("proxy.password",),
    ],
)
def test_whole_pairs_and_other_settings_are_quiet(parts):
    """A proxy's user without a password is no pair of keys."""
    survey = with_keys(healthy(), "es-2", *(f"s3.client.x.{part}" for part in parts))

    assert keystores.whole_pairs(survey, survey.node("es-2")) is None


def test_halves_of_two_clients_make_no_pair():
    """Names are matched client by client."""
    survey = with_keys(healthy(), "es-2", "s3.client.a.access_key", "s3.client.b.secret_key")
    finding = keystores.whole_pairs(survey, survey.node("es-2"))

    assert finding is not None
    assert len(finding.details) == 2


# -- KEY-4 -------------------------------------------------------------------------------------------------------------


def same(survey, name):
    return keystores.same_clients(survey, survey.node(name))


def test_a_node_without_the_keys_of_another_service_is_off_the_majority():
    """The others are not held against it."""
    survey = with_keys(elsewhere(healthy()), "es-2")
    outcomes = judged(survey)

    assert not_passed(outcomes) == {("KEY-4", "es-2"): "fail"}
    assert same(survey, "es-2").observed == f"lacks {MINIO[0]} and {MINIO[1]} of es-1 and es-3"
    (cause,) = diagnose(survey, outcomes).causes
    assert (cause.id, cause.nodes) == ("keystore-differs", ("es-2",))
    assert [command.text.split(" ", 2)[2] for command in cause.remedy.commands[1:]] == [
        f"/usr/share/elasticsearch/bin/elasticsearch-keystore add {name}" for name in MINIO
    ]
    assert "those of es-1 and es-3" in cause.remedy.caution


def test_without_a_majority_each_pair_is_named():
    """Two nodes that differ: both fail, neither is called right, nothing is removed."""
    survey = with_keys(elsewhere(healthy()), "es-2", MINIO[0], MINIO[1], "s3.client.minio.session_token")
    survey = with_keys(survey, "es-3")

    assert same(survey, "es-1").observed == (
        f"lacks s3.client.minio.session_token of es-2; has {MINIO[0]} and {MINIO[1]}, unlike es-3"
    )
    assert same(survey, "es-3").observed.count("lacks") == 2
    outcomes = judged(survey)
    assert {pair for pair in not_passed(outcomes) if pair[0] == "KEY-4"} == {("KEY-4", f"es-{n}") for n in (1, 2, 3)}
    assert not any(" remove " in command.text for o in outcomes if o.remedy for command in o.remedy.commands)


@pytest.mark.parametrize(
    "settings",
    [
        surveys.STATIC_KEYS,
        ("s3.client.unused.access_key", "s3.client.unused.proxy.password"),
        ("azure.client.default.key",),
    ],
)
def test_what_is_key_1s_or_nobodys_is_left_out(settings):
    """Keys of a client that goes to AWS, of a client no repository uses, other plugins' settings."""
    survey = with_keys(healthy(), "es-2", *settings)

    assert [same(survey, name) for name in ("es-1", "es-2", "es-3")] == [None, None, None]


def test_a_proxys_password_counts_for_aws_too():
    """It is no key, and the client cannot connect without it."""
    survey = with_keys(healthy(), "es-2", "s3.client.default.proxy.password")

    assert same(survey, "es-2").observed == "has s3.client.default.proxy.password, unlike es-1 and es-3"
    assert same(survey, "es-1") is None


def test_a_client_used_for_both_is_key_1s():
    """One of its repositories goes to AWS: the keys are reported where they are, not where they are missing."""
    cluster = healthy().clusters[0]
    both = Repository(name="r", type="s3", bucket="b", endpoint="https://minio.example.net")
    survey = with_cluster(healthy(), repositories=(*cluster.repositories, both))

    assert same(with_keys(survey, "es-2", *surveys.STATIC_KEYS), "es-2") is None


def test_a_coordinating_node_needs_no_client():
    """It is neither judged nor counted."""
    survey = with_member(with_keys(elsewhere(healthy()), "es-3"), "es-3", roles=())

    with pytest.raises(NotApplicable, match="never reads or writes snapshots"):
        same(survey, "es-3")
    assert same(survey, "es-1") is None


def test_one_node_alone_has_nothing_to_compare():
    """Not applicable, not passed."""
    with pytest.raises(NotApplicable, match="to compare with"):
        same(healthy(1), "es-1")


def test_unreadable_peers_are_no_pass():
    """Nobody is known to have the same."""
    survey = healthy()
    for name in ("es-2", "es-3"):
        survey = with_node(survey, name, keystore=Unknown(reason="permission denied"))

    with pytest.raises(CouldNotCheck, match="see es-2's"):
        same(survey, "es-1")


# -- KEY-5 -------------------------------------------------------------------------------------------------------------


def in_order(node=None, *, layout="deb", user="elasticsearch", **changes):
    node = node or healthy().node("es-2")
    install = replace(node.install, layout=layout, service_user=user)
    process = replace(node.process, user=user) if node.process else None
    return keystores.file_in_order(
        replace(node, keystore=replace(node.keystore, **changes), install=install, process=process)
    )


@pytest.mark.parametrize(
    ("layout", "user", "owner", "group", "mode"),
    [
        ("deb", "elasticsearch", "root", "elasticsearch", "0660"),
        ("rpm", "elasticsearch", "root", "elasticsearch", "0640"),
        ("tar", "search", "search", "search", "0660"),
        ("tar", "search", "search", "search", "0600"),
        ("docker", "1000", "1000", "root", "0660"),
        ("deb", "search", "search", "search", "0660"),
    ],
)
def test_healthy_files(layout, user, owner, group, mode):
    """Stricter than the package is fine, another user by a drop-in too."""
    assert in_order(layout=layout, user=user, owner=owner, group=group, mode=mode) is None


@pytest.mark.parametrize(
    ("layout", "user", "owner", "group", "mode"),
    [
        ("deb", "elasticsearch", "elasticsearch", "elasticsearch", "0660"),
        ("deb", "elasticsearch", "root", "elasticsearch", "0664"),
        ("tar", "search", "root", "search", "0660"),
    ],
)
def test_another_owner_or_an_open_mode_is_a_warning(layout, user, owner, group, mode):
    """Elasticsearch reads it; the tool will not, or others may."""
    finding = in_order(layout=layout, user=user, owner=owner, group=group, mode=mode)

    assert finding is not None
    assert finding.warning


def test_a_closed_file_and_a_closed_folder_are_told_apart():
    """The file's own mode is right where a folder above keeps the user out: chmod of the file would mend nothing."""
    closed = in_order(readable_by_service=False, group="root", mode="0600")
    folder = in_order(readable_by_service=False)

    assert "is root:root 0600 and Elasticsearch runs as elasticsearch: that user may not read it" in closed.observed
    assert "a folder above it keeps that user out" in folder.observed
    assert not closed.warning and not folder.warning


def test_what_modes_do_not_decide_could_not_be_checked():
    """An access control list: neither pass nor fail."""
    with pytest.raises(CouldNotCheck, match="whether elasticsearch may read"):
        in_order(readable_by_service=None)


GONE = {"exists": False, "settings": (), "modified": None, "readable_by_service": None}


@pytest.mark.parametrize(
    ("running", "creatable", "words"),
    [
        (True, False, "may not write its folder: the next start ends"),
        (False, False, "may not write its folder: the next start ends"),
        (True, True, "is gone since Elasticsearch started"),
        (False, True, None),
    ],
)
def test_an_absent_file(running, creatable, words):
    """Elasticsearch makes one where it may; a process that runs has had one."""
    node = healthy().node("es-2")
    if not running:
        node = replace(node, process=None)
    finding = in_order(node, creatable_by_service=creatable, **GONE)

    assert (finding is None) == (words is None)
    assert words is None or words in finding.observed


def test_an_absent_file_in_a_folder_nobody_saw():
    """What a start would do is not known."""
    with pytest.raises(CouldNotCheck, match="whether elasticsearch may make one"):
        in_order(creatable_by_service=None, **GONE)


def test_older_facts_leave_it_unchecked():
    """facts.json of a run before these fields existed: not a pass."""
    survey = with_node(healthy(), "es-2", keystore=replace(healthy().node("es-2").keystore, readable_by_service=None))

    assert not_passed(judged(survey)) == {
        ("KEY-5", "es-2"): "could not check",
        ("RESTART-1", "es-2"): "could not check",
    }

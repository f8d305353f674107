"""ROLE-3: whether the role reaches the buckets that it signs for, and what that means for the keys."""

from __future__ import annotations

import pytest
import surveys
from judged import judged
from msgspec.structs import replace
from surveys import healthy, role_refused, stale_keys, verify_fails, with_node

from preflight import remedy
from preflight.diagnosis import diagnose
from preflight.facts import CouldNotCheck, SignedList, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import signing


def refused(survey=None, message="Access Denied", **answer):
    given = {"status": 403, "code": "AccessDenied", "message": message, **answer}
    return role_refused(survey or healthy(), "es-2", SignedList(**given))


def judge(survey, name="es-2"):
    return signing.reaches(survey, survey.node(name))


def test_a_role_that_s3_denies_is_told_in_its_own_words():
    """Code and sentence, the role's name and the repository's."""
    survey = verify_fails(refused(), "es-2", "Access Denied")
    finding = judge(survey)

    assert finding.observed == "s3_backup: S3 refuses role es-node: HTTP 403 AccessDenied: Access Denied"
    assert not finding.warning
    assert judge(survey, "es-1") is None


def test_a_list_alone_that_is_denied_is_worth_a_look():
    """`_verify` passes with that very role: it may write and read, and not list."""
    finding = judge(refused())

    assert finding.warning
    assert finding.observed.endswith("_verify passes on this node")


def test_a_role_of_another_node_type_that_reaches_the_bucket_is_quiet():
    """Which role it is does not matter here."""
    survey = surveys.other_role(healthy(), "es-2")

    assert judge(survey) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 301, "code": "PermanentRedirect", "message": None}, "asks for s3_backup elsewhere"),
        ({"status": 400, "code": "AuthorizationHeaderMalformed", "message": "the region is wrong"}, "elsewhere"),
        ({"status": 404, "code": "NoSuchBucket", "message": "The specified bucket does not exist"}, "elsewhere"),
    ],
)
def test_a_bucket_that_is_elsewhere_says_nothing_of_the_role(answer, said):
    """Another region's bucket, or none: a right role hears the same."""
    with pytest.raises(NotApplicable, match=said):
        judge(role_refused(healthy(), "es-2", SignedList(**answer)))


def test_without_a_role_or_a_path_the_other_check_speaks():
    """ROLE-1 and PATH-1 have the finding."""
    with pytest.raises(NotApplicable, match="ROLE-1"):
        judge(surveys.no_instance_role(healthy(), "es-2"))
    with pytest.raises(NotApplicable, match="PATH-1"):
        judge(surveys.s3_cut_off(healthy(), "es-2"))


def test_what_was_not_tried_is_no_pass():
    """Neither with a reason of its own nor without one; only Elasticsearch's own proof stands in."""
    node = healthy().node("es-2")
    untried = (replace(node.buckets[0], signed_list=Unknown(reason="not tried: no Python here")),)
    unverified = surveys.with_cluster(healthy(), verifications=Unknown(reason="not called"))
    with pytest.raises(CouldNotCheck, match="no Python here"):
        judge(with_node(unverified, "es-2", buckets=untried))
    with pytest.raises(CouldNotCheck, match="was not tried"):
        judge(with_node(unverified, "es-2", buckets=()))
    assert judge(with_node(healthy(), "es-2", buckets=untried)) is None


def test_accepted_keys_sign_and_the_role_is_not_held_against_the_node():
    """A static key in use and accepted: the role is asked by nobody, until the key goes."""
    survey = healthy()
    survey = with_node(survey, "es-2", keystore=replace(survey.node("es-2").keystore, settings=surveys.STATIC_KEYS))
    with pytest.raises(NotApplicable, match="static keys in the keystore sign for s3_backup"):
        judge(refused(survey))


def test_keys_from_the_environment_that_s3_accepts_sign_as_well():
    """8.19 uses them where the keystore holds none."""
    survey = surveys.started_with(healthy(), "es-2", variables=surveys.ENVIRONMENT_KEYS)
    with pytest.raises(NotApplicable, match="static keys in the environment sign for s3_backup"):
        judge(refused(survey))


def test_the_same_role_accepted_elsewhere_is_a_matter_of_place():
    """The role's policies are the same on every node; the bucket's or the endpoint's are not."""
    survey = verify_fails(refused(), "es-2", "Access Denied")
    (cause,) = diagnose(survey, judged(survey)).causes

    assert cause.id == "policy-denies-node"
    assert set(cause.explains) == {("ROLE-3", "es-2"), ("REPO-1", "es-2")}
    assert any("es-1 reaches the bucket of s3_backup with role es-node" in line for line in cause.evidence)
    assert any("this node's place decides" in line for line in cause.remedy.advice)


def test_a_declared_client_needs_no_role():
    """The inventory says that its keys are meant."""
    survey = with_node(refused(), "es-2", static_key_clients=("default",))
    with pytest.raises(NotApplicable, match="declared to sign with static keys"):
        judge(survey)


def test_stale_keys_stay_where_the_role_is_denied():
    """The case where removing would hurt: the runbook's first line refuses, and no command removes anything."""
    survey = refused(stale_keys(healthy(), "es-2"))
    outcomes = judged(survey)
    causes = {cause.id: cause for cause in diagnose(survey, outcomes).causes}

    assert {(o.check, o.node): o.outcome for o in outcomes if o.outcome == "fail"} == {
        ("KEY-1", "es-2"): "fail",
        ("ROLE-3", "es-2"): "fail",
        ("REPO-1", "es-2"): "fail",
    }
    assert set(causes) == {"policy-denies-node", "stale-static-keys"}
    assert causes["policy-denies-node"].explains == (("ROLE-3", "es-2"),)
    keys = causes["stale-static-keys"].remedy
    assert keys.caution == (
        "do not remove yet: role not proven on es-2: "
        "S3 answers a list signed with the role with HTTP 403 AccessDenied: Access Denied"
    )
    assert not [command for command in keys.commands if "elasticsearch-keystore" in command.text]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Access Denied", "which policy forbids it is not proven"),
        (
            "User: arn:aws:sts::123456789012:assumed-role/es-node/i-1 is not authorized to perform: s3:ListBucket on "
            'resource: "arn:aws:s3:::es-snapshots" because no identity-based policy allows the s3:ListBucket action',
            "the role's own policies lack the action",
        ),
        ("... with an explicit deny in a VPC endpoint policy", "the policy of the VPC's S3 endpoint denies it"),
    ],
)
def test_the_remedy_shows_and_changes_nothing(message, said):
    """AWS's own reason where it gives one; the actions a repository needs; commands that only read."""
    survey = refused(message=message)
    found = remedy.allow_role(survey, survey.node("es-2"))

    assert found.caution.startswith("do not remove any key of this node") and said in found.caution
    assert all(c.text.split()[2].startswith(("list-", "get-")) for c in found.commands)
    assert "s3:ListBucket" in found.advice[0] and "arn:aws:s3:::es-snapshots:" in found.advice[0]
    assert "s3:PutObject" in found.advice[1] and "arn:aws:s3:::es-snapshots/*:" in found.advice[1]


def test_a_role_that_only_this_node_has_is_asked_about():
    """The peers' role reaches the bucket; the profile may be the mistake."""
    survey = surveys.role_without_bucket_access(healthy(), "es-2")
    found = remedy.allow_role(survey, survey.node("es-2"))

    assert any("role es-node of es-1 and es-3 reaches the bucket" in line for line in found.advice)

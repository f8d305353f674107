"""What is said and printed of nodes that AWS Systems Manager reaches: nothing that needs a login's own shell."""

import pytest
import surveys
from msgspec.structs import replace
from surveys import healthy, with_node

from preflight.facts import CouldNotCheck, Login, Unknown
from preflight.remedy import asking, process
from preflight.rules import rotation

SESSION = "aws ssm start-session --target i-0123456789abcdef0"
LOGIN = Login(user="root", sudo_user=None, carrier="ssm", milliseconds=9.0, host_key="not applicable")


def over_ssm(survey, name, **changes):
    return with_node(survey, name, ssh=SESSION, login=LOGIN, **changes)


def test_a_host_that_was_not_reached_is_tried_with_a_session():
    survey = with_node(healthy(), "es-2", ssh=SESSION, login=Unknown(reason="not online", remedy="see its agent"))
    mend = process.reach_host(survey, survey.node("es-2"))
    assert [command.text for command in mend.commands] == [SESSION]
    assert mend.advice == ("see its agent",)


def test_elasticsearch_is_asked_from_here_at_the_address_that_the_run_asked():
    survey = healthy()
    view = replace(survey.node("es-2").view, url="https://logs.example.net:9200", carrier="direct")
    survey = over_ssm(survey, "es-2", view=view)
    command = asking.verify_on(survey, survey.node("es-2"), "s3_backup")
    assert command.where == "controller" and "aws ssm" not in command.text and "sudo" not in command.text
    assert command.text.endswith("-X POST https://logs.example.net:9200/_snapshot/s3_backup/_verify")
    assert "/etc/elasticsearch" not in command.text


@pytest.mark.parametrize("carrier", ["ssm", "paramiko"])
def test_keys_that_could_not_be_compared_say_why(carrier):
    survey = healthy()
    for name in ("es-1", "es-2"):
        file = replace(survey.node(name).keystore, settings=surveys.STATIC_KEYS, access_keys=None)
        survey = with_node(survey, name, keystore=file, login=replace(LOGIN, carrier=carrier))
    with pytest.raises(CouldNotCheck) as caught:
        rotation.same_keys(survey, survey.node("es-2"))
    assert ("not sent over ssm://" in str(caught.value)) is (carrier == "ssm")

"""What is said and printed of nodes that AWS Systems Manager reaches: nothing that needs a login's own shell."""

import pytest
import surveys
from msgspec.structs import replace
from surveys import healthy, with_node

from preflight.facts import CouldNotCheck, Login, Unknown
from preflight.remedy import asking, process, steps
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


@pytest.mark.parametrize(
    ("url", "document", "parameters"),
    [
        ("https://127.0.0.1:9200", "AWS-StartPortForwardingSession", "portNumber=9200,localPortNumber=19200"),
        (
            "https://10.0.1.12:9201",
            "AWS-StartPortForwardingSessionToRemoteHost",
            "host=10.0.1.12,portNumber=9201,localPortNumber=19200",
        ),
    ],
)
def test_elasticsearch_that_a_session_asked_is_asked_through_one_that_is_printed(url, document, parameters):
    survey = healthy()
    survey = over_ssm(survey, "es-2", view=replace(survey.node("es-2").view, url=url, carrier="session"))
    node = survey.node("es-2")
    command = asking.verify_on(survey, node, "s3_backup")
    assert command.where == "controller"
    assert command.text.endswith(f"--connect-to ::127.0.0.1:19200 -X POST {url}/_snapshot/s3_backup/_verify")
    first, certificate = asking.about_curl(node)
    assert first.endswith(f": {SESSION} --document-name {document} --parameters {parameters}")
    assert "on the node it is /etc/elasticsearch/" in certificate and "add -k" not in certificate
    (step,) = steps.verify(survey, node, ["s3_backup"])
    assert first in step.notes and first in steps.reload(survey, node).notes
    assert asking.beforehand(survey.node("es-1")) == ()


@pytest.mark.parametrize("carrier", ["ssm", "paramiko"])
def test_keys_that_could_not_be_compared_say_why(carrier):
    survey = healthy()
    for name in ("es-1", "es-2"):
        file = replace(survey.node(name).keystore, settings=surveys.STATIC_KEYS, access_keys=None)
        survey = with_node(survey, name, keystore=file, login=replace(LOGIN, carrier=carrier))
    with pytest.raises(CouldNotCheck) as caught:
        rotation.same_keys(survey, survey.node("es-2"))
    assert ("not sent over ssm://" in str(caught.value)) is (carrier == "ssm")

"""A secret that got into a test never gets out of it, in any form of output at any verbosity."""

from __future__ import annotations

import base64
import logging
import re

import pytest

from preflight import redaction

KEY = "AKIA" + "Z7QW3E5R2T4Y6U8I"
SECRET = "wJalrXUtnFEMI" + "/K7MDENG/bPxRfiCYcanaryKEY+1"
TOKEN = "ghs" + "CanaryTokenOfThisTest1234567890"
BASIC = "ZWxhc3RpYzpjYW5hcnktcGFzc3dvcmQx"
CANARIES = (KEY, KEY[4:], SECRET, TOKEN, BASIC, "canary-password")

LEAKS = '''
import logging, warnings, sys
import pytest, pytest_html
from preflight.check import check
from preflight.facts import CouldNotCheck
from preflight.judgement import Finding, require

KEY = "AKIA" "Z7QW3E5R2T4Y6U8I"
SECRET = "wJalrXUtnFEMI" "/K7MDENG/bPxRfiCYcanaryKEY+1"
TOKEN = "ghs" "CanaryTokenOfThisTest1234567890"
BASIC = "ZWxhc3RpYzpjYW5hcnktcGFzc3dvcmQx"
URL = "https://elastic:" + "canary-password@es-1:9200"
ALL = f"{KEY} secret_key={SECRET} 'session_token': '{TOKEN}' Authorization: Basic {BASIC} {URL}"

def leak():
    print(ALL)
    print(ALL, file=sys.stderr)
    logging.getLogger("leak").debug("%s", ALL)
    try:
        raise OSError(ALL)
    except OSError:
        logging.getLogger("leak").exception("with a traceback")

@check("LEAK-1", severity="high", needs=())
def test_finding(node):
    """One."""
    leak()
    require(Finding(observed=ALL, expected=ALL, details=(ALL,)))

@check("LEAK-2", severity="high", needs=())
def test_assert(node):
    """Two."""
    leak()
    assert ALL == "x", ALL

@check("LEAK-3", severity="high", needs=())
def test_bug(node):
    """Three."""
    leak()
    raise KeyError(ALL)

@check("LEAK-4", severity="high", needs=())
def test_unknown(node):
    """Four."""
    raise CouldNotCheck(ALL, ALL)

@check("LEAK-5", severity="high", needs=())
def test_skipped(node):
    """Five."""
    pytest.skip(ALL)

def test_own(node):
    secret_key = ALL
    leak()
    assert {"secret_key": SECRET, "key": KEY} == {"secret_key": TOKEN}, ALL

def test_plain():
    credentials = ALL
    leak()
    assert ALL == "x"

def test_plain_error():
    local = ALL
    leak()
    raise RuntimeError(ALL)

def test_passes():
    leak()

@pytest.fixture
def leaking():
    leak()
    yield
    leak()
    raise RuntimeError(ALL)

def test_teardown(leaking): pass

def test_beside_the_report(record_testsuite_property, extras):
    record_testsuite_property("note", ALL)
    extras.append(pytest_html.extras.text(ALL, name="attached"))

def test_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn(ALL)
'''


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("-vv", "-l", "--log-level=DEBUG", "-rA"),
        ("-n2", "-l", "--tb=long", "--log-level=DEBUG", "-o", "junit_logging=all"),
    ],
    ids=["default", "loud", "xdist"],
)
def test_no_canary_gets_out(project, args):
    project.tests(LEAKS)
    result = project.run(*args, apart=True)
    assert result.ret == 1
    files = {path.name: path.read_text() for path in project.report.iterdir()}
    assert set(files) == {"report.html", "runbook.md", "junit.xml", "facts.json", "results.jsonl"}
    attached = re.findall(r"base64,([A-Za-z0-9+/=]{40,})", files["report.html"])
    files["attachments"] = "".join(base64.b64decode(text).decode() for text in attached)
    assert "AKIA****" in files["attachments"]
    outputs = {"stdout": result.stdout.str(), "stderr": result.stderr.str(), **files}
    leaks = {(where, canary) for where, text in outputs.items() for canary in CANARIES if canary in text}
    assert leaks == set()
    assert "AKIA****" in outputs["stdout"] and "AKIA****" in files["results.jsonl"]


def test_internal_error_is_masked(project):
    project.pytester.makeconftest(
        (project.path / "conftest.py").read_text()
        + "\ndef pytest_runtest_setup(item): raise RuntimeError('never')\n"
        + f"def pytest_runtest_protocol(item): raise RuntimeError('key AKIA' + '{KEY[4:]}')\n"
    )
    result = project.run(apart=True)
    assert result.ret == 3
    text = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" in text and "AKIA****" in text and KEY not in text


def test_the_runs_own_login_is_masked_by_value(project, monkeypatch):
    monkeypatch.setenv("ES_PREFLIGHT_API_KEY", "anything at all")
    project.tests("import os\ndef test_own(node): assert 0, 'it is ' + os.environ['ES_PREFLIGHT_API_KEY']\n")
    result = project.run("-l")
    assert result.ret == 1
    assert "it is ****" in result.stdout.str()
    for text in (result.stdout.str(), *(path.read_text() for path in project.report.iterdir())):
        assert "anything at all" not in text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key ASIAZ7QW3E5R2T4Y6U8I.", "key ASIA****."),
        ("cut short: AKIAZ7Q...6U8I", "cut short: AKIA****"),
        ("secret_key=abc", "secret_key=****"),
        ('{"secret_key": "abc"}', '{"secret_key": "****"}'),
        ("&#34;password&#34;: &#34;abc&#34;", "&#34;password&#34;: &#34;****&#34;"),
        ("https://u:p@host/x", "https://u:****@host/x"),
        ("Authorization: ApiKey YWJj", "Authorization: ApiKey ****"),
        ("X-Amz-Signature=0123abcd&x=1", "X-Amz-Signature=****&x=1"),
    ],
)
def test_masks(text, masked):
    assert redaction.redact(text) == masked
    assert redaction.redact(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "static keys s3.client.default.access_key, s3.client.default.secret_key in the keystore",
        "sudo elasticsearch-keystore remove s3.client.default.access_key s3.client.default.secret_key",
        "set ES_PREFLIGHT_USER and ES_PREFLIGHT_PASSWORD_FILE",
        'curl -H "Authorization: ApiKey $ES_PREFLIGHT_API_KEY" https://es-1:9200/_nodes',
        """printf 'header = "Authorization: ApiKey %s"\\n' "$ES_PREFLIGHT_API_KEY" | ssh es-2 curl""",
        '"token_status": 200, "credentials": null',
        "IMDSv2 token: refused after 3 ms",
        "secret_key: set in the keystore",
        "ASIA-PACIFIC and AKIA alone",
        "a sudoers line on that node: admin ALL=(root) NOPASSWD: /usr/bin/python3",
    ],
)
def test_leaves_our_own_words_alone(text):
    assert redaction.redact(text) == text


def test_log_records_are_born_masked(caplog):
    redaction.start()
    try:
        with caplog.at_level(logging.DEBUG):
            logging.getLogger("canary").debug("%s of %d", KEY, 2)
    finally:
        redaction.stop()
    assert "AKIA**** of 2" in caplog.text and KEY not in caplog.text


def test_a_log_record_that_does_not_fit_is_left_to_its_handler():
    redaction.start()
    try:
        record = logging.getLogRecordFactory()("canary", logging.INFO, "f", 1, "%d", ("wrong",), None)
    finally:
        redaction.stop()
    assert record.msg == "%d" and record.args == ("wrong",)

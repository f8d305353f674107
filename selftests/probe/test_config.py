"""elasticsearch.yml: names of all, values of the harmless, and a line number where it is not understood."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preflight.probe.sections.config import SECRET, SHOWN, BadLine, masked, parse

FULL = b"""\
# ---------------------------------- Cluster -----------------------------------
---
cluster.name: "logs # not a comment"   # a comment
node:
  name: ${HOSTNAME}
  attr:
    rack: r1
node.roles: [ master, "data", 'ingest' ]
path.data:
  - /a
  - "/b"   # the second
discovery.seed_hosts: [
  10.0.0.1,   # first
  "[::1]:9300" ]
s3.client.default:
    region: ap-northeast-2
    endpoint: https://s3.example.org
s3: { client: { other: { region: eu-west-1 } } }
http.port: 9200
xpack.security.enabled: true
empty.one:
null.one: ~
text.block: |
    anything: here
      # even this

after: 'it''s'
"quoted.name": x
...
"""


def test_the_ways_it_is_written():
    found = parse(FULL)
    assert found == {
        "cluster.name": "logs # not a comment",
        "node.name": "${HOSTNAME}",
        "node.attr.rack": "r1",
        "node.roles": "master,data,ingest",
        "path.data": "/a,/b",
        "discovery.seed_hosts": "10.0.0.1,[::1]:9300",
        "s3.client.default.region": "ap-northeast-2",
        "s3.client.default.endpoint": "https://s3.example.org",
        "s3.client.other.region": "eu-west-1",
        "http.port": "9200",
        "xpack.security.enabled": "true",
        "empty.one": "",
        "null.one": "",
        "text.block": "",
        "after": "it's",
        "quoted.name": "x",
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"a: 1\nb c d\n", 2),
        (b"a: 1\n  b: 2\n", 2),
        (b"a:\n    b: 1\n  c: 2\n", 3),
        (b"a: 1\na: 2\n", 2),
        (b"a.b: 1\na:\n  b: 2\n", 3),
        (b"a: &anchor 1\n", 1),
        (b"a: *anchor\n", 1),
        (b"a: !!str 1\n", 1),
        (b"a: one\n  two\n", 2),
        (b'a: "unended\n', 1),
        (b"a: [1, 2\nb: 3\n", 1),
        (b"a: [1 2]]\n", 1),
        (b"a: [[1], 2]\n", 1),
        (b"a: b: c\n", 1),
        (b"\ta: 1\n", 1),
        (b"- a\n", 1),
        (b"a:\n- b: c\n", 2),
        (b"a: 1\n---\nb: 2\n", 2),
        (b"a: 1\nb: \xff\n", 2),
        (b"? a\n: b\n", 1),
        (b"a: 1\n...\nb: 2\n", 3),
    ],
)
def test_a_line_it_does_not_understand_is_named_by_number(text, line):
    with pytest.raises(BadLine) as caught:
        parse(text)
    assert caught.value.number == line
    assert not any(word in caught.value.reason for word in text.decode("latin-1").split() if len(word) > 2)


@pytest.mark.parametrize(
    "name",
    [
        "s3.client.default.access_key",
        "s3.client.default.secret_key",
        "s3.client.default.session_token",
        "s3.client.default.proxy.password",
        "s3.client.default.proxy.username",
        "transport.profiles.default.xpack.security.ssl.keystore.password",
        "transport.profiles.default.xpack.security.ssl.keystore.secure_key_passphrase",
        "xpack.security.http.ssl.keystore.password",
        "http.some_secret_thing",
        "access_key",
        "cloud.aws.secret_key",
        "bootstrap.password",
    ],
)
def test_no_value_of_a_setting_that_may_be_secret_is_shown(name):
    assert SECRET.search(name) or not SHOWN.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    [
        "s3.client.default.region",
        "s3.client.my-client.endpoint",
        "cloud.aws.region",
        "cloud.aws.s3.region",
        "repositories.s3.region",
        "discovery.ec2.endpoint",
        "node.name",
        "node.roles",
        "network.publish_host",
        "http.port",
        "transport.port",
        "xpack.security.http.ssl.certificate_authorities",
    ],
)
def test_the_values_that_matter_are_shown(name):
    assert SHOWN.fullmatch(name) and not SECRET.search(name)


def test_a_password_in_an_address_is_not_shown():
    assert masked("https://user:pass@host:9000/x") == "https://host:9000/x"


NAME = st.from_regex(r"[a-z][a-z0-9_]{0,6}(\.[a-z0-9_]{1,6}){0,3}", fullmatch=True)
VALUE = st.text(max_size=12) | st.booleans() | st.integers() | st.lists(st.text(max_size=6), max_size=3) | st.none()


def flat(value, prefix=""):
    if isinstance(value, dict):
        return {name for key, inner in value.items() for name in flat(inner, f"{prefix}{key}.")}
    return {prefix[:-1]}


@settings(max_examples=150, deadline=None)
@given(
    tree=st.recursive(VALUE, lambda inner: st.dictionaries(NAME, inner, min_size=1, max_size=3), max_leaves=8).filter(
        lambda tree: isinstance(tree, dict)
    ),
    style=st.sampled_from([True, False, None]),
)
@example(tree={"a": "x: y #z"}, style=False)
def test_what_another_writer_wrote_is_read_with_the_same_names_or_not_at_all(tree, style):
    text = yaml.safe_dump(tree, default_flow_style=style, allow_unicode=True)
    try:
        found = parse(text.encode("utf-8", "surrogatepass"))
    except BadLine:
        return
    assert set(found) == flat(tree)


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(alphabet="ab: \n-#'\"[]{},.|>&*?\\\t1", max_size=40)
    | st.text(max_size=40)
    | st.builds(lambda at, c: FULL.decode()[:at] + c + FULL.decode()[at:], st.integers(0, len(FULL)), st.characters())
)
def test_arbitrary_text_is_read_as_another_reader_reads_it_or_not_at_all(text):
    content = text.encode("utf-8", "replace")
    try:
        found = parse(content)
    except BadLine:
        return
    try:
        document = yaml.safe_load(content.decode("utf-8-sig"))
    except yaml.YAMLError:
        return  # a file that nobody reads starts no node; what it names is then of no harm
    assert set(found) == (flat(document) if isinstance(document, dict) else set())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_settings_or_a_bad_line(content):
    try:
        assert all(isinstance(value, str) for value in parse(content).values())
    except BadLine as bad:
        assert bad.number >= 1

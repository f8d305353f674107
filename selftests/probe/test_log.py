"""The end of Elasticsearch's own log: AWS's sentences with their time and repository, and never a key."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from preflight import facts as records

KEY = "AKIAZZZZCANARYZZZZ99"
STALE = "The AWS Access Key Id you provided does not exist in our records."
V2 = "(Service: S3, Status Code: 403, Request ID: X) (SDK Attempt Count: 1)"
V1 = "(Service: Amazon S3; Status Code: 403; Error Code: InvalidAccessKeyId; Request ID: X; Proxy: null)"
HEAD = "[{at}][WARN ][o.e.r.VerifyNodeRepositoryAction] [es-2] [{repository}] failed to verify repository"


@pytest.fixture
def ask(open_folder, facts):
    """ask(LOG, YML) -> the section, its log in a packaged layout of ours; no key is in the whole answer."""
    for name in ("home/bin", "proc/1", "conf", "logs"):
        (open_folder / name).mkdir(parents=True)
    (open_folder / "proc/1/cmdline").write_bytes(b"init\0")

    def run(text, yml="path.logs: ROOT/logs\ncluster.name: es-lab\n", name="logs/es-lab.log", **keywords):
        (open_folder / "conf/elasticsearch.yml").write_text(yml.replace("ROOT", str(open_folder)))
        (open_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (open_folder / name).write_text(text)
        answer = facts(
            "log",
            replace={
                'PROC = "/proc"': f'PROC = "{open_folder}/proc"',
                'PACKAGED_HOME = "/usr/share/elasticsearch"': f'PACKAGED_HOME = "{open_folder}/home"',
                'PACKAGED_CONF = "/etc/elasticsearch"': f'PACKAGED_CONF = "{open_folder}/conf"',
            },
            **keywords,
        )["log"]
        assert KEY[4:] not in json.dumps(answer)
        return answer

    return run


def lines(section):
    log = msgspec.convert(section["value"], records.Log)
    return [(line.repository, line.sentence, line.count) for line in log.lines]


def entry(
    at, sentence, service=V2, repository="s3_backup", kind="software.amazon.awssdk.services.s3.model.S3Exception"
):
    return (
        HEAD.format(at=at, repository=repository)
        + "\njava.io.IOException: Unable to upload object [prod/tests-x/data-y.dat]\n\tat a.B(C:1)\n"
        + f"Caused by: {kind}: {sentence} {service}\n\tat a.B(C:1)\n"
    )


def test_a_sentence_has_its_first_and_its_last_time_on_every_python(ask, python):
    text = entry("2026-11-24T02:14:05,123", STALE) + "[2026-11-24T02:20:00,000][INFO ][x] [es-2] all is well\n"
    text += entry("2026-11-24T03:14:05,123", STALE)

    section = ask(text, python=python)
    assert lines(section) == [("s3_backup", STALE, 2)]
    (line,) = section["value"]["lines"]
    first = time.mktime((2026, 11, 24, 2, 14, 5, 0, 0, -1))
    assert (line["first"], line["last"]) == (first, first + 3600)
    assert section["value"]["whole"] is True


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            entry("2026-11-24T02:14:05,123", STALE, V1, kind="com.amazonaws.services.s3.model.AmazonS3Exception"),
            ("s3_backup", STALE, 1),
        ),
        (
            "[2026-11-24T02:14:05,123][WARN ][o.e.s.SnapshotShardsService] [es-2] "
            "[[idx][0]][s3_backup:nightly-7/KbGspY5HTzuzyVmYP-3pTg] failed to snapshot shard\n"
            f"Caused by: x.S3Exception: {STALE} {V2}\n",
            ("s3_backup", STALE, 1),
        ),
        (
            "[2026-11-24T02:14:05,123][WARN ][o.e.x] [es-2] [s3_backup] failed; nested: "
            f"AmazonS3Exception[Access Denied {V1}];\n",
            ("s3_backup", "Access Denied", 1),
        ),
        (
            "[2026-11-24T02:14:05,123][WARN ][o.e.x] [es-2] something failed\n"
            "Caused by: software.amazon.awssdk.core.exception.SdkClientException: Unable to load credentials from any "
            "of the providers in the chain AwsCredentialsProviderChain(credentialsProviders=[X])\n",
            (
                None,
                "Unable to load credentials from any of the providers in the chain "
                "AwsCredentialsProviderChain(credentialsProviders=",
                1,
            ),
        ),
        (
            entry("2026-11-24T02:14:05,123", f"User {KEY} is not authorized to perform: s3:PutObject"),
            ("s3_backup", "User AKIA... is not authorized to perform: s3:PutObject", 1),
        ),
    ],
)
def test_every_way_it_is_said(ask, text, found):
    assert lines(ask(text)) == [found]


def test_what_another_node_was_told_is_not_this_ones(ask):
    """The elected master logs the failures of all others."""
    text = HEAD.format(at="2026-11-24T02:14:05,123", repository="s3_backup").replace("es-2", "es-1")
    text += f"\norg.elasticsearch.transport.RemoteTransportException: [es-2][10.0.0.2:9300][internal:x]\n{V2}\n"
    text += f"Caused by: x.NotSerializableExceptionWrapper: s3_exception: {STALE} {V2}\n"

    assert lines(ask(text)) == []


def test_the_five_youngest_are_kept_and_the_file_is_read_from_its_end(ask):
    text = entry("2026-11-24T01:00:00,000", "Oldest.") + "x" * (2 << 20) + "\n"
    text += "".join(entry(f"2026-11-24T02:00:0{n},000", f"Sentence {n}.") for n in range(7))

    section = ask(text)
    assert [sentence for _, sentence, _ in lines(section)] == [f"Sentence {n}." for n in range(2, 7)]
    assert section["value"]["whole"] is False


def test_where_the_log_is_by_default(ask):
    section = ask(entry("2026-11-24T02:14:05,123", STALE), yml="node.name: a\n", name="home/logs/elasticsearch.log")
    assert Path(section["value"]["path"]).name == "elasticsearch.log"
    assert len(lines(section)) == 1


@pytest.mark.parametrize(
    ("yml", "reason"),
    [
        ("path.logs: ROOT/elsewhere\n", "does not exist"),
        ("path.logs: ${HOME}/logs\n", "depends on a variable"),
        ("path.logs: &anchor x\n", "could not be read from elasticsearch.yml"),
    ],
)
def test_a_log_that_is_not_found_is_unknown(ask, yml, reason):
    assert reason in ask("", yml=yml)["unknown"]


def test_a_time_with_its_zone_is_that_zones(ask):
    (line,) = ask(entry("2026-11-24T02:14:05,123+0900", STALE))["value"]["lines"]
    assert line["first"] == 1795454045.0

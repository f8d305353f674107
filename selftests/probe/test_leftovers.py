"""What a failing _verify left under a base path: listed with the role's signature, on the one node that is asked to."""

from __future__ import annotations

import time

import pytest
from test_bucket import node  # noqa: F401 - the fixture: a loopback S3 that stands for AWS's

SEEDS = ("B9q-xyz_1234567890abcd", "aaaaaaaaaaaaaaaaaaaaaa")


def listing(*objects, more=False):
    """A ListBucketResult; objects: (key, age in seconds)."""

    def entry(key, age):
        modified = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - age))
        return f"<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><Size>22</Size></Contents>"

    truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
    entries = "".join(entry(*one) for one in objects)
    return 200, f'<?xml version="1.0"?><ListBucketResult xmlns="x">{truncated}{entries}</ListBucketResult>'


ASKED = {"leftovers": True, "base_path": "prod"}
OURS = (
    (f"prod/tests-{SEEDS[0]}/master.dat", 7200),
    (f"prod/tests-{SEEDS[0]}/data-zVycVy1aQV6umP_9MNzOxQ.dat", 7100),
)


def folders(found):
    return [(f.folder, f.objects, round(f.youngest / 100), f.known) for f in found.leftovers.folders]


def test_folders_are_counted_on_every_python(node, python):  # noqa: F811
    found, seen = node(ASKED, python=python, markers=listing(*OURS, (f"prod/tests-{SEEDS[1]}/master.dat", 60)))
    assert folders(found) == [(f"prod/tests-{SEEDS[0]}", 2, 71, True), (f"prod/tests-{SEEDS[1]}", 1, 1, True)]
    assert found.leftovers.more is False
    assert [path for _, path, _ in seen][1:] == [
        "/?list-type=2&max-keys=1&prefix=prod%2F",
        "/?list-type=2&max-keys=1000&prefix=prod%2Ftests-",
    ]


@pytest.mark.parametrize(
    "name",
    [
        f"prod/tests-{SEEDS[0]}/somebody-elses",
        "prod/tests-of-mine/master.dat",
        f"prod/tests-{SEEDS[0]}/deeper/master.dat",
        f"prod/tests-{SEEDS[0]}.zip",
    ],
)
def test_what_is_named_otherwise_is_nobody_elses_to_delete(node, name):  # noqa: F811
    found, _ = node(ASKED, markers=listing((name, 9000)))
    assert [f.known for f in found.leftovers.folders] == [False]


def test_one_stranger_keeps_its_whole_folder(node):  # noqa: F811
    found, _ = node(ASKED, markers=listing(*OURS, (f"prod/tests-{SEEDS[0]}/notes.txt", 9000), more=True))
    assert [(f.objects, f.known) for f in found.leftovers.folders] == [(3, False)]
    assert found.leftovers.more is True


def test_a_refused_list_is_unknown_and_the_first_one_stands(node):  # noqa: F811
    found, _ = node(ASKED, markers=(403, "<Error><Code>AccessDenied</Code></Error>"))
    assert found.signed_list.status == 200
    assert found.leftovers.reason == "S3 answered the list of markers with HTTP 403"


@pytest.mark.parametrize("question", [{}, {"leftovers": True, "sign": False, "why_not": "IMDS names no role"}])
def test_nobody_is_asked_who_need_not_be(node, question):  # noqa: F811
    found, seen = node({**ASKED, "leftovers": False, **question})
    assert found.leftovers is None
    assert not [path for _, path, _ in seen if "tests-" in path]

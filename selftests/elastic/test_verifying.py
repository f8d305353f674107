"""The order of `_verify` and its budget, against an Elasticsearch of ours whose answers take as long as told."""

import threading
import time

import pytest

from preflight import verifying
from preflight.facts import BucketPath, Repository, Unknown, Verification, VerifyFailure
from preflight.verifying import Patience

FAILURE = VerifyFailure(node_id=None, sentence="The AWS Access Key Id you provided does not exist.", chain=())


class Answering:
    """takes: repository to seconds, fails: those that end in a failure, elects: those that lose their master once."""

    def __init__(self, takes=None, fails=(), elects=()):
        self.takes, self.fails, self.elects, self.asked = takes or {}, fails, list(elects), []

    def verify(self, name, timeout):
        self.asked.append((name, round(timeout, 1)))
        seconds = self.takes.get(name, 0)
        time.sleep(min(seconds, timeout))
        if seconds > timeout:
            return Unknown(reason=f"_verify of {name} gave no answer within {timeout:g} s")
        lost = name in self.elects and not self.elects.remove(name)
        return Verification(
            repository=name,
            status=500 if name in self.fails else 200,
            verified=(),
            failures=(FAILURE,) if name in self.fails else (),
            master_before="a",
            master_after="b" if lost else "a",
            milliseconds=1.0,
        )


def repositories(*names, **clients):
    return tuple(Repository(name=n, type="s3", bucket="b", client=clients.get(n, "default")) for n in names)


def bucket(repository, tcp):
    return BucketPath(
        repository=repository,
        host="b",
        port=443,
        dns="ok",
        addresses=(),
        tcp=tcp,
        milliseconds=1.0,
        tls=None,
        head_status=None,
        bucket_region=None,
        clock_offset=None,
        signed_list=Unknown(reason="not tried"),
    )


@pytest.fixture
def verify():
    """verify(API, REPOSITORIES, each=, budget=, buckets=) -> results by name."""

    def run(api, found, each=180.0, budget=600.0, buckets=(), cancelled=None):
        results = verifying.unfinished(found)
        patience = Patience(each=each, budget=budget)
        verifying.verify(api, found, patience, results, lambda: buckets, cancelled or threading.Event())
        return results

    return run


def test_each_is_asked_once_in_the_clusters_order(verify):
    api = Answering()
    results = verify(api, repositories("a", "b"))

    assert api.asked == [("a", 180.0), ("b", 180.0)]
    assert [r.repository for r in results.values()] == ["a", "b"]


def test_a_bucket_that_a_node_does_not_reach_comes_last(verify):
    api = Answering()
    verify(api, repositories("a", "b", "c"), buckets=[bucket("a", "timeout"), bucket("b", "open")])

    assert [name for name, _ in api.asked] == ["b", "c", "a"]


def test_a_client_that_has_failed_comes_last(verify):
    api = Answering(fails=("a",))
    results = verify(api, repositories("a", "b", "c", c="other"))

    assert [name for name, _ in api.asked] == ["a", "c", "b"]
    assert list(results) == ["a", "b", "c"]


def test_what_is_left_when_the_budget_is_used_up_could_not_be_checked(verify):
    api = Answering(takes={"a": 9, "b": 9})
    began = time.monotonic()
    results = verify(api, repositories("a", "b", "c", b="other", c="third"), each=0.3, budget=0.5)

    assert time.monotonic() - began < 2
    assert api.asked == [("a", 0.3), ("b", 0.2)]
    assert results["c"] == Unknown(
        reason="_verify of c was not called: the budget of 0.5 s was used up",
        remedy="give all of them longer with --verify-budget",
    )


def test_a_run_that_lost_its_master_is_asked_once_more(verify):
    api = Answering(elects=("a",))

    assert verify(api, repositories("a"))["a"].master_after == "a"
    assert [name for name, _ in api.asked] == ["a", "a"]


def test_a_cancelled_run_says_so_of_each(verify):
    cancelled = threading.Event()
    cancelled.set()
    results = verify(Answering(), repositories("a", "b"), cancelled=cancelled)

    assert [r.reason for r in results.values()] == ["_verify of a was not finished", "_verify of b was not finished"]


def test_the_survey_waits_for_no_more_than_the_budget():
    assert Patience(each=180, budget=600).at_most(1) == 370
    assert Patience(each=180, budget=600).at_most(7) == 610

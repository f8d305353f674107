"""runbook.md carried out on the real lab, from the file alone: to green, or not at all where that would hurt."""

import hashlib
import os
import shutil
import subprocess
import sys

import pytest
from suite_run import ON_THE_LAB, Ran, run_lab

from lab import elasticsearch, host, names

pytestmark = ON_THE_LAB

LOGIN = {"ES_PREFLIGHT_USER": names.PREFLIGHT_USER, "ES_PREFLIGHT_PASSWORD_FILE": str(names.PREFLIGHT_PASSWORD)}
WHO = ["data node", "elected master"]


def chosen(lab, who):
    master = elasticsearch.master(lab.nodes)
    return master if who == "elected master" else next(node for node in reversed(lab.nodes) if node != master)


@pytest.fixture
def broken(lab, tmp_path):
    """Break nodes and run the suite; whatever comes of it is mended in the end."""

    def run(node, *faults):
        for fault in faults:
            run_lab("break", fault, node.name)
        return Ran(tmp_path / "before")

    yield run
    run_lab("heal")


def carry_out(ran, tmp_path, *before, sections=()):
    """As an operator with nothing but the file and a login for Elasticsearch."""
    alone = tmp_path / "ticket"
    alone.mkdir(exist_ok=True)
    shutil.copy(ran.report / "runbook.md", alone)
    return subprocess.run(
        [sys.executable, names.CHECKOUT / "scripts/carry-out", *before, "runbook.md", *sections],
        cwd=alone, env={"PATH": os.environ["PATH"], "HOME": str(alone), **LOGIN},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def keystore(node):
    """Owner, mode and digest of the file, names in it, and copies beside it."""
    file = elasticsearch.KEYSTORE_FILE
    owned = host.execute(node, ["stat", "-c", "%U:%G %a", file]).strip()
    digest = hashlib.sha256(host.execute(node, ["base64", file]).encode()).hexdigest()
    settings = host.execute(node, [elasticsearch.KEYSTORE, "list"]).split()
    copies = host.execute(node, ["sh", "-c", f"ls {file}.before-preflight-* 2>/dev/null || true"]).split()
    return owned, digest, settings, copies


def assert_green(tmp_path):
    ran = Ran(tmp_path / "after")
    assert ran.differing() == {} and ran.status == 0, ran.text
    assert (ran.report / "runbook.md").read_text().startswith("Nothing to carry out. ")


@pytest.mark.parametrize("who", WHO)
def test_keys_removed_and_verify_still_fails(lab, broken, tmp_path, who):
    """Explained, then mended by a reload of that node alone: nothing was left to remove."""
    node = chosen(lab, who)
    ran = broken(node, "stale-in-memory")
    assert [cause.id for cause in ran.diagnosis.causes] == ["stale-keys-loaded"], ran.text
    assert "no longer in the keystore" in ran.text.replace("\n", " ").replace("   ", "")
    since = host.execute(node, ["systemctl", "show", "elasticsearch", "-p", "MainPID"])
    done = carry_out(ran, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reload_secure_settings" in done.stdout and " remove " not in done.stdout
    assert host.execute(node, ["systemctl", "show", "elasticsearch", "-p", "MainPID"]) == since, "never restarted"
    assert_green(tmp_path)


@pytest.mark.parametrize("who", WHO)
def test_stale_keys_in_the_keystore(lab, broken, tmp_path, who):
    """Copied aside, removed, reloaded, verified; owner and mode as before; the copy goes when it is told to."""
    node = chosen(lab, who)
    ran = broken(node, "stale-keystore")
    owned, digest, _, _ = keystore(node)
    done = carry_out(ran, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    now, _, settings, copies = keystore(node)
    assert (now, settings, len(copies)) == (owned, ["keystore.seed"], 1)
    assert_green(tmp_path)
    assert carry_out(ran, tmp_path, "--undo").returncode == 0
    assert keystore(node)[:2] == (owned, digest), "the very file"
    assert Ran(tmp_path / "undone").differing() == ran.differing(), "and loaded again"
    assert carry_out(ran, tmp_path, "--cleanup").returncode == 0
    assert keystore(node)[3] == []


@pytest.mark.parametrize("who", WHO)
def test_keys_in_the_environment_take_a_restart(lab, broken, tmp_path, who):
    """Between two looks at the cluster; on the elected master another one is elected meanwhile."""
    if lab.version.startswith(("7.", "8.18.")):
        pytest.skip("this version takes no key from the environment")
    node = chosen(lab, who)
    ran = broken(node, "env-keys")
    assert [cause.id for cause in ran.diagnosis.causes] == ["static-keys-in-environment"], ran.text
    done = carry_out(ran, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"status":"green","timed_out":false') == 2 and '{"snapshots":[]}' in done.stdout
    assert_green(tmp_path)


def test_where_removing_would_hurt_it_refuses_and_shows_how_to_prove_the_role(lab, broken, tmp_path):
    """Stale keys on a node whose role may not use the bucket: a good key would be the only thing that helps today."""
    node = chosen(lab, "data node")
    ran = broken(node, "stale-keystore", "role-without-bucket-access")
    before = keystore(node)
    done = carry_out(ran, tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert f"do not remove yet: role not proven on {node.name}: S3 answers a list signed with the role" in done.stderr
    assert "AccessDenied" in done.stderr
    assert keystore(node) == before
    runbook = (ran.report / "runbook.md").read_text()
    assert f"```sh prove {node.name}\ncurl " in runbook
    assert "elasticsearch-keystore remove" not in runbook

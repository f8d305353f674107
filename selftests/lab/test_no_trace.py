"""What a run leaves behind on the nodes: nothing, in no log and not in the kernel."""

import re
import time
from pathlib import Path

from suite_run import ON_THE_LAB, Ran

from lab import host

pytestmark = ON_THE_LAB

MODULES = Path("/proc/modules")

NOT_OURS = re.compile(r"QueryableBuiltInRolesSynchronizer")
"""Tries again by itself, whatever anybody asks: the lab's distribution lacks what its index needs."""

SETTLES_SECONDS = 3.0
"""A handshake that was left open would be told of when its connection ends, and that is at once."""


def complaints(lab):
    """Every line at WARN or above that any node's Elasticsearch has logged."""
    script = r"grep -hE '^\[[^]]*\]\[(WARN|ERROR|FATAL) *\]' /var/log/elasticsearch/*.log || true"
    return {
        node.name: [line for line in host.execute(node, ["sh", "-c", script]).splitlines() if not NOT_OURS.search(line)]
        for node in lab.nodes
    }


def modules():
    """Names of the kernel's modules; none where this kernel has no such file, and so loads none."""
    return sorted(line.split()[0] for line in MODULES.read_text().splitlines()) if MODULES.exists() else []


def test_a_run_adds_no_warning_to_any_nodes_log_and_no_kernel_module(lab, tmp_path):
    before, loaded = complaints(lab), modules()
    ran = Ran(tmp_path)
    time.sleep(SETTLES_SECONDS)
    assert ran.status == 0, ran.text
    finished = [d.tls for node in ran.survey.nodes for d in node.dials if d.port == "http"]
    assert finished == ["ok"] * len(lab.nodes) ** 2
    assert complaints(lab) == before
    assert modules() == loaded

"""The page's static part: what it says, that it escapes, that it needs nothing from outside, how large it gets."""

from __future__ import annotations

from html.parser import HTMLParser

import msgspec
import pytest
import report_scenes as scenes
from markupsafe import escape

from preflight.facts import Unknown
from preflight.judgement import Cause, Command, Diagnosis, NodeLine, Remedy
from preflight.outcomes import Outcome
from preflight.report import page, words

FIFTY = [f"es-{number}" for number in range(1, 51)]
SCENES = {
    "healthy": scenes.healthy,
    "incident": scenes.incident,
    "host down": scenes.host_down,
    "fifty": lambda: scenes.host_down(FIFTY),
}
VOID = {"meta", "br"}
BLOCKS = {"td", "th", "small"}


class Parsed(HTMLParser):
    """Elements and text of the page; fails on an element that is not closed where it was opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in BLOCKS:
            self.texts.append(" ")

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join("".join(self.texts).split())

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.elements if name in attrs]


def render(scene, **more):
    return page.summary(scene.survey, scene.outcomes, scene.diagnosis, **more)


@pytest.mark.parametrize("name", SCENES)
def test_nothing_is_loaded_run_or_left_dangling(name):
    text = render(SCENES[name](), interrupted=True)
    parsed = Parsed(text)
    tags = {tag for tag, _ in parsed.elements}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    assert parsed.attributes("src") == []
    assert all(href.startswith("#pf-") for href in parsed.attributes("href"))
    assert not [name for _, attrs in parsed.elements for name in attrs if name.startswith("on") or name == "style"]
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style and "@import" not in style
    ids = parsed.attributes("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in parsed.attributes("href")} <= set(ids)


def test_the_incident_reads_from_verdict_to_facts():
    text = Parsed(render(scenes.incident())).text
    parts = [
        "Snapshots to S3 fail on es-2 and es-3, for two separate reasons.",
        "3 fail, 1 warning, 1 could not check, 1 waived, 3 not applicable, 39 pass",
        "es-2: static keys in use, refused by S3; role proven on this node; safe to remove: yes",
        "1. Stale static keys in the keystore of es-2",
        "names only",
        "Explains KEY-1 on es-2; REPO-1 on es-2.",
        "on es-2: sudo cp -p /etc/elasticsearch/elasticsearch.keystore",
        "on this machine: curl -sS",
        "2. Traffic of es-3 to S3 is lost outside the node. (likely)",
        "! do not change es-3 itself",
        "Failures and warnings without a known cause ! warning ROUTE-2 on es-3",
        "Every check on every node check es-1 es-2 es-3 what it states NODE-1 critical",
        "Ports: from each node to each member Transport, cluster lab from \\ to es-1 198.18.0.11:9300 es-2 198.18.0.12",
        "es-2 ✓ open 0.3 ms ✓ open 0.4 ms ✓ open 0.5 ms",
        "HTTP, cluster lab",
        "Route differences es-3: 1 route differs from es-1's --- es-1 (reference)",
        "✗ fail KEY-1 on es-2",
        "Could not check ? could not check REPO-1 on es-3: Elasticsearch stops at the master",
        "~ waived REGION-2 on es-1: waived until 2027-01-31 by storage team",
        "Notes es-3: role not proven",
        "This run started 2026-11-18 11:06:40 UTC; facts gathered in 2.4 s",
        "host keys: verified",
        "admin, sudo to root, paramiko, 212 ms, host key verified ip-198-18-0-12 8.19.21 "
        "probe to https://198.18.0.12:9200",
    ]
    positions = [text.find(part) for part in parts]
    assert -1 not in positions, parts[positions.index(-1)]
    assert positions == sorted(positions)


def test_a_cell_says_its_outcome_in_words_and_leads_to_its_reason():
    scene = scenes.incident()
    text = render(scene)
    for check, node, word in [("KEY-1", "es-2", "FAIL"), ("REPO-1", "es-3", "unchk"), ("ROUTE-2", "es-3", "warn")]:
        outcome = next(o for o in scene.outcomes if (o.check, o.node) == (check, node))
        cell = text.partition(f'title="{outcome.outcome}: {outcome.reason}">')[2].partition("</td>")[0]
        link = cell.partition('href="#')[2].partition('"')[0]
        assert cell.endswith(f"{words.SIGNS[outcome.outcome].mark} {word}</a>")
        assert f"<strong>{check} on {node}</strong>" in text or escape(f"{check} on {node}: {outcome.title}") in text
        assert text.count(f'id="{link}"') == 1


def test_a_route_diff_is_colored_line_by_line_and_keeps_its_signs():
    text = render(scenes.incident())
    assert '<span class="del">-10.0.0.0/8 via GATEWAY dev eth0</span>\n' in text
    assert '<span class="add">+10.0.0.0/8 via 198.18.0.254' in text
    assert '<span class="hunk">--- es-1 (reference)</span>' in text
    assert '<span class="same"> default via GATEWAY dev eth0</span>' in text


def test_a_command_is_whole_in_its_own_block():
    text = render(scenes.incident())
    assert f'<pre class="command">{scenes.REMOVE.replace("&", "&amp;")}</pre>' in text


def test_whatever_nodes_and_clusters_send_is_text():
    evil = "<script>alert(1)</script>\"'&"
    command = Remedy(commands=(Command(where=evil, text=evil),), caution=evil, advice=(evil,))
    scene = scenes.host_down([evil, "es-2", f"{evil}3"])
    scene.set(
        "ROUTE-1", evil, "fail", evil, observed=evil, expected=evil, details=(f"+{evil}",), remedy=command
    )  # fmt: skip
    scene.set("KEY-2", evil, "waived", evil, waiver=evil)
    scene.set("KEY-1", evil, "could not check", evil)
    scene.diagnosis = Diagnosis(
        verdict=evil,
        causes=(
            Cause(id=evil, title=evil, nodes=(evil,), evidence=(evil,), confidence="likely",
                  explains=(("PORT-1", evil),), remedy=command),
        ),
        nodes=(NodeLine(node=evil, text=evil),),
        notes=(evil,),
    )  # fmt: skip
    text = render(scene)
    assert "<script" not in text
    parsed = Parsed(text)
    assert all("<script" not in value for href in ("href", "id", "class") for value in parsed.attributes(href))
    assert parsed.text.count("<script>alert(1)</script>") > 20


def test_a_lone_surrogate_costs_nothing_but_itself():
    scene = scenes.healthy()
    scene.set("KEY-1", "es-1", "fail", "", observed="odd \udc80 byte")
    assert "odd \\udc80 byte" in render(scene).encode("utf-8").decode()


def test_unverified_host_keys_are_said_loudly_and_only_then():
    text = Parsed(render(scenes.healthy(insecure_host_keys=True))).text
    assert "HOST KEYS WERE NOT VERIFIED (--insecure-host-keys)" in text.partition("Nodes")[0]
    assert "host keys: NOT VERIFIED" in text
    assert "NOT VERIFIED" not in render(scenes.healthy())


def test_an_interrupted_run_says_so_and_shows_what_was_not_run():
    scene = scenes.healthy()
    scene.outcomes = [outcome for outcome in scene.outcomes if outcome.check != "KEY-1" or outcome.node == "es-1"]
    text = render(scene, interrupted=True)
    assert Parsed(text).text.startswith(
        "Interrupted. So far: Snapshots to S3 work on all 3 nodes. ? INTERRUPTED: this run was stopped."
    )
    assert '<p class="verdict unknown">' in text
    assert text.count("KEY-1 was not run on") == 2
    assert "INTERRUPTED" not in render(scene)


def test_a_run_that_ended_before_the_survey_still_has_a_page():
    text = Parsed(page.summary(None, [], None, interrupted=True)).text
    assert text.startswith("Interrupted. So far: No node was surveyed")
    assert "No check ran." in text


@pytest.mark.parametrize(
    "outcome, tone", [("pass", "pass"), ("warning", "pass"), ("could not check", "unknown"), ("fail", "fail")]
)
def test_the_verdict_has_the_color_of_the_worst_outcome(outcome, tone):
    scene = scenes.healthy()
    scene.set("KEY-1", "es-2", outcome, "said")
    assert f'<p class="verdict {tone}">' in render(scene)


def test_the_port_matrix_names_each_bad_pair_and_what_is_not_known():
    text = Parsed(render(scenes.host_down())).text
    assert "es-1 ✓ open 0.3 ms ✓ open 0.4 ms ✗ timeout 5000 ms, 2 tries" in text
    assert "es-3 ? not known: connection to 198.18.0.13:22 timed out" in text
    scene = scenes.healthy()
    nodes = list(scene.survey.nodes)
    nodes[1] = msgspec.structs.replace(nodes[1], dials=Unknown(reason="the probe ended early"))
    scene.survey = msgspec.structs.replace(scene.survey, nodes=tuple(nodes))
    assert "es-2 ? not known: the probe ended early" in Parsed(render(scene)).text


def test_the_port_matrix_is_left_out_where_nothing_was_dialled():
    scene = scenes.healthy()
    unknown = Unknown(reason="not asked for")
    nodes = tuple(msgspec.structs.replace(node, dials=unknown) for node in scene.survey.nodes)
    scene.survey = msgspec.structs.replace(scene.survey, nodes=nodes)
    assert "Ports:" not in render(scene)


def test_a_wide_cluster_tells_its_bad_pairs_instead_of_a_matrix():
    text = Parsed(render(scenes.host_down(FIFTY))).text
    assert "es-1 ✗ 49 open, slowest 5.1 ms; ip-198-18-0-60: timeout 5000 ms, 2 tries" in text
    assert "es-2 ✓ 50 open, slowest 5.2 ms" in text
    assert text.count("from \\ to all 50 members") == 2
    assert "198.18.0.12:9300" not in text, "no column a member"


@pytest.mark.parametrize("name, kilobytes", [("healthy", 25), ("incident", 30), ("fifty", 130)])
def test_the_page_stays_small(name, kilobytes):
    assert len(render(SCENES[name]())) < kilobytes * 1000


def test_a_grid_has_a_row_a_node_and_a_cell_a_check():
    parsed = Parsed(render(scenes.host_down(FIFTY)))
    hints = [attrs["title"] for tag, attrs in parsed.elements if tag == "td" and ": " in attrs.get("title", "")]
    assert len(hints) == 50 * len(scenes.CHECKS)
    assert sum(hint.startswith("blocked: NODE-1 of es-50") for hint in hints) == 15


def test_few_nodes_stand_side_by_side_with_a_row_a_check():
    html = render(scenes.incident())
    parsed = Parsed(html)
    hints = [attrs["title"] for tag, attrs in parsed.elements if tag == "td" and ": " in attrs.get("title", "")]
    assert len(hints) == 3 * len(scenes.CHECKS)
    assert html.count('<td class="states">') == len(scenes.CHECKS)
    assert html.index('<th scope="row">KEY-1') < html.index('<th scope="row">REPO-1')


def test_check_ids_are_ordered_as_people_count():
    ids = ["REGION-10", "ROLE-1", "REGION-2", "NODE-1", "KEY-1"]
    assert sorted(ids, key=words.check_order) == ["NODE-1", "KEY-1", "REGION-2", "REGION-10", "ROLE-1"]


def test_a_row_of_a_users_own_test_has_no_check():
    cells = ["<td>r</td>", "<td>t</td>", "<td>d</td>", "<td>l</td>"]
    report = type("Report", (), {"nodeid": "test_own.py::test_<b>", "when": "setup"})
    page.table_row(report, cells)
    assert cells[:1] + cells[6:] == ["<td>r</td>", "<td>d</td>", "<td>l</td>"]
    assert cells[5] == '<td class="col-testId">test_own.py::test_&lt;b&gt;::setup</td>'
    assert cells[1] == '<td class="col-outcome"></td>'


def test_a_row_that_another_hook_dropped_stays_dropped():
    cells: list[str] = []
    outcome = Outcome(check="KEY-1", node="es-1", severity="high", outcome="pass", title="t")
    page.table_row(type("Report", (), {"nodeid": "x", "when": "call"}), cells, outcome)
    assert cells == []


def test_a_row_names_the_test_as_it_is_typed_whatever_phase_it_ended_in():
    cells = ["<td>r</td>", "<td>t</td>", "<td>d</td>", "<td>l</td>"]
    outcome = Outcome(check="KEY-1", node="es-1", severity="high", outcome="blocked", title="t")
    page.table_row(type("Report", (), {"nodeid": "t.py::test_x[es-1]", "when": "setup"}), cells, outcome)
    assert cells[5] == '<td class="col-testId">t.py::test_x[es-1]</td>'

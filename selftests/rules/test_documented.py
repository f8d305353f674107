"""docs/checks.md and the checks themselves say the same."""

from __future__ import annotations

import re
from pathlib import Path

from judged import checks

TEXT = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")


def test_the_table_is_the_registry():
    """Ids, severities and titles, word for word, each in one row."""
    rows = re.findall(r"^\| \[([A-Z]+-\d+)\]\(#([a-z]+-\d+)\) \| (\w+) \| (.+) \|$", TEXT, re.MULTILINE)
    registered = {id: (check.severity, check.title) for id, (check, _) in checks().items()}

    assert len(rows) == len(registered)
    assert {id: (severity, title) for id, _, severity, title in rows} == registered
    assert all(anchor == id.lower() for id, anchor, _, _ in rows)


def test_every_check_has_its_section():
    """What it states, why, what red looks like, how to mend it."""
    sections = dict(re.findall(r"^## ([A-Z]+-\d+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))

    assert set(sections) == set(checks())
    for id, text in sections.items():
        for word in ("**States**", "**Why**", "**Red", "end**" if id != "PORT-2" else "mend**"):
            assert word in text, f"{id} lacks {word}"


def test_every_check_says_why():
    """The docstring's second part is what a failure shows under it."""
    for id, (check, _) in checks().items():
        assert len(check.why) > 80, id
        assert check.title.endswith("."), id


def test_what_writes_says_what():
    """Elasticsearch for one check; the node's own role where a fix hangs on it or --try-role asks."""
    writing = {id: check.writes for id, (check, _) in checks().items() if check.writes}
    assert set(writing) == {"REPO-1", "KEY-1", "SRC-1", "ROLE-3"}
    assert all("marker object" in text for text in writing.values())

"""The passphrase file: one line, as Elasticsearch reads it; what is wrong with it is said, and never what is in it."""

import pytest

from preflight import redaction
from preflight.credentials import keystore_password
from preflight.facts import Unknown


@pytest.mark.parametrize(
    ("text", "password"),
    [("one\n", "one"), ("one", "one"), ("one\r\n", "one"), (" blanks stay \n", " blanks stay "), ("one\ntwo\n", "one")],
)
def test_the_first_line_is_the_password(tmp_path, text, password):
    file = tmp_path / "passphrase"
    file.write_bytes(text.encode())
    assert keystore_password(file) == password


def test_none_is_named():
    assert keystore_password(None) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"\n", "first line of"), (b"", "first line of"), (b"\xff\xfe", "not UTF-8")],
)
def test_a_file_that_gives_none_says_so(tmp_path, content, words):
    file = tmp_path / "passphrase"
    if content is not None:
        file.write_bytes(content)
    found = keystore_password(file)
    assert isinstance(found, Unknown)
    assert words in found.reason and "password-protected" in found.reason and str(file) in found.reason


def test_it_is_masked_wherever_it_would_appear(tmp_path):
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery\n")
    try:
        keystore_password(file)
        assert redaction.redact("with correct horse battery in it") == "with **** in it"
    finally:
        redaction.stop()

"""Keystore names without a JVM: the right names, or doubt; never fewer names, never a value."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import subprocess
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from keystore_files import CANARY, body_of, closed, keystore_file

from preflight import facts as records
from preflight.probe.sections import gcm, keystore
from preflight.probe.sections.base import TOOL_PATH, Unseen

DATA = Path(__file__).parent / "data"
SERVER = "org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch"
NAMES = ["keystore.seed", "s3.client.default.access_key", "s3.client.default.secret_key"]
ONE_BLOCK = st.binary(min_size=16, max_size=16)
FORMATS = {"7.17.13": 4, "8.19.3": 7, "9.1.0": 7}
FORMAT_4 = (DATA / "7.17.13.keystore").read_bytes()
RUN_KEY = "0f" * 32


def names_in(content, password=None):
    opened = keystore.Opened(content, password)
    return opened.format, sorted(opened.held)


@pytest.mark.parametrize(("version", "format"), FORMATS.items())
def test_files_of_the_real_tool_give_their_names(version, format):
    assert names_in((DATA / f"{version}.keystore").read_bytes()) == (format, NAMES)


@pytest.mark.parametrize("format", [3, 4, 5, 6, 7])
def test_every_known_format_gives_its_names(format):
    assert names_in(keystore_file(body_of(NAMES[::-1], format), format)) == (format, NAMES)


def test_a_long_keystore_is_read_in_good_time():
    names = ["keystore.seed", *(f"s3.client.c{n}.secret_key" for n in range(200))]
    assert names_in(keystore_file(body_of(names, 7), 7)) == (7, sorted(names))


@given(key=st.sampled_from([16, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)), block=ONE_BLOCK)
def test_the_block_cipher_is_that_of_openssl(key, block):
    other = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    assert gcm.aes(key)(block) == other.update(block)


@given(key=st.binary(min_size=32, max_size=32), body=st.binary(max_size=70), more=st.binary(max_size=40))
def test_gcm_opens_what_openssl_sealed(key, body, more):
    sealed = AESGCM(key).encrypt(b"n" * 12, body, more)
    assert gcm.gcm_decrypt(key, b"n" * 12, sealed[:-16], sealed[-16:], more) == body


@settings(max_examples=60, deadline=None)
@given(bit=st.integers(0, len(FORMAT_4) * 8 - 1))
def test_one_flipped_bit_is_doubt(bit):
    changed = bytearray(FORMAT_4)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((keystore.Doubt, Unseen)):
        names_in(bytes(changed))


@settings(max_examples=60, deadline=None)
@given(bit=st.integers(0, (len(FORMAT_4) - 16) * 8 - 1))
def test_one_flipped_bit_under_a_right_checksum_is_never_other_names(bit):
    changed = bytearray(FORMAT_4[:-16])
    changed[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(keystore.Doubt, Unseen):
        assert names_in(closed(bytes(changed))) == (4, NAMES)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, len(FORMAT_4) - 1), footer=st.booleans())
def test_a_file_cut_short_is_doubt(length, footer):
    with pytest.raises(keystore.Doubt):
        names_in(closed(FORMAT_4[:length]) if footer and length < len(FORMAT_4) - 16 else FORMAT_4[:length])


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=400))
def test_arbitrary_bytes_are_doubt(content):
    with pytest.raises(keystore.Doubt):
        names_in(content)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=100))
def test_an_arbitrary_body_that_decrypts_is_doubt(body):
    with pytest.raises(keystore.Doubt):
        names_in(keystore_file(body, 4))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (body_of([]), "no keystore.seed"),
        (body_of(NAMES[1:]), "no keystore.seed"),
        (body_of(NAMES) + b"\0", "something follows"),
        (body_of(NAMES)[:-1], "ends early"),
        (body_of([*NAMES, "bad name"]), "no setting name"),
        (body_of([*NAMES, NAMES[0]]), "no setting name"),
        (b"\xff\xff\xff\xff", "no keystore.seed"),
    ],
)
def test_a_body_that_is_not_right_to_its_last_byte_is_doubt(body, words):
    with pytest.raises(keystore.Doubt, match=words):
        names_in(keystore_file(body, 5))


def test_the_key_of_another_format_is_doubt_and_no_empty_list():
    with pytest.raises(keystore.Doubt, match="does not decrypt"):
        names_in(keystore_file(body_of(NAMES), 7, key_size=16))


@pytest.mark.parametrize("format", [1, 2, 8, 0])
def test_an_unknown_format_is_doubt(format):
    with pytest.raises(keystore.Doubt, match=f"its format is {format}"):
        names_in(keystore_file(body_of(NAMES), format))


def test_a_password_is_said_without_any_work():
    with pytest.raises(Unseen, match="password-protected, and no password was given") as caught:
        names_in(keystore_file(body_of(NAMES), 7, protected=1))
    assert "--keystore-password-file" in caught.value.remedy
    assert "preflight_keystore_password_file" in caught.value.remedy


@pytest.mark.parametrize("format", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("password", ["secret", "blank s\u00e4f\u20acty "])
def test_a_password_opens_every_format_and_no_other_does(format, password):
    content = keystore_file(body_of(NAMES, format), format, protected=1, password=password)
    assert names_in(content, password) == (format, NAMES)
    with pytest.raises(Unseen, match="the given password is not its own"):
        names_in(content, password + "x")


def test_a_password_that_none_needs_is_left_aside():
    assert names_in(FORMAT_4, "for another node") == (4, NAMES)


# -- what may be told of an access key ---------------------------------------------------------------------------------

ACCESS, SECRET = NAMES[1:]
TOKEN = "s3.client.default.session_token"


def told(values, key=RUN_KEY, format=7):
    return keystore.fingerprints(
        keystore.Opened(keystore_file(body_of(["keystore.seed", *values], format, values), format)).held, key
    )


def test_of_an_access_key_a_fingerprint_and_its_four_letters_are_told_and_of_others_nothing():
    found = told({ACCESS: "AKIAEXAMPLE1", SECRET: "hidden", TOKEN: "hidden", "s3.client.b.access_key": "minioadmin"})
    assert found == {
        ACCESS: {
            "prefix": "AKIA",
            "fingerprint": hmac.new(bytes.fromhex(RUN_KEY), b"AKIAEXAMPLE1", "sha256").hexdigest()[:32],
        },
        "s3.client.b.access_key": {"prefix": None, "fingerprint": found["s3.client.b.access_key"]["fingerprint"]},
    }


def test_equal_keys_have_equal_fingerprints_in_one_run_and_none_in_another():
    one, other = told({ACCESS: "ASIAEXAMPLE"}, format=4), told({ACCESS: "ASIAEXAMPLE"}, format=7)
    assert one == other and one[ACCESS]["prefix"] == "ASIA"
    assert told({ACCESS: "ASIAEXAMPLE"}, "0e" * 32)[ACCESS]["fingerprint"] != one[ACCESS]["fingerprint"]
    assert told({ACCESS: "ASIAEXAMPLF"})[ACCESS]["fingerprint"] != one[ACCESS]["fingerprint"]


def test_without_a_key_for_the_run_nothing_is_told():
    assert told({ACCESS: "AKIAEXAMPLE1"}, None) is None


# -- the section, in the program, on every Python ----------------------------------------------------------------------


@pytest.fixture
def packaged(open_folder):
    """What makes the program look for the packaged layout in a folder of ours, and that folder."""
    for folder in ("home/bin", "home/lib", "conf", "proc/1"):
        (open_folder / folder).mkdir(parents=True)
    replace = {
        'PACKAGED_HOME = "/usr/share/elasticsearch"': f'PACKAGED_HOME = "{open_folder}/home"',
        'PACKAGED_CONF = "/etc/elasticsearch"': f'PACKAGED_CONF = "{open_folder}/conf"',
        'PROC = "/proc"': f'PROC = "{open_folder}/proc"',
    }
    return open_folder, replace


def tool(folder, script):
    path = folder / "home/bin/elasticsearch-keystore"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)


def test_the_section_on_every_python(facts, packaged, python):
    folder, replace = packaged
    file = folder / "conf/elasticsearch.keystore"
    file.write_bytes(keystore_file(body_of(NAMES), 7))
    file.chmod(0o660)
    answer = facts("keystore", python=python, replace=replace)
    found = msgspec.convert(answer["keystore"]["value"], records.Keystore)
    assert (found.settings, found.format, found.read_by, found.mode) == (tuple(NAMES), 7, "file", "0660")
    assert found.path == str(file) and found.modified == pytest.approx(file.stat().st_mtime, abs=0.001)
    assert found.access_keys is None and found.protected is False
    assert CANARY not in json.dumps(answer)


def test_the_section_opens_a_protected_file_with_what_the_question_brings(start, packaged, python):
    folder, replace = packaged
    file = folder / "conf/elasticsearch.keystore"
    file.write_bytes(keystore_file(body_of(NAMES), 7, protected=1, password=CANARY + "!"))
    question = {"ask": "facts", "sections": ["keystore"], "deadline": 20.0, "fingerprint_key": RUN_KEY}
    session = start(python=python, replace=replace)
    answer = session.ask({**question, "keystore_password": CANARY + "!"}, 20.0)
    found = msgspec.convert(answer["sections"]["keystore"]["value"], records.Keystore)
    assert (found.settings, found.read_by, found.protected) == (tuple(NAMES), "file", True)
    assert set(found.access_keys) == {ACCESS}
    assert CANARY not in json.dumps(answer)
    assert (
        "is not its own" in session.ask({**question, "keystore_password": "x"}, 20.0)["sections"]["keystore"]["unknown"]
    )


def test_no_file_is_no_keystore_and_no_folder_is_unknown(facts, packaged):
    folder, replace = packaged
    found = facts("keystore", replace=replace)["keystore"]["value"]
    assert found["exists"] is False and found["settings"] == [] and found["read_by"] is None
    (folder / "conf").rmdir()
    assert "does not exist" in facts("keystore", replace=replace)["keystore"]["unknown"]


def test_doubt_asks_the_tool_and_believes_only_names(facts, packaged):
    folder, replace = packaged
    (folder / "conf/elasticsearch.keystore").write_bytes(b"\0" * 300)
    tool(
        folder,
        'echo "OpenJDK 64-Bit Server VM warning: sharing is off"; echo keystore.seed; echo "$ES_PATH_CONF" >&2\n'
        'test "$1" = list && test -z "$(cat)" && echo s3.client.default.access_key\n',
    )
    found = facts("keystore", replace=replace)["keystore"]["value"]
    assert found["settings"] == ["keystore.seed", "s3.client.default.access_key"]
    assert found["read_by"] == "elasticsearch-keystore" and found["format"] is None


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", "printed no list of names: it holds no keystore.seed"),
        ("echo s3.client.default.access_key", "it holds no keystore.seed"),
        ("echo keystore.seed; exit 65", "ended with exit status 65"),
        ("echo 'Enter password for the elasticsearch keystore : '; exit 65", "password-protected"),
        ("sleep 60", "did not end within"),
    ],
)
def test_doubt_and_a_tool_that_does_not_help_is_unknown(facts, packaged, script, words):
    folder, replace = packaged
    (folder / "conf/elasticsearch.keystore").write_bytes(b"\0" * 300)
    tool(folder, script)
    answer = facts("keystore", replace=replace, deadline=4)["keystore"]
    assert words in answer["unknown"] and "value" not in answer


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could run another user's file as root")
def test_root_never_runs_the_service_users_tool_as_root(facts, packaged):
    """Whoever owns the process chooses the folder that the tool is taken from."""
    folder, replace = packaged
    (folder / "conf/elasticsearch.keystore").write_bytes(b"\0" * 300)
    tool(folder, f"echo > {folder}/ran; echo keystore.seed")
    server = folder / "proc/100"
    server.mkdir()
    arguments = ["java", f"-Des.path.home={folder}/home", f"-Des.path.conf={folder}/conf", "-m", SERVER]
    (server / "cmdline").write_bytes("\0".join([*arguments, ""]).encode())
    (server / "status").write_text("Uid:\t65534\t65534\t65534\t65534\nGid:\t65534\t65534\t65534\t65534\nPPid:\t1\n")
    (server / "environ").write_bytes(b"HOME=/\0")
    (server / "root").symlink_to("/")
    replace[f'TOOL_PATH = "{TOOL_PATH}"'] = 'TOOL_PATH = "/nonexistent"'
    answer = facts("keystore", replace=replace)["keystore"]
    assert "there is no runuser to start it as nobody" in answer.get("unknown", ""), answer
    assert not (folder / "ran").exists()


def test_doubt_without_the_tool_is_unknown(facts, packaged):
    folder, replace = packaged
    (folder / "conf/elasticsearch.keystore").write_bytes(FORMAT_4[:-1])
    answer = facts("keystore", replace=replace)["keystore"]
    assert "its checksum is wrong" in answer["unknown"] and "may not be run here" in answer["unknown"]


def test_a_password_is_unknown_and_names_what_to_do(facts, packaged):
    folder, replace = packaged
    (folder / "conf/elasticsearch.keystore").write_bytes(keystore_file(body_of(NAMES), 7, protected=1))
    answer = facts("keystore", replace=replace)["keystore"]
    assert "password-protected" in answer["unknown"] and answer["remedy"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files to another user")
@pytest.mark.parametrize(
    ("owner", "mode", "folder_mode", "readable", "creatable"),
    [
        ((0, 65534), 0o660, 0o2750, True, False),
        ((0, 0), 0o600, 0o2750, False, False),
        ((0, 0), 0o604, 0o2750, True, False),
        ((65534, 0), 0o600, 0o2770, True, True),
        ((65534, 0), 0o060, 0o2770, False, True),
        ((0, 65534), 0o606, 0o2750, False, False),
        ((0, 65534), 0o660, 0o2740, False, False),
        ((0, 65534), 0o660, 0o2760, False, False),
    ],
)
def test_what_the_service_user_may_do_is_what_the_kernel_lets_it(
    facts, packaged, owner, mode, folder_mode, readable, creatable
):
    """nobody (65534) is the service's user; it tries the same itself."""
    folder, replace = packaged
    file = folder / "conf/elasticsearch.keystore"
    file.write_bytes(FORMAT_4)
    os.chown(file, *owner)
    file.chmod(mode)
    os.chown(file.parent, 0, 65534)
    file.parent.chmod(folder_mode)
    (folder / "data").mkdir()
    os.chown(folder / "data", 65534, 65534)
    replace = {**replace, 'status_of("/var/lib/elasticsearch")': f'status_of("{folder}/data")'}
    found = facts("keystore", replace=replace)["keystore"]["value"]
    itself = [
        subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command], cwd="/").returncode
        == 0
        for command in (["test", "-r", str(file)], ["test", "-w", str(file.parent), "-a", "-x", str(file.parent)])
    ]
    assert (found["readable_by_service"], found["creatable_by_service"]) == (readable, creatable) == tuple(itself)
    file.unlink()
    found = facts("keystore", replace=replace)["keystore"]["value"]
    assert (found["readable_by_service"], found["creatable_by_service"]) == (None, creatable)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become a user who may not read the file")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_file_that_may_not_be_read_is_unknown_and_names_the_way_in(facts, packaged, which):
    folder, replace = packaged
    file = folder / "conf/elasticsearch.keystore"
    file.write_bytes(FORMAT_4)
    (file if which == "file" else file.parent).chmod(0o600 if which == "file" else 0o700)
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c")
    answer = facts("keystore", replace=replace, shell=become, python="/usr/bin/python3", cwd="/")["keystore"]
    assert "by nobody" in answer["unknown"]
    assert answer["remedy"] == "use --sudo, or log in as a user of group elasticsearch"

"""The JVM-less reader against Elasticsearch's own tool: what `elasticsearch-keystore list` of each version prints.

Files are made by the tool of every version that the lab knows, without a password, with one, and without it again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import zipfile

import pytest

from lab import distribution
from lab.errors import LabError
from preflight.probe.sections import keystore
from preflight.probe.sections.base import Unseen

FORMATS = {"7.17.29": 4, "8.18.0": 7, "8.19.21": 7, "9.5.2": 7}
RUN_KEY = "a5" * 32
PASSWORD = "p\u00e4ss word"
ACCESS = "s3.client.default.access_key"
VALUES = {
    ACCESS: "AKIAREADERSELFTEST01",
    "s3.client.default.secret_key": "a secret that the reader steps over",
    "s3.client.archive.access_key": "ASIAREADERSELFTEST02",
    "s3.client.archive.secret_key": "another",
    "s3.client.archive.session_token": "t" * 900,
}


class Tool:
    """elasticsearch-keystore of one version with a configuration folder of its own."""

    def __init__(self, version, folder):
        home, self.conf = folder / f"elasticsearch-{version}", folder / "conf"
        self.conf.mkdir()
        with zipfile.ZipFile(distribution.elasticsearch_zip(version)) as archive:
            for name in archive.namelist():
                if name.split("/")[1] in ("bin", "lib"):
                    archive.extract(name, folder)
        for script in (home / "bin").iterdir():
            script.chmod(0o755)
        self.command = home / "bin/elasticsearch-keystore"
        java = str(distribution.java_home_for(version))
        self.variables = {"PATH": os.environ["PATH"], "ES_JAVA_HOME": java, "ES_PATH_CONF": str(self.conf)}
        self.variables["LC_ALL"] = "C.UTF-8"

    def run(self, *arguments, lines=()):
        done = subprocess.run(
            [self.command, *arguments],
            env=self.variables,
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def names(self, *lines):
        return [name for line in self.run("list", lines=lines).splitlines() if keystore.NAME.fullmatch(name := line)]

    def opened(self, password=None):
        return keystore.Opened((self.conf / "elasticsearch.keystore").read_bytes(), password)


@pytest.fixture(scope="module", params=FORMATS)
def tool(request, tmp_path_factory):
    version = request.param
    zip_file = distribution.REPOSITORY / distribution.path_of(version)
    if not zip_file.exists():
        pytest.skip(f"Elasticsearch {version} is not here: `python -m lab up --es-version {version}` fetches it")
    try:
        distribution.java_home_for(version)
    except LabError as error:
        pytest.skip(str(error))
    return version, Tool(version, tmp_path_factory.mktemp(f"es-{version}"))


def test_the_reader_reads_what_the_tool_of_each_version_lists(tool):
    version, real = tool
    real.run("create")
    new = real.opened()
    assert (new.format, sorted(new.held)) == (FORMATS[version], real.names()) and list(new.held) == ["keystore.seed"]

    real.run("add", "--stdin", *VALUES, lines=VALUES.values())
    full = real.opened()
    assert sorted(full.held) == real.names() == sorted(["keystore.seed", *VALUES])
    told = keystore.fingerprints(full.held, RUN_KEY)
    assert {name: key["prefix"] for name, key in told.items()} == {
        ACCESS: "AKIA",
        "s3.client.archive.access_key": "ASIA",
    }
    expected = hmac.new(bytes.fromhex(RUN_KEY), VALUES[ACCESS].encode(), hashlib.sha256).hexdigest()
    assert told[ACCESS]["fingerprint"] == expected[:32]

    real.run("passwd", lines=(PASSWORD, PASSWORD))
    closed = real.opened(PASSWORD)
    assert (closed.protected, closed.format) == (True, FORMATS[version])
    assert sorted(closed.held) == [name for name in real.names(PASSWORD) if name in closed.held] == sorted(full.held)
    assert keystore.fingerprints(closed.held, RUN_KEY) == told
    for wrong in (None, "", PASSWORD + " "):
        with pytest.raises(Unseen, match="password-protected"):
            real.opened(wrong)

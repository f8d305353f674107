"""Elasticsearch and the lab's repository type `s3`, both through Maven.

Maven Central has Elasticsearch as `org.elasticsearch.distribution.integ-test-zip:elasticsearch:VERSION:zip`: the real
server with security, without a JDK and without repository-s3. `lab/s3-plugin` gives it the repository type.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from .errors import LabError

KNOWN_VERSIONS = ("7.17.29", "8.18.0", "8.19.21", "9.5.2")
"""Versions the lab's plugin has been built for."""

REPOSITORY = Path.home() / ".m2" / "repository"
PLUGIN_SOURCES = Path(__file__).parent / "s3-plugin"
JVM_DIRECTORY = Path("/usr/lib/jvm")

DOWNLOAD_SECONDS = 1200.0
BUILD_SECONDS = 600.0


def elasticsearch_zip(version: str) -> Path:
    """The zip of that version in ~/.m2, fetched when it is not there yet (about 100 MB).

    Raises LabError for something that is no version, for a version Maven Central does not have, without mvn, and with
    Maven's own words where it fails otherwise.
    """
    major_minor(version)
    path = REPOSITORY / path_of(version)
    if not path.exists():
        artifact = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"
        get = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get"
        _maven(
            [get, f"-Dartifact={artifact}", "-Dtransitive=false"],
            doing=f"fetching Elasticsearch {version}",
            version=version,
            deadline=DOWNLOAD_SECONDS,
        )
    return path


def path_of(version: str) -> str:
    """Where the zip of that version is in a Maven repository."""
    return f"org/elasticsearch/distribution/integ-test-zip/elasticsearch/{version}/elasticsearch-{version}.zip"


def s3_plugin_zip(version: str, java_home: Path) -> Path:
    """The repository plugin built for exactly that version; built only when its sources changed since the last time.

    An Elasticsearch refuses a plugin of any other version. Raises LabError as elasticsearch_zip does.
    """
    line = plugin_line(version)
    target = PLUGIN_SOURCES / "target" / version
    path = target / f"lab-repository-s3-{version}.zip"
    stamp = target / "built-from.sha256"
    sources = _digest_of_sources()
    if path.exists() and stamp.exists() and stamp.read_text() == sources:
        return path
    _maven(
        [
            "-f",
            str(PLUGIN_SOURCES / "pom.xml"),
            f"-P{line},sdk{sdk(version)}",
            f"-Delasticsearch.version={version}",
            "package",
        ],
        doing=f"building the s3 repository plugin for Elasticsearch {version}",
        version=version,
        deadline=BUILD_SECONDS,
        java_home=java_home,
    )
    stamp.write_text(sources)
    return path


def plugin_line(version: str) -> str:
    """The pom's profile for a version: what differs between Elasticsearch's lines for a repository plugin."""
    major, minor = major_minor(version)
    if (major, minor) == (7, 17):
        return "es7"
    if (major, minor) in ((8, 18), (8, 19)):
        return "es8"
    if major == 9 and minor >= 5:
        return "es9"
    raise LabError(
        f"the lab's s3 repository plugin does not build for Elasticsearch {version}: "
        f"choose one of {', '.join(KNOWN_VERSIONS)} with --es-version"
    )


def sdk(version: str) -> int:
    """Major version of the AWS SDK that this Elasticsearch's S3 module is on: 2 for 8.19 and for 9.1 and newer."""
    return 2 if (8, 19) <= major_minor(version) != (9, 0) else 1


def java_home_for(version: str) -> Path:
    """A JDK for building and running that version: 17 for 7.17 and 8.x, 21 or newer for 9.x.

    Looks at JAVA_HOME and in /usr/lib/jvm. Raises LabError naming the package that is missing.
    """
    major, _ = major_minor(version)
    found = {home: release for home in _java_homes() if (release := _java_release(home)) is not None}
    fitting = [home for home, release in found.items() if (release >= 21 if major >= 9 else release == 17)]
    if fitting:
        return min(fitting, key=lambda home: found[home])
    if major >= 9:
        wanted, remedy = "Java 21 or newer", "install one (Debian 13 has openjdk-21-jdk-headless, Debian 12 has none)"
    else:
        wanted, remedy = "Java 17", "`apt-get install openjdk-17-jdk-headless`"
    have = ", ".join(f"Java {release} in {home}" for home, release in found.items()) or "no JDK"
    raise LabError(
        f"Elasticsearch {version} needs {wanted}, and {JVM_DIRECTORY} and JAVA_HOME have {have}: "
        f"{remedy}, or set JAVA_HOME"
    )


def major_minor(version: str) -> tuple[int, int]:
    """(8, 19) of "8.19.21". Raises LabError for anything that is not three numbers."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.\d+", version)
    if match is None:
        raise LabError(f"{version!r} is not an Elasticsearch version: give three numbers, as in 8.19.21")
    return int(match[1]), int(match[2])


def _java_homes() -> list[Path]:
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    if JVM_DIRECTORY.is_dir():
        homes += sorted(path for path in JVM_DIRECTORY.iterdir() if path.is_dir() and not path.is_symlink())
    return [home for home in homes if (home / "bin" / "javac").exists()]


@functools.cache
def _java_release(home: Path) -> int | None:
    """17 for a JDK 17, from the `release` file that every JDK ships; None where there is none to read."""
    try:
        match = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) if match else None


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(PLUGIN_SOURCES.rglob("*")):
        relative = path.relative_to(PLUGIN_SOURCES)
        if path.is_file() and relative.parts[0] != "target":
            digest.update(f"{relative}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _maven(arguments: list[str], *, doing: str, version: str, deadline: float, java_home: Path | None = None) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise LabError(f"{doing} needs Maven, and there is no mvn on PATH: `apt-get install maven`")
    environment = dict(os.environ) if java_home is None else {**os.environ, "JAVA_HOME": str(java_home)}
    command = [mvn, "--batch-mode", "--quiet", f"-Dmaven.repo.local={REPOSITORY}", *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=deadline,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{doing} did not finish in {deadline:.0f} s: is Maven's network slow? Try again") from None
    if done.returncode == 0:
        return
    if "Could not find artifact org.elasticsearch" in done.stdout:
        raise LabError(
            f"Maven has no Elasticsearch {version} in this form: "
            f"{', '.join(KNOWN_VERSIONS)} are known to work with --es-version"
        )
    errors = [line.removeprefix("[ERROR] ") for line in done.stdout.splitlines() if line.startswith("[ERROR] ")]
    raise LabError(f"{doing} failed. Maven said: {' / '.join(errors[:5]) or done.stdout[-500:].strip()}")

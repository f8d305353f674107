"""What is missing for Elasticsearch or the plugin is said with the command that mends it; nothing is built twice."""

import os

import pytest

from lab import distribution
from lab.errors import LabError
from preflight.versions import line


@pytest.fixture
def maven(tmp_path, monkeypatch):
    """A mvn that writes its arguments to a file, leaves the plugin's zip and ends as told. The network is not asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    calls = tmp_path / "calls"
    calls.touch()
    sources = tmp_path / "s3-plugin"
    (sources / "src").mkdir(parents=True)
    (sources / "src" / "Some.java").write_text("class Some {}")

    def ends(status, output=""):
        target = sources / "target"
        made = "".join(
            f"mkdir -p {target / version}\n: >{target / version}/lab-repository-s3-{version}.zip\n"
            for version in distribution.KNOWN_VERSIONS
        )
        (folder / "mvn").write_text(
            f"#!/bin/sh\necho \"$JAVA_HOME $*\" >>{calls}\n{made}cat <<'END'\n{output}\nEND\nexit {status}\n"
        )
        (folder / "mvn").chmod(0o755)
        return lambda: calls.read_text().splitlines()

    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(distribution, "REPOSITORY", tmp_path / "repository")
    monkeypatch.setattr(distribution, "PLUGIN_SOURCES", sources)
    return ends


def jdk(folder, name, release):
    (folder / name / "bin").mkdir(parents=True)
    (folder / name / "bin" / "javac").touch()
    (folder / name / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{release}"\n')
    return folder / name


@pytest.mark.parametrize("version", ["8.19", "latest", "8.19.21-SNAPSHOT", "", "8.19.21 && true"])
def test_what_is_no_version_is_refused(version):
    for function in (distribution.elasticsearch_zip, distribution.java_home_for, distribution.plugin_line):
        with pytest.raises(LabError, match="three numbers"):
            function(version)


def test_a_zip_that_is_there_is_not_fetched_again(maven, tmp_path):
    calls = maven(0)
    group = tmp_path / "repository/org/elasticsearch/distribution/integ-test-zip/elasticsearch"
    (group / "8.19.21").mkdir(parents=True)
    (group / "8.19.21" / "elasticsearch-8.19.21.zip").touch()
    assert distribution.elasticsearch_zip("8.19.21") == group / "8.19.21" / "elasticsearch-8.19.21.zip"
    assert calls() == []
    distribution.elasticsearch_zip("9.5.2")
    assert len(calls()) == 1
    assert "org.elasticsearch.distribution.integ-test-zip:elasticsearch:9.5.2:zip" in calls()[0]


def test_a_version_that_maven_does_not_have_is_named_with_those_it_has(maven):
    maven(1, "[ERROR] Failed to execute goal: Could not find artifact org.elasticsearch.distribution.x:zip:8.99.1 in x")
    with pytest.raises(LabError, match=r"no Elasticsearch 8\.99\.1 .*8\.19\.21"):
        distribution.elasticsearch_zip("8.99.1")


def test_any_other_failure_is_told_in_mavens_words(maven):
    maven(1, "[INFO] x\n[ERROR] Unknown host\n[ERROR] ")
    with pytest.raises(LabError, match=r"fetching Elasticsearch 9\.5\.2 failed\. Maven said: Unknown host"):
        distribution.elasticsearch_zip("9.5.2")


def test_without_maven_the_package_is_named(maven, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="apt-get install maven"):
        distribution.elasticsearch_zip("9.5.2")


def test_the_plugin_is_built_again_only_when_its_sources_changed(maven, tmp_path):
    calls = maven(0)
    built = distribution.s3_plugin_zip("8.19.21", tmp_path / "jdk")
    assert built == distribution.s3_plugin_zip("8.19.21", tmp_path / "jdk")
    assert built.name == "lab-repository-s3-8.19.21.zip"
    assert len(calls()) == 1
    assert calls()[0].startswith(f"{tmp_path / 'jdk'} ")
    assert "-Pes8,sdk2 -Delasticsearch.version=8.19.21" in calls()[0]
    (distribution.PLUGIN_SOURCES / "src" / "Some.java").write_text("class Some { int more; }")
    distribution.s3_plugin_zip("8.19.21", tmp_path / "jdk")
    assert len(calls()) == 2


def test_a_failed_build_is_not_taken_for_done(maven, tmp_path):
    maven(1, "[ERROR] COMPILATION ERROR")
    with pytest.raises(LabError, match="COMPILATION ERROR"):
        distribution.s3_plugin_zip("8.19.21", tmp_path / "jdk")
    calls = maven(0)
    distribution.s3_plugin_zip("8.19.21", tmp_path / "jdk")
    assert len(calls()) == 2


@pytest.mark.parametrize(
    ("version", "profile"), [("7.17.29", "es7"), ("8.18.0", "es8"), ("8.19.21", "es8"), ("9.5.2", "es9")]
)
def test_every_known_version_has_its_sources(version, profile):
    assert distribution.plugin_line(version) == profile
    assert version in distribution.KNOWN_VERSIONS


@pytest.mark.parametrize("version", distribution.KNOWN_VERSIONS)
def test_the_plugin_is_on_the_sdk_that_the_version_is_on(version, maven, tmp_path):
    """And that is the suite's own table's word."""
    calls = maven(0)
    distribution.s3_plugin_zip(version, tmp_path / "jdk")
    assert f",sdk{line(version).sdk} -Delasticsearch.version={version} " in calls()[0]


@pytest.mark.parametrize("version", ["6.8.23", "8.17.0", "9.1.0", "10.0.0"])
def test_a_version_the_plugin_is_not_written_for_is_refused(version):
    with pytest.raises(LabError, match="--es-version"):
        distribution.plugin_line(version)


def test_each_version_gets_the_java_it_runs_on(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(distribution, "JVM_DIRECTORY", tmp_path)
    old, new = jdk(tmp_path, "java-17", "17.0.15"), jdk(tmp_path, "java-25", "25.0.1")
    jdk(tmp_path, "java-11", "11.0.2")
    for version in ("7.17.29", "8.18.0", "8.19.21"):
        assert distribution.java_home_for(version) == old
    assert distribution.java_home_for("9.5.2") == new


def test_java_home_counts_where_the_system_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(distribution, "JVM_DIRECTORY", tmp_path / "none")
    monkeypatch.setenv("JAVA_HOME", str(jdk(tmp_path, "mine", "21.0.2")))
    assert distribution.java_home_for("9.5.2") == tmp_path / "mine"
    with pytest.raises(LabError, match=r"needs Java 17.*Java 21 in .*apt-get install openjdk-17-jdk-headless"):
        distribution.java_home_for("8.19.21")


def test_without_a_fitting_java_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(distribution, "JVM_DIRECTORY", tmp_path)
    with pytest.raises(LabError, match=r"9\.5\.2 needs Java 21 or newer.*no JDK.*openjdk-21-jdk-headless"):
        distribution.java_home_for("9.5.2")

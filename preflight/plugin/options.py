"""The command line: our options, and testinfra's. What can't be honoured is refused, never ignored."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

ABOUT = (
    "preflight for Elasticsearch's S3 snapshots: pytest --hosts=es-1,es-2,es-3. "
    "Login to Elasticsearch: ES_PREFLIGHT_API_KEY, or ES_PREFLIGHT_USER with ES_PREFLIGHT_PASSWORD_FILE. "
    "Any option may also stand in PYTEST_ADDOPTS"
)


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a run, checked. Timeouts in seconds."""

    hosts: str | None = None
    inventory: Path | None = None
    carrier: Literal["paramiko", "ssh"] = "paramiko"
    by_ansible: bool = False
    ssh_config: Path | None = None
    ssh_identity_file: Path | None = None
    sudo: bool = False
    sudo_user: str | None = None
    connect_timeout: float = 5.0
    command_timeout: float = 30.0
    verify_timeout: float = 180.0
    verify_budget: float = 600.0
    certificate_days: float = 30.0
    insecure_host_keys: bool = False
    reference: str | None = None
    complete: bool = False
    read_only: bool = False
    try_role: bool = False
    fail_on_warning: bool = False
    es_url: str | None = None
    es_ca: Path | None = None
    keystore_password_file: Path | None = None
    aws: bool = False
    aws_profile: str | None = None
    waivers: Path | None = None
    facts: Path | None = None
    reports: Path = Path("reports")


def add(parser: pytest.Parser) -> None:
    """Declare our options. --hosts, --ssh-config, --ssh-identity-file, --sudo and --sudo-user are testinfra's."""
    group = parser.getgroup("preflight", ABOUT)
    option = group.addoption
    option(
        "--inventory",
        metavar="FILE",
        help="nodes and groups in Ansible's YAML layout, for names in --hosts; as --ansible-inventory=FILE Ansible "
        "reads it, where it is installed (default: none)",
    )
    for name, default, what in (
        ("connect-timeout", 5.0, "until a node answers and its SSH login is done"),
        ("command-timeout", 30.0, "for each answer of a node and of Elasticsearch"),
        ("verify-timeout", 180.0, "for _verify of one repository"),
        ("verify-budget", 600.0, "for _verify of all repositories together, those last that are known to fail"),
    ):
        option(
            f"--{name}",
            metavar="SECONDS",
            type=float,
            default=default,
            help=f"seconds {what} (default: {default:g})",
        )
    option(
        "--certificate-days",
        metavar="DAYS",
        type=float,
        default=30.0,
        help="warn of a certificate that expires within so many days (default: 30)",
    )
    option(
        "--insecure-host-keys",
        action="store_true",
        help="accept any SSH host key; the report says so (default: known_hosts decides)",
    )
    option(
        "--reference",
        metavar="NODE",
        help="the node whose routes the others must match (default: what a strict majority has in common)",
    )
    option(
        "--complete",
        action="store_true",
        help="fail where a member of the cluster was not given (default: a note says so)",
    )
    option(
        "--read-only",
        action="store_true",
        help="write nothing to any bucket: no _verify, snapshots stay unproven (default: _verify writes its markers)",
    )
    option(
        "--try-role",
        action="store_true",
        help="have every node's role put, read and delete a marker object under each repository's base path (default: "
        "only where static keys may go if the role can do that)",
    )
    option(
        "--fail-on",
        choices=("warning",),
        help="exit 1 on warnings as well as on failures (default: failures only)",
    )
    option(
        "--es-url", metavar="URL", help="ask Elasticsearch here (default: on each node, through its login or session)"
    )
    option(
        "--es-ca",
        metavar="FILE",
        help="CA of Elasticsearch's HTTP certificate (default: the one each node's configuration names)",
    )
    option(
        "--keystore-password-file",
        metavar="FILE",
        help="opens keystores that have a password: its first line (default: such a keystore could not be checked)",
    )
    option(
        "--aws",
        action="store_true",
        help="ask AWS about security groups, network ACLs and route tables too, read-only, with this machine's "
        "credentials; docs/aws-policy.json is the policy that is enough (default: AWS is not asked)",
    )
    option("--aws-profile", metavar="NAME", help="--aws with the credentials of this profile (default: the SDK's own)")
    option("--waivers", metavar="FILE", help="accepted failures (default: waivers.yml where there is one)")
    option("--facts", metavar="FILE", help="judge a recorded facts.json again; no connection is made (default: none)")
    option(
        "--list-checks",
        action="store_true",
        help="print id, severity, needs, writes and title of every check, and exit",
    )
    option(
        "--reports",
        metavar="DIR",
        default="reports",
        help="where each run gets a directory of its own (default: reports)",
    )


def read(config: pytest.Config) -> Choices:
    """The options of this run. Raises pytest.UsageError naming the option to change."""
    option = config.option
    _refuse_unsupported(config)
    extra = _extra_arguments(option.ssh_extra_args)
    choices = Choices(
        hosts=option.hosts,
        inventory=_inventory(option),
        by_ansible=bool(option.ansible_inventory),
        carrier="ssh" if option.connection == "ssh" else "paramiko",
        ssh_config=_one(_file(option.ssh_config, "--ssh-config"), extra.config, "--ssh-config", "-F"),
        ssh_identity_file=_one(
            _file(option.ssh_identity_file, "--ssh-identity-file"), extra.identity, "--ssh-identity-file", "-i"
        ),
        sudo=option.sudo,
        sudo_user=option.sudo_user,
        connect_timeout=_seconds(option.connect_timeout, "--connect-timeout"),
        command_timeout=_seconds(option.command_timeout, "--command-timeout"),
        verify_timeout=_seconds(option.verify_timeout, "--verify-timeout"),
        verify_budget=_seconds(option.verify_budget, "--verify-budget"),
        certificate_days=_days(option.certificate_days),
        insecure_host_keys=option.insecure_host_keys,
        reference=option.reference,
        complete=option.complete,
        read_only=option.read_only,
        try_role=option.try_role,
        fail_on_warning=option.fail_on == "warning",
        es_url=_url(option.es_url),
        es_ca=_file(option.es_ca, "--es-ca"),
        keystore_password_file=_file(option.keystore_password_file, "--keystore-password-file"),
        aws=option.aws or option.aws_profile is not None,
        aws_profile=option.aws_profile,
        waivers=_file(option.waivers, "--waivers"),
        facts=_file(option.facts, "--facts"),
        reports=Path(option.reports).expanduser(),
    )
    if choices.facts:
        _refuse_beside_facts(config)
    return choices


def only_looks(config: pytest.Config) -> bool:
    """pytest was asked to show something, not to run: no nodes are wanted then, and no report."""
    option = config.option
    shows = (
        "help",
        "collectonly",
        "list_checks",
        "markers",
        "showfixtures",
        "show_fixtures_per_test",
        "setupplan",
        "cacheshow",
    )
    return any(getattr(option, name, False) for name in shows) or bool(getattr(option, "version", 0))


def _refuse_unsupported(config: pytest.Config) -> None:
    option = config.option
    # --connection=ansible says that names in --hosts are the inventory's, which they are here anyway.
    by_ansible = option.connection == "ansible" and option.ansible_inventory
    if option.connection not in (None, "paramiko", "ssh") and not by_ansible:
        raise pytest.UsageError(
            f"--connection={option.connection} is not supported: nodes are asked over SSH, by paramiko or, with "
            "--connection=ssh, by this machine's OpenSSH; hosts of an inventory are named by --ansible-inventory=FILE"
        )
    for given, name, instead in (
        (option.force_ansible, "--force-ansible", "nodes are asked over SSH; leave the option out"),
        (option.nagios, "--nagios", "read the exit status or reports/latest/results.jsonl"),
    ):
        if given:
            raise pytest.UsageError(f"{name} is not supported: {instead}")


GATHERING = (
    "hosts", "connection", "inventory", "ansible_inventory", "ssh_config", "ssh_identity_file", "ssh_extra_args",
    "sudo", "sudo_user", "insecure_host_keys", "read_only", "try_role", "es_url", "es_ca", "keystore_password_file",
    "aws", "aws_profile",
)  # fmt: skip
"""Options that say how to ask nodes; --facts asks none."""


def _refuse_beside_facts(config: pytest.Config) -> None:
    for name in GATHERING:
        if getattr(config.option, name):
            raise pytest.UsageError(
                f"--{name.replace('_', '-')} says how to ask nodes, --facts judges recorded ones: leave one of them out"
            )


class _Extra(msgspec.Struct, frozen=True):
    config: Path | None = None
    identity: Path | None = None


def _extra_arguments(text: str | None) -> _Extra:
    """--ssh-extra-args as far as it can be honoured: -F FILE and -i FILE."""
    try:
        words = shlex.split(text or "")
    except ValueError as error:
        raise pytest.UsageError(f"--ssh-extra-args: {error}: close the quotes") from error
    files: dict[str, Path | None] = {}
    while words:
        word = words.pop(0)
        flag, value = word[:2], word[2:] or (words.pop(0) if words else "")
        if flag not in ("-F", "-i"):
            raise pytest.UsageError(
                f"--ssh-extra-args: {word} is not supported, only -F FILE and -i FILE are; "
                "write the setting into a file and name it by --ssh-config"
            )
        if not value:
            raise pytest.UsageError(f"--ssh-extra-args: {flag} needs a file")
        files[flag] = _file(value, f"--ssh-extra-args {flag}")
    return _Extra(config=files.get("-F"), identity=files.get("-i"))


def _one(option: Path | None, extra: Path | None, name: str, flag: str) -> Path | None:
    if option and extra and option != extra:
        raise pytest.UsageError(f"{name} and --ssh-extra-args {flag} name different files: give one of them")
    return option or extra


def _inventory(option: Any) -> Path | None:
    """--inventory or --ansible-inventory; a directory is Ansible's to read."""
    if option.inventory and option.ansible_inventory:
        raise pytest.UsageError("--inventory and --ansible-inventory both name an inventory: give one of them")
    name = "--inventory" if option.inventory else "--ansible-inventory"
    value = option.inventory or option.ansible_inventory
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.exists():
        raise pytest.UsageError(f"{name}={value}: this file does not exist")
    return path


def _file(value: str | None, name: str) -> Path | None:
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise pytest.UsageError(f"{name}={value}: this file {what}")
    return path


def _days(value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise pytest.UsageError(f"--certificate-days={value:g}: a number of days, 0 or more")
    return value


def _seconds(value: float, name: str) -> float:
    if not (0 < value < math.inf):
        raise pytest.UsageError(f"{name}={value:g}: give seconds above 0")
    return value


def _url(value: str | None) -> str | None:
    if value is None:
        return None
    scheme, separator, rest = value.partition("://")
    if scheme not in ("http", "https") or not separator or not rest:
        raise pytest.UsageError("--es-url: give it as https://HOST:PORT")
    if "@" in rest:
        raise pytest.UsageError(
            "--es-url: leave user and password out of it and set ES_PREFLIGHT_USER and ES_PREFLIGHT_PASSWORD_FILE"
        )
    return value

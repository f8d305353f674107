"""ec2://REGION?tag:KEY=VALUE: the running instances that match, each as a hostspec. Asked once, before anything else.

The same key twice: both hold; VALUE|VALUE: one of them; * in a value: any text; %2C, %7C and %26 for , | and &.
source of the wildcards: EC2's guide, filtering resources.
"""

from __future__ import annotations

import difflib
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

from .hostspec import QUERY_KEYS, parse
from .node import InventoryError

FILTERS = ("tag:KEY", "vpc-id")
OWN_KEYS = ("via", "address", "user", "profile", "role_arn")
SSH_KEYS = ("address", "user", "ssh_config", "ssh_identity_file", "timeout")
"""What means nothing where no SSH is spoken."""

Address = Literal["private", "public", "dns", "id"]
CHOICES: Mapping[str, tuple[str, ...]] = {
    "via": ("paramiko", "ssh", "ssm"),
    "address": ("private", "public", "dns", "id"),
}

DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
LIVING = ("running", "pending", "stopping", "stopped")
"""States in which an instance is still somebody's: what is not running is counted where nothing is."""

POLICY = "docs/aws-policy.json is the policy that is enough"
CHECK = "check them with: aws sts get-caller-identity"
REGION = re.compile(r"[a-z]{2,}(?:-[a-z0-9]+)+")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One ec2:// word, read. word: as it was typed; filters: (name, patterns any of which matches), all of them hold

    region, profile, role_arn: None for what AWS's own configuration says; rest: what the hostspecs get as it stands
    """

    word: str
    region: str | None
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    via: str = "paramiko"
    address: Address = "private"
    user: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    rest: tuple[tuple[str, str], ...] = ()

    def spec(self, host: str, region: str) -> str:
        """The hostspec of one instance at `host`; its id where it is reached through Systems Manager."""
        if self.via == "ssm":
            where = {"region": region, **({"profile": self.profile} if self.profile else {})}
            return f"ssm://{host}?{urllib.parse.urlencode([*where.items(), *self.rest])}"
        login = f"{urllib.parse.quote(self.user, safe='')}@" if self.user else ""
        query = f"?{urllib.parse.urlencode(self.rest)}" if self.rest else ""
        return f"{self.via}://{login}{host}{query}"


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One running instance that matches. name: its Name tag where no other match has it, else its id"""

    name: str
    instance: str
    spec: str


def read(word: str, profile: str | None = None, via: str = "paramiko") -> Query:
    """What an ec2:// word asks for. profile, via: for what names none itself. Raises InventoryError; asks nobody."""
    place, _, query = word.removeprefix("ec2://").partition("?")
    place = place.removesuffix("/")
    if place and not REGION.fullmatch(place):
        raise InventoryError(f"{word}: {place!r} is no region: write ec2://REGION?tag:KEY=VALUE")
    filters: list[tuple[str, tuple[str, ...]]] = []
    own: dict[str, str] = {}
    rest: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, _, text = part.partition("=")
        key = urllib.parse.unquote(key)
        values = tuple(urllib.parse.unquote(value) for value in text.split("|"))
        if not all(values):
            hint = f": write {key}=* for any value" if key.startswith("tag:") else ""
            raise InventoryError(f"{word}: {key} has no value{hint}")
        if key == "vpc-id" or (key.startswith("tag:") and key != "tag:"):
            filters.append((key, values))
            continue
        if key not in (*OWN_KEYS, *QUERY_KEYS):
            raise InventoryError(f"{word}: {key!r} means nothing here: {_near(key)}")
        if key in own or key in rest:
            raise InventoryError(f"{word}: {key} is given twice")
        (own if key in OWN_KEYS else rest)[key] = urllib.parse.unquote(text)
    for key, choices in CHOICES.items():
        if own.get(key, choices[0]) not in choices:
            raise InventoryError(f"{word}: {key}={own[key]} is none of {', '.join(choices)}")
    if not filters:
        raise InventoryError(
            f"{word} would be every instance of the region: say which by a tag, ec2://REGION?tag:KEY=VALUE, or vpc-id="
        )
    found = Query(
        word=word,
        region=place or None,
        filters=tuple(filters),
        via=own.get("via", via),
        address=cast(Address, own.get("address", "private")),
        user=own.get("user"),
        profile=own.get("profile", profile),
        role_arn=own.get("role_arn"),
        rest=tuple(rest.items()),
    )
    _refuse_contradictions(found, {*own, *rest})
    return found


def _near(key: str) -> str:
    if key.lower() == "region":
        return "the region stands first, ec2://REGION?tag:KEY=VALUE"
    if re.match(r"tags?\b|name\b|cluster\b|role\b", key, re.IGNORECASE):
        return f"did you mean tag:{re.sub(r'^tags?[:._-]*', '', key, flags=re.IGNORECASE) or 'KEY'}="
    near = difflib.get_close_matches(key, (*FILTERS, *OWN_KEYS, *QUERY_KEYS), n=1, cutoff=0.0)[0]
    return f"did you mean {near}="


def _refuse_contradictions(query: Query, keys: set[str]) -> None:
    if query.via == "ssm":
        for key in SSH_KEYS:
            if key in keys and (key, query.address) != ("address", "id"):
                raise InventoryError(
                    f"{query.word}: {key} means nothing with via=ssm, which needs no SSH: leave it out"
                )
        if query.role_arn:
            raise InventoryError(
                f"{query.word}: with via=ssm the role stands in AWS's configuration: write a profile with role_arn and "
                "source_profile, and name it with profile="
            )
    try:
        # Whatever no instance could be reached by is said before AWS is asked.
        parse(query.spec("i-00000000000000000" if query.via == "ssm" else "instance", query.region or "us-east-1"))
    except InventoryError as error:
        raise InventoryError(f"{query.word}: {error}") from error


def matching(query: Query) -> tuple[Match, ...]:
    """The running instances that match, by name. Raises InventoryError where there is none, or AWS cannot be asked."""
    region, instances = _instances(query)
    found = [i for i in instances if all(_holds(i, name, values) for name, values in query.filters)]
    running = [i for i in found if i["State"]["Name"] == "running"]
    if not running:
        raise InventoryError(f"{query.word}: {_none(query, region, found)}")
    labels = {i["InstanceId"]: label(_tags(i).get("Name", "")) for i in running}
    count = Counter(labels.values())
    matches = [
        Match(
            name=name if name and count[name] == 1 else identity,
            instance=identity,
            spec=query.spec(_host(query, instance), region),
        )
        for instance in running
        for identity in [instance["InstanceId"]]
        for name in [labels[identity]]
    ]
    return tuple(sorted(matches, key=_order))


def label(text: str) -> str:
    """A Name tag as a node's name: what a path, a shell or pytest reads otherwise becomes a dash."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")


def _order(match: Match) -> tuple[Any, ...]:
    """es-2 before es-10; the id last."""
    parts = re.split(r"(\d+)", match.name)
    return ([(int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts)], match.instance)


def _tags(instance: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}


def _holds(instance: Mapping[str, Any], name: str, patterns: Iterable[str]) -> bool:
    """EC2 has applied one filter of each name; those that repeat it are applied here."""
    value = instance.get("VpcId") if name == "vpc-id" else _tags(instance).get(name.removeprefix("tag:"))
    return value is not None and any(_pattern(pattern).fullmatch(value) for pattern in patterns)


def _pattern(text: str) -> re.Pattern[str]:
    """EC2's wildcards: * any text, ? at most one character, \\ takes the next one as it is."""
    parts = re.findall(r"\\.|.", text, re.DOTALL)
    wild = {"*": ".*", "?": ".?"}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


def _host(query: Query, instance: Mapping[str, Any]) -> str:
    identity = str(instance["InstanceId"])
    if query.via == "ssm" or query.address == "id":
        return identity
    field = {"private": "PrivateIpAddress", "public": "PublicIpAddress", "dns": "PrivateDnsName"}[query.address]
    host = instance.get(field)
    if not host:
        words = {"private": "private address", "public": "public address", "dns": "private DNS name"}[query.address]
        raise InventoryError(f"{query.word}: {identity} has no {words}: choose another with address=")
    return str(host)


def _none(query: Query, region: str, found: Iterable[Mapping[str, Any]]) -> str:
    states = Counter(instance["State"]["Name"] for instance in found)
    if states:
        counted = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
        return f"no instance that matches in {region} is running ({counted})"
    conditions = " ".join(f"Name={name},Values={'|'.join(values)}" for name, values in query.filters)
    return (
        f"no instance in {region} matches {conditions}: look at tags, region and account "
        f"({'profile ' + query.profile if query.profile else 'the default credentials'}"
        f"{', role ' + query.role_arn if query.role_arn else ''})"
    )


def _instances(query: Query) -> tuple[str, list[dict[str, Any]]]:
    """The region that was asked, and its instances that EC2 says match. Raises InventoryError."""
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
    region = query.region
    try:
        session = boto3.Session(profile_name=query.profile, region_name=query.region)
        region = session.region_name
        if not region:
            raise InventoryError(f"{query.word}: no region is configured: write ec2://REGION?tag:KEY=VALUE")
        if query.role_arn:
            session = _assumed(session, query, config)
        ec2 = session.client("ec2", config=config)
        asked = [{"Name": "instance-state-name", "Values": list(LIVING)}]
        asked += [{"Name": name, "Values": list(values)} for name, values in dict(reversed(query.filters)).items()]
        pages = ec2.get_paginator("describe_instances").paginate(Filters=asked)
        return region, [i for page in pages for r in page["Reservations"] for i in r["Instances"]]
    except ProfileNotFound as error:
        raise InventoryError(
            f"{query.word}: {_sentence(error)}: name one that `aws configure list-profiles` has"
        ) from error
    except NoCredentialsError as error:
        who = f"profile {query.profile}" if query.profile else "this machine"
        how = "log in to it or give it a key" if query.profile else "set AWS_PROFILE or add profile=NAME"
        raise InventoryError(f"{query.word}: {who} has no AWS credentials: {how}; {CHECK}") from error
    except ClientError as error:
        raise InventoryError(f"{query.word}: {_refused(error, region)}") from error
    except BotoCoreError as error:
        raise InventoryError(f"{query.word}: AWS was not asked: {_sentence(error)}{_unknown_region(region)}") from error


def _assumed(session: Any, query: Query, config: Config) -> Any:
    given = session.client("sts", config=config).assume_role(RoleArn=query.role_arn, RoleSessionName="es-preflight")
    keys = given["Credentials"]
    return boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        profile_name=query.profile,
        region_name=session.region_name,
    )


def _refused(error: ClientError, region: str | None) -> str:
    code, operation = error.response["Error"]["Code"], error.operation_name
    if code in DENIED:
        if operation == "AssumeRole":
            return "these AWS credentials may not sts:AssumeRole that role: its trust policy or theirs lacks it"
        return f"these AWS credentials may not ec2:{operation} in {region}: allow it, {POLICY}"
    return f"AWS refuses with {code}: the credentials are wrong or over, or {region} is not enabled for them; {CHECK}"


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _unknown_region(region: str | None) -> str:
    """A word where the SDK knows no such region: a slip of the keyboard reads like an unreachable AWS."""
    session = boto3.Session()
    regions = [r for p in session.get_available_partitions() for r in session.get_available_regions("ec2", p)]
    if region is None or region in regions:
        return ""
    near = difflib.get_close_matches(region, regions, n=1, cutoff=0.6)
    return f"; there may be no region {region}{f': did you mean {near[0]}' if near else ''}"

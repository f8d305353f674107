"""How a policy's statement bears on one request: yes, no, or (None) not to be told from what is known here.

source: IAM user guide, policy evaluation and condition operators. A key that a request does not have fails a positive
operator and meets a negated one (StringNotEquals), unless the operator ends in IfExists.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

import msgspec

from ...facts.policies import Condition, Policy, Statement
from .groups import parsed

Context = Mapping[str, tuple[str, ...] | None]
"""What is known of a request, by condition keys in lower case: its values, None where it does not have the key. What is
not in it is not known."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a node. role: ARN of whoever signs it, None where not known; context: see Context"""

    action: str
    resource: str
    role: str | None
    context: Context


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that denies a request, or may. certain: all of it is met; asks: keys that are not known here"""

    statement: Statement
    certain: bool
    asks: tuple[str, ...] = ()


def denials(policy: Policy, request: Request) -> tuple[Denial, ...]:
    """The statements that deny the request, those that certainly do first."""
    found = []
    for statement in policy:
        met = applies(statement, request) if statement.effect == "Deny" else False
        if met is not False:
            asks = [c.key for c in statement.conditions if holds(c, request.context) is None]
            found.append(Denial(statement=statement, certain=met is True, asks=tuple(dict.fromkeys(asks))))
    return tuple(sorted(found, key=lambda denial: not denial.certain))


def allows(policy: Policy, request: Request) -> bool | None:
    """Whether some statement allows the request; what another denies is left aside."""
    return _any(applies(statement, request) for statement in policy if statement.effect == "Allow")


def applies(statement: Statement, request: Request) -> bool | None:
    """Whether the statement is about this request and all its conditions are met."""
    return _all(
        (
            _named(statement.actions, statement.not_actions, request.action.lower(), lower=True),
            _named(statement.resources, statement.not_resources, request.resource),
            _principal(statement, request.role),
            *(holds(condition, request.context) for condition in statement.conditions),
        )
    )


def _named(
    given: tuple[str, ...] | None, excepted: tuple[str, ...] | None, value: str, lower: bool = False
) -> bool | None:
    patterns = given if given is not None else excepted
    if patterns is None:
        return True
    found = _any(_like(pattern.lower() if lower else pattern, value) for pattern in patterns)
    return found if given is not None else _not(found)


def _principal(statement: Statement, role: str | None) -> bool | None:
    named = statement.principals if statement.principals is not None else statement.not_principals
    if named is None:
        return True
    found = _any(_is(principal, role) for principal in named)
    return found if statement.principals is not None else _not(found)


def _is(principal: str, role: str | None) -> bool | None:
    """Whether a principal of a policy is, or holds, the role. A session's ARN or a unique id might be it."""
    if principal == "*":
        return True
    if re.match(r"(service|federated|canonicaluser):", principal):
        return False
    if role is None:
        return None
    account = role.split(":")[4]
    if principal == account or principal.endswith(f"::{account}:root"):
        return True
    if principal.endswith(":root") or re.fullmatch(r"\d{12}", principal) or ":user/" in principal:
        return False
    if ":role/" in principal:
        return principal == role
    if ":assumed-role/" in principal:
        name = principal.partition(":assumed-role/")[2].partition("/")[0]
        return None if name == role.rpartition("/")[2] else False
    return None


def holds(condition: Condition, context: Context) -> bool | None:
    """Whether one condition is met."""
    operator = condition.operator.lower()
    if operator.startswith("for") or condition.key not in context:
        return None
    lenient = operator.endswith("ifexists")
    operator = operator.removesuffix("ifexists")
    actual = context[condition.key]
    if operator == "null":
        return str(actual is None).lower() in [value.lower() for value in condition.values]
    negated = "not" in operator
    if actual is None:
        return lenient or negated
    compare = COMPARISONS.get(operator.replace("not", ""))
    if compare is None:
        return None
    found = _any(compare(wanted, value) for wanted in condition.values for value in actual)
    return _not(found) if negated else found


def _like(pattern: str, value: str) -> bool | None:
    if "${" in pattern:
        return None  # a variable of the request
    return _pattern(pattern).fullmatch(value) is not None


@functools.lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in text), re.DOTALL)


def _equals(wanted: str, value: str) -> bool | None:
    return None if "${" in wanted else wanted == value


def _equals_without_case(wanted: str, value: str) -> bool | None:
    return _equals(wanted.lower(), value.lower())


def _address(wanted: str, value: str) -> bool | None:
    try:
        network, address = parsed(wanted), parsed(value)
    except ValueError:
        return None
    return address.version == network.version and address.subnet_of(network)  # type: ignore[arg-type]


COMPARISONS = {
    "stringequals": _equals,
    "stringequalsignorecase": _equals_without_case,
    "stringlike": _like,
    "arnequals": _like,
    "arnlike": _like,
    "ipaddress": _address,
    "bool": _equals_without_case,
}
"""Operators by name, in lower case and without Not and IfExists; others (numbers, dates, sets) are not judged."""


def _all(parts: Iterable[bool | None]) -> bool | None:
    unknown = False
    for part in parts:
        if part is False:
            return False
        unknown = unknown or part is None
    return None if unknown else True


def _any(parts: Iterable[bool | None]) -> bool | None:
    return _not(_all(_not(part) for part in parts))


def _not(part: bool | None) -> bool | None:
    return None if part is None else not part

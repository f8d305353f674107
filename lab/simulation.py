"""moto with an answer to SimulatePrincipalPolicy, which it lacks: python -m lab.simulation -H 127.0.0.1 -p PORT

Only a role's own policies are judged: no boundary, no organization. A statement with a condition on a key that was not
given holds as if it were met, and the key is told as missing, which is where AWS too says that it does not know.
"""

from __future__ import annotations

import fnmatch
import json
import sys
from collections.abc import Iterable
from typing import Any


def install() -> None:
    """Teach moto's IAM the action, for this process."""
    from moto.core.responses import ActionResult
    from moto.iam import responses

    def simulate(self: Any) -> ActionResult:
        given = {entry["ContextKeyName"].lower() for entry in self._get_param("ContextEntries") or []}
        role = self.backend.get_role_by_arn(self._get_param("PolicySourceArn"))
        documents = [json.loads(text) if isinstance(text, str) else text for text in role.policies.values()]
        documents += [json.loads(policy.document) for policy in role.managed_policies.values()]
        statements = [s for document in documents for s in _several(document["Statement"])]
        return ActionResult(
            {
                "EvaluationResults": [
                    _evaluated(statements, action, resource, given)
                    for action in self._get_param("ActionNames")
                    for resource in self._get_param("ResourceArns") or ["*"]
                ],
                "IsTruncated": False,
            }
        )

    answers: Any = responses.IamResponse
    answers.simulate_principal_policy = simulate


def _evaluated(statements: Iterable[dict[str, Any]], action: str, resource: str, given: set[str]) -> dict[str, Any]:
    hit = [s for s in statements if _names(s.get("Action"), action.lower()) and _names(s.get("Resource"), resource)]
    effects = {s["Effect"] for s in hit}
    missing = {key for s in hit for keys in s.get("Condition", {}).values() for key in keys if key.lower() not in given}
    decision = "explicitDeny" if "Deny" in effects else "allowed" if effects else "implicitDeny"
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision,
        "MatchedStatements": [],
        "MissingContextValues": [],
        "ResourceSpecificResults": [
            {
                "EvalResourceName": resource,
                "EvalResourceDecision": decision,
                "MatchedStatements": [],
                "MissingContextValues": sorted(missing),
            }
        ],
    }


def _names(patterns: Any, value: str) -> bool:
    return any(fnmatch.fnmatchcase(value, p) or fnmatch.fnmatchcase(value, p.lower()) for p in _several(patterns or []))


def _several(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


if __name__ == "__main__":
    from moto.server import main

    install()
    main(sys.argv[1:])

"""Ask S3 for the buckets' policies, and IAM for the nodes' roles and what their policies allow on these buckets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from ..facts import Unknown
from ..facts.policies import BucketPolicy, Decision, Policies, Policy, Profile, Simulation
from ..s3 import BUCKET_ACTIONS, OBJECT_ACTIONS
from . import records
from .calls import Calls

MOST_SIMULATIONS = 20
"""Pairs of a role and a base path that are simulated, with two calls each: more are left Unknown."""

AN_OBJECT = "index-0"
"""Name of an object that every repository has: what is simulated on objects is simulated on it."""


class Place(msgspec.Struct, frozen=True, order=True):
    """Where a repository lies."""

    bucket: str
    base_path: str


class Reading:
    """One run's calls to S3 and IAM. partition: first part of ARNs, as the caller's own begins."""

    def __init__(self, s3: Any, iam: Any, calls: Calls) -> None:
        self.s3, self.iam, self.calls = s3, iam, calls
        self.partition = calls.caller.split(":")[1] if calls.caller.startswith("arn:") else "aws"

    def everything(self, places: Iterable[Place], profiles: Iterable[str]) -> Policies:
        """profiles: ARNs of instance profiles."""
        places = sorted(set(places))
        found = tuple(self.profile(arn) for arn in sorted(set(profiles)))
        roles = sorted({role for one in found if not isinstance(one.roles, Unknown) for role in one.roles})
        return Policies(
            buckets=tuple(
                BucketPolicy(bucket=bucket, policy=self.calls.known("s3", lambda bucket=bucket: self.policy(bucket)))  # type: ignore[misc]
                for bucket in dict.fromkeys(place.bucket for place in places)
            ),
            profiles=found,
            simulations=self.simulations(list(itertools.product(roles, places))),
        )

    def policy(self, bucket: str) -> Policy | Unknown:
        self.calls.count += 1
        try:
            return records.policy(self.s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
                return ()
            raise

    def profile(self, arn: str) -> Profile:
        def read() -> tuple[str, ...]:
            self.calls.count += 1
            given = self.iam.get_instance_profile(InstanceProfileName=arn.rpartition("/")[2])["InstanceProfile"]
            return tuple(role["Arn"] for role in given["Roles"])

        return Profile(arn=arn, roles=self.calls.known("iam", read))

    def simulations(self, pairs: list[tuple[str, Place]]) -> tuple[Simulation, ...]:
        found: list[Simulation] = []
        refused: Unknown | None = None
        for role, place in pairs:
            if len(found) >= MOST_SIMULATIONS:
                refused = Unknown(reason=f"more than {MOST_SIMULATIONS} pairs of a role and a base path to simulate")
            decisions = refused or self._known(role, place)
            # Whoever may not simulate one role is not asked again for the next.
            refused = decisions if isinstance(decisions, Unknown) else None
            found.append(Simulation(role=role, bucket=place.bucket, base_path=place.base_path, decisions=decisions))
        return tuple(found)

    def _known(self, role: str, place: Place) -> tuple[Decision, ...] | Unknown:
        return self.calls.known("iam", lambda: self.simulated(role, place))

    def simulated(self, role: str, place: Place) -> tuple[Decision, ...]:
        """The prefix is what Elasticsearch lists under: a policy may ask for it."""
        bucket, below = f"arn:{self.partition}:s3:::{place.bucket}", f"{place.base_path}/" if place.base_path else ""
        found = []
        for actions, resource in ((BUCKET_ACTIONS, bucket), (OBJECT_ACTIONS, f"{bucket}/{below}{AN_OBJECT}")):
            pages = self.iam.get_paginator("simulate_principal_policy").paginate(
                PolicySourceArn=role,
                ActionNames=list(actions),
                ResourceArns=[resource],
                ContextEntries=[
                    {"ContextKeyName": "s3:prefix", "ContextKeyValues": [below], "ContextKeyType": "string"}
                ],
            )
            for page in pages:
                self.calls.count += 1
                found += [records.decision(given) for given in page["EvaluationResults"]]
        return tuple(found)

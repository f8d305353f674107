"""The one vocabulary: typed, immutable, strict records of everything seen."""

from .base import CouldNotCheck, Fact, Unknown, known
from .cluster import Cluster, Member, Repository, S3Client, Verification, VerifyFailure, View
from .node import (
    Address,
    BucketPath,
    ChosenPath,
    Config,
    Dial,
    Imds,
    Install,
    Keystore,
    Login,
    Process,
    RoleCredentials,
    Route,
    Routing,
    Rule,
    SignedList,
    System,
)
from .survey import FORMAT, NodeFacts, Options, Survey, dump, load

__all__ = [
    "FORMAT", "Address", "BucketPath", "ChosenPath", "Cluster", "Config", "CouldNotCheck", "Dial", "Fact", "Imds",
    "Install", "Keystore", "Login", "Member", "NodeFacts", "Options", "Process", "Repository", "RoleCredentials",
    "Route", "Routing", "Rule", "S3Client", "SignedList", "Survey", "System", "Unknown", "Verification",
    "VerifyFailure", "View", "dump", "known", "load",
]

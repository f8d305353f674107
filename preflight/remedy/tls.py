"""Certificates: which one is in use, and how a new one is taken up."""

from __future__ import annotations

import posixpath
import shlex

from ..facts import Config, Install, NodeFacts
from ..judgement import Command, Remedy
from .asking import AFTERWARDS

LAYER = "xpack.security.http.ssl"


def renew(node: NodeFacts) -> Remedy:
    """Show the file that the node's configuration names; who signs the next one is not the suite's to know."""
    settings = node.config.settings if isinstance(node.config, Config) else {}
    written = settings.get(f"{LAYER}.certificate")
    folder = node.install.path_conf if isinstance(node.install, Install) else "/etc/elasticsearch"
    commands: tuple[Command, ...] = ()
    if written:
        path = shlex.quote(posixpath.join(folder, written))
        text = f"sudo openssl x509 -noout -subject -issuer -dates -ext subjectAltName -in {path}"
        commands = (Command(where=node.name, text=text),)
    return Remedy(
        caution="who signs this cluster's certificates is not known here",
        commands=commands,
        advice=(
            "have a certificate issued by the authority that clients and peers trust, for the same names, and write it "
            f"over the file that is named, or that {LAYER}.certificate (or .keystore.path) names, with owner and mode "
            "as they are: Elasticsearch reads it again within seconds, without a restart",
            "do not restart the node before: with an expired transport certificate its peers do not let it in again",
            AFTERWARDS,
        ),
    )

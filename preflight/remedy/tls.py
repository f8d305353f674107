"""Certificates: which one is in use, and how a new one is taken up."""

from __future__ import annotations

import posixpath
import shlex

from ..facts import Config, Install, NodeFacts, Survey
from ..judgement import Command, Remedy
from ..rules import tls
from .asking import AFTERWARDS

LAYER = "xpack.security.http.ssl"

STORES = (".p12", ".pfx", ".jks")
"""Files that openssl reads by another command and with a password, which is not for a command line."""


def renew(survey: Survey, node: NodeFacts) -> Remedy:
    """Show the file in question, else the one that HTTP's configuration names; who signs the next one is not the
    suite's to know."""
    settings = node.config.settings if isinstance(node.config, Config) else {}
    folder = node.install.path_conf if isinstance(node.install, Install) else "/etc/elasticsearch"
    late = survey.started + survey.options.certificate_days * tls.DAY
    files = dict.fromkeys(each.path for each in node.loaded_certificates or () if each.not_after < late)
    written = settings.get(f"{LAYER}.certificate")
    commands = tuple(
        Command(
            where=node.name,
            text="sudo openssl x509 -noout -subject -issuer -dates -ext subjectAltName -in "
            + shlex.quote(posixpath.join(folder, file)),
        )
        for file in files or ((written,) if written else ())
        if not file.endswith(STORES)
    )
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

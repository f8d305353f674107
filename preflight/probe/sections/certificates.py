"""Question `certificates`: those of a PEM file that Elasticsearch's configuration names, and nothing else of it."""

import os.path
import re

from .base import Unseen, decoded, read_octets

CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----")


def certificates(message, look):
    """{"pem": text}: the file's certificates; a key that stands beside them stays here."""
    place = look.place()
    if place is None:
        raise Unseen("no Elasticsearch was found on this host")
    path = os.path.join(place["path_conf"], message["file"])
    try:
        content = decoded(read_octets(place["root"] + path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise Unseen("%s is no file" % path)
    found = CERTIFICATE.findall(content)
    if not found:
        raise Unseen("%s holds no PEM certificate" % path)
    return {"pem": "\n".join(found) + "\n"}

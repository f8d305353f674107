"""Who AWS says the node is: sts:GetCallerIdentity, which needs no permission and cannot be denied."""

import time

from .base import Unseen
from .bucket import element, opened, signed, trusting_as_host, words_of
from .network import Unresolved, addresses_of


def identity(asked, look, patience):
    """The Identity record. asked: host, region, signer. Raises Unseen."""
    import http.client

    key = look.key(asked["signer"])
    if key is None:
        raise Unseen("not asked: there are no credentials of a role")
    host = asked["host"]
    query = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
    target, headers = signed(host, "/", query, asked["region"], key, time.gmtime(), "sts")
    limit = look.deadline.left(patience)
    wire = http.client.HTTPSConnection(host)
    try:
        wire.sock = opened(addresses_of(host, limit)[0], 443, look, patience, limit, trusting_as_host(), host)
        wire.request("GET", target, headers=headers)
        answer = wire.getresponse()
        body = answer.read(1 << 16).decode("utf-8", "replace")
    except Unresolved:
        raise Unseen("%s has no address on this node" % host)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unseen("%s gave no answer (%s)" % (host, words_of(error)))
    finally:
        wire.close()
    if answer.status != 200:
        raise Unseen("%s answered HTTP %d %s" % (host, answer.status, element("Code", body, key) or ""))
    account, arn = element("Account", body, key), element("Arn", body, key)
    if not account or not arn:
        raise Unseen("%s named no caller" % host)
    return {"account": account, "arn": arn}

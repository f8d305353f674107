"""Question `paths`: ports of the members, the routes chosen, the way to every bucket; all three at once."""

import binascii

from .base import Unseen, read_text
from .bucket import bucket_path
from .dialling import SHORT, STAY, Call, dial_all
from .identity import identity
from .network import Unresolved, addresses_of, is_address, split_target
from .routing import chosen_path, taken_path
from .together import together, wrapped


def paths(asked, look):
    """The answer: lists of dials, paths and buckets, who the node is to AWS; {"unknown", "remedy"} for what can't be
    seen."""
    patience = float(asked["connect_timeout"])
    work = {
        "dials": lambda: dials(asked["dials"], patience, look),
        "paths": lambda: chosen(asked["destinations"], look),
    }
    for at, bucket in enumerate(asked["buckets"]):
        work[at] = lambda bucket=bucket: bucket_and_route(bucket, look, patience)
    if asked.get("identity"):
        work["identity"] = lambda: identity(asked["identity"], look, patience)
    done = together(work, look.deadline)
    if isinstance(done["dials"], Unseen):
        raise done["dials"]
    buckets = [done[at] for at in range(len(asked["buckets"]))]
    unseen = next((result for result in buckets if isinstance(result, Unseen)), None)
    if unseen is None and not isinstance(done["paths"], Unseen):
        done["paths"] += [path for _, path in buckets if path and not isinstance(path, Unseen)]
        unseen_path = next((path for _, path in buckets if isinstance(path, Unseen)), None)
        done["paths"] = done["paths"] if unseen_path is None else unseen_path
    dialled, certificates = done["dials"]
    return {
        "dials": dialled,
        "certificates": certificates,
        "paths": listed_or_unknown(done["paths"]),
        "buckets": listed_or_unknown(unseen or [bucket for bucket, _ in buckets]),
        "identity": listed_or_unknown(done.get("identity")),
    }


def listed_or_unknown(result):
    return wrapped(result) if isinstance(result, Unseen) else result


def dials(asked, patience, look):
    """(the Dial records in the order asked, certificates shown by their fingerprint).

    Of a target: tls: it is known to speak TLS; show: its certificate is wanted whole, its fingerprint always is
    """
    import hashlib
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Looked at, not relied on: to refuse one would write a warning into its server's log.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    results, calls, certificates = [], {}, {}
    for at, dial in enumerate(asked):
        known = {name: dial[name] for name in ("member", "port", "target")}
        results.append(dict(known, outcome="dns", milliseconds=0.0, tries=1))
        host, port = split_target(dial["target"])
        try:
            address = host if is_address(host) else addresses_of(host, look.deadline.left(2 * patience))[0]
        except Unresolved:
            continue
        tls = context if dial.get("tls") else None
        calls[at] = Call(address, port, STAY, tls, namespace=look.namespace())
    dial_all(list(calls.values()), patience, look.deadline)
    again = {
        at: Call(call.address, call.port, STAY, context, SHORT, call.namespace)
        for at, call in calls.items()
        if call.tls == "timeout"
    }
    dial_all(list(again.values()), patience, look.deadline)
    for at, call in calls.items():
        chain = [hashlib.sha256(der).hexdigest() for der in call.shown]
        results[at].update(
            outcome=call.outcome,
            milliseconds=call.milliseconds,
            tries=call.tries,
            tls=call.tls,
            chain=chain,
            whole_chain=call.whole,
            path_mtu=call.path_mtu,
            retransmits=call.retransmits,
            short=again[at].tls if at in again else None,
        )
        if asked[at].get("show"):
            for name, der in zip(chain, call.shown):
                certificates[name] = binascii.b2a_base64(der, newline=False).decode("ascii")
    return results, certificates


def chosen(destinations, look):
    """The ChosenPath records; a name that has no address has no route to ask for and is left out."""
    found = []
    for destination in destinations:
        if destination["purpose"] == "dns":
            for address in resolvers():
                try:
                    found.append(taken_path("dns", address, look))
                except Unseen:  # of a family that this kernel lacks: nobody is asked there
                    continue
            continue
        address = destination["target"].strip("[]")
        if not is_address(address):
            try:
                address = addresses_of(address, look.deadline.left(5))[0]
            except Unresolved:
                continue
        path = taken_path(destination["purpose"], address, look)
        found.append(path)
        source = destination.get("source")
        if source and source != path["source"] and path["kind"] != "local" and (":" in source) == (":" in address):
            found.append(chosen_path(destination["purpose"], address, look, source))
    return found


def resolvers(files=("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")):
    """Addresses of the name servers that are asked over the network; behind systemd's stub its own."""
    found = []
    for path in files:
        try:
            words = [line.split() for line in read_text(path).splitlines()]
        except (FileNotFoundError, Unseen):
            continue
        found = [line[1].partition("%")[0] for line in words if line[:1] == ["nameserver"] and len(line) > 1]
        if found != ["127.0.0.53"]:
            break
    return [address for address in found if is_address(address) and not address.startswith(("127.", "::1"))]


def bucket_and_route(asked, look, patience):
    bucket = bucket_path(asked, look, patience)
    if not bucket["addresses"]:
        return bucket, None
    try:
        return bucket, taken_path("s3:" + asked["repository"], bucket["addresses"][0], look)
    except Unseen as unseen:
        return bucket, unseen

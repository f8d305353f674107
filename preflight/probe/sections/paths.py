"""Question `paths`: ports of the members, the routes chosen, the way to every bucket; all three at once."""

from .base import Unseen
from .bucket import bucket_path
from .identity import identity
from .network import Unresolved, addresses_of, dial_all, is_address, split_target
from .routing import taken_path
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
    return {
        "dials": done["dials"],
        "paths": listed_or_unknown(done["paths"]),
        "buckets": listed_or_unknown(unseen or [bucket for bucket, _ in buckets]),
        "identity": listed_or_unknown(done.get("identity")),
    }


def listed_or_unknown(result):
    return wrapped(result) if isinstance(result, Unseen) else result


def dials(asked, patience, look):
    """The Dial records, in the order asked."""
    results = [dict(dial, outcome="dns", milliseconds=0.0, tries=1) for dial in asked]
    targets = []
    for at, dial in enumerate(asked):
        host, port = split_target(dial["target"])
        try:
            address = host if is_address(host) else addresses_of(host, look.deadline.left(2 * patience))[0]
        except Unresolved:
            continue
        targets.append((at, address, port))
    tried = dial_all([(address, port) for _, address, port in targets], patience, look.deadline)
    for (at, _, _), (outcome, milliseconds, tries) in zip(targets, tried):
        results[at].update(outcome=outcome, milliseconds=milliseconds, tries=tries)
    return results


def chosen(destinations, look):
    """The ChosenPath records; a name that has no address has no route to ask for and is left out."""
    found = []
    for destination in destinations:
        address = destination["target"].strip("[]")
        if not is_address(address):
            try:
                address = addresses_of(address, look.deadline.left(5))[0]
            except Unresolved:
                continue
        found.append(taken_path(destination["purpose"], address, look.deadline))
    return found


def bucket_and_route(asked, look, patience):
    bucket = bucket_path(asked, look, patience)
    if not bucket["addresses"]:
        return bucket, None
    try:
        return bucket, taken_path("s3:" + asked["repository"], bucket["addresses"][0], look.deadline)
    except Unseen as unseen:
        return bucket, unseen

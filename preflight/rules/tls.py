"""TLS: the certificate of a node's HTTP as its peers are shown it, and those of the files that it has loaded."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from ..addresses import host_of, stays_home
from ..facts import Certificate, CouldNotCheck, Dial, LoadedCertificate, Member, NodeFacts, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import members, ports

DAY = 86_400.0

_Shown = Mapping[str, tuple[tuple[NodeFacts, Certificate], ...]]
"""Each certificate by its fingerprint, with everybody it was shown to."""


def valid(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where every certificate that this node shows is valid for longer than the run's limit.

    HTTP's as anybody was shown it, and those of its own files where its Elasticsearch tells. A member that was not
    given has nobody else to say it: each node that was shown its certificate does. Expired, or not valid yet, is a
    failure; soon to expire, and what only its peers' certificates suggest, a warning.
    Raises CouldNotCheck, NotApplicable.
    """
    cluster = members.cluster_of(survey, node)
    known(node.dials)
    known(node.certificates)
    mine = [member for member in cluster.members if _speaks_for(survey, node, member)]
    offered = [member for member in mine if member.http_tls and member.http and not stays_home(member.http)]
    if not offered and not node.loaded_certificates:
        raise NotApplicable(_why_not(mine))
    shown = _by_fingerprint(survey)
    failures: list[str] = []
    warnings: list[str] = []
    for name, certificate in _each(survey, node, offered, shown):
        wrong = _time(certificate, survey.started, survey.options.certificate_days)
        if wrong:
            (failures if wrong[1] else warnings).append(f"{name} {wrong[0]}")
    for member in offered:
        name = f"HTTP certificate of {members.title(survey, member.id)}"
        warnings += _unlike(survey, member, name)
        for seen in _seen(survey, member, shown):
            warnings += [f"{name} {line}" for line in _odd(survey, cluster.members, member, seen, shown)]
    lines = [*failures, *warnings]
    if lines:
        return Finding(
            observed=lines[0],
            expected="certificates that outlast the next renewal, signed as those of the other members are",
            details=tuple(lines[1:]),
            warning=not failures,
        )
    unseen = [member for member in offered if not _seen(survey, member, shown)]
    if unseen:
        names = members.listed([members.title(survey, member.id) for member in unseen])
        raise CouldNotCheck(f"no node was shown the HTTP certificate of {names}{_how(survey, unseen)}")
    return None


def expired(survey: Survey, node: NodeFacts) -> tuple[str, ...]:
    """This node's own certificates that are past their time, a line each. Raises CouldNotCheck."""
    own = [m for m in members.cluster_of(survey, node).members if at(survey, node, m) and m.http_tls]
    return tuple(
        f"{name} expired on {written(certificate.not_after)} ({certificate.subject})"
        for name, certificate in _each(survey, node, own, _by_fingerprint(survey))
        if certificate.not_after <= survey.started
    )


def _each(
    survey: Survey, node: NodeFacts, offered: list[Member], shown: _Shown
) -> Iterable[tuple[str, Certificate | LoadedCertificate]]:
    """Every certificate with what to call it; one of a file is left out where it is the one that HTTP shows.

    A file may hold several, old and new: the last of them decides.
    """
    seen = [(member, certificate) for member in offered for certificate in _seen(survey, member, shown)]
    for member, certificate in seen:
        yield f"HTTP certificate of {members.title(survey, member.id)}", certificate
    last: dict[str, LoadedCertificate] = {}
    for loaded in sorted(node.loaded_certificates or (), key=lambda each: each.not_after):
        last[loaded.path] = loaded
    for loaded in last.values():
        if not any(abs(certificate.not_after - loaded.not_after) < 1 for _, certificate in seen):
            yield f"certificate in {loaded.path} of {node.name}", loaded


def at(survey: Survey, node: NodeFacts, member: Member) -> bool:
    """Whether the node is that member: by its own word, else by the address it was dialled at."""
    if not isinstance(node.view, Unknown):
        return node.view.node_id == member.id
    return survey.given(member.id) is None and node.host == host_of(member.transport)


def written(seconds: float) -> str:
    """A moment as a person reads it: "2026-11-24 10:40 UTC"."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _speaks_for(survey: Survey, node: NodeFacts, member: Member) -> bool:
    if any(at(survey, other, member) for other in survey.nodes):
        return at(survey, node, member)
    return True


def _why_not(mine: list[Member]) -> str:
    if not mine:
        return "this node is no member whose HTTP anybody was shown"
    if all(member.http is None or stays_home(member.http) for member in mine):
        return "this node offers no HTTP beyond its own host"
    return "this node's HTTP speaks no TLS, or insists on a client's certificate"


def _by_fingerprint(survey: Survey) -> _Shown:
    found: dict[str, tuple[tuple[NodeFacts, Certificate], ...]] = {}
    for node in survey.nodes:
        for certificate in () if isinstance(node.certificates, Unknown) else node.certificates:
            found[certificate.fingerprint] = (*found.get(certificate.fingerprint, ()), (node, certificate))
    return found


def _seen(survey: Survey, member: Member, shown: _Shown) -> tuple[Certificate, ...]:
    """The certificates that this member's HTTP was seen to show, each once."""
    prints = dict.fromkeys(dial.chain[0] for _, dial in _dials(survey, member) if dial.chain)
    return tuple(shown[fingerprint][0][1] for fingerprint in prints if fingerprint in shown)


def _dials(survey: Survey, member: Member) -> Iterable[tuple[NodeFacts, Dial]]:
    for node in survey.nodes:
        for dial in () if isinstance(node.dials, Unknown) else node.dials:
            # What another member showed there says nothing of this one.
            if dial.port == "http" and dial.member == member.id and ports.answered_by(survey, dial) is None:
                yield node, dial


def _time(certificate: Certificate | LoadedCertificate, now: float, days: float) -> tuple[str, bool] | None:
    """What is wrong with the certificate's time and whether that is a failure; None where nothing is."""
    if certificate.not_after <= now:
        ago = (now - certificate.not_after) / DAY
        return f"expired on {written(certificate.not_after)}, {ago:.0f} days ago ({certificate.subject})", True
    if isinstance(certificate, Certificate) and certificate.not_before > now:
        return f"is not valid before {written(certificate.not_before)} ({certificate.subject})", True
    left = (certificate.not_after - now) / DAY
    if left < days:
        return f"expires on {written(certificate.not_after)}, in {left:.0f} days ({certificate.subject})", False
    return None


def _unlike(survey: Survey, member: Member, name: str) -> list[str]:
    """That not everybody is shown the same certificate at one address: somebody else may answer there for some."""
    by: dict[str, list[str]] = {}
    if sum(member.http == other.http for cluster in survey.clusters for other in cluster.members) > 1:
        return []  # one address for several: whoever balances the load there answers, or any of them
    for node, dial in _dials(survey, member):
        if dial.chain:
            by.setdefault(dial.chain[0], []).append(node.name)
    if len(by) < 2:
        return []
    told = "; ".join(f"SHA-256 {fingerprint[:16]} to {members.listed(names)}" for fingerprint, names in by.items())
    return [f"{name} at {member.http} is not the same for everybody: {told}"]


def _odd(
    survey: Survey,
    everybody: tuple[Member, ...],
    member: Member,
    certificate: Certificate,
    shown: _Shown,
) -> list[str]:
    """What sets the certificate apart from those of all other members; no more than worth a look.

    Many healthy clusters have certificates without addresses, or authorities that only clients know: what all share is
    as it was meant.
    """
    others = [c for other in everybody if other.id != member.id for c in _seen(survey, other, shown)]
    if len(others) < 2:
        return []
    lines = []
    doubters = [
        node.name
        for node, seen in shown[certificate.fingerprint]
        if seen.trusted is False and all(_trusts(shown, node, other) for other in others)
    ]
    if doubters:
        lines.append(
            f"is not signed by an authority in the CA file of {members.listed(doubters)}, as those of the other "
            f"members are (issuer: {certificate.issuer})"
        )
    published = host_of(member.http or "")
    named = {other.id: _seen(survey, other, shown) for other in everybody if other.id != member.id and other.http}
    address_in_all = all(
        seen and all(host_of(other.http or "") in c.names for c in seen)
        for other in everybody
        if (seen := named.get(other.id)) is not None
    )
    if published not in certificate.names and address_in_all:
        lines.append(f"does not have the address it publishes, {published}, as those of the other members have theirs")
    return lines


def _trusts(shown: _Shown, node: NodeFacts, certificate: Certificate) -> bool:
    return any(seen.trusted is True for other, seen in shown[certificate.fingerprint] if other.name == node.name)


def _how(survey: Survey, unseen: list[Member]) -> str:
    """How the dials ended that should have been shown one: ": es-1: timeout"."""
    ended = {
        node.name: dial.tls if dial.outcome == "open" and dial.tls else ports.HOW[dial.outcome]
        for member in unseen
        for node, dial in _dials(survey, member)
    }
    return ": " + "; ".join(f"{name}: {how}" for name, how in list(ended.items())[:5]) if ended else ""

"""Ask every node at once and write down what was seen. Judges nothing; raises nothing but a user's interrupt.

First question: who are you? (the probe's sections, and the node's own view of its cluster.) The answers say who the
members are, so the second can be put: try the paths (every member's ports, the route to each, every bucket). `_verify`
runs while the nodes try. The two ends of what did not open are then asked for their packet filters. One login and one
process a node serve all of it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from . import __version__, attempts, own_views, targets, verifying
from .addresses import host_of
from .asked import NOT_WANTED, PENDING, Asked, Overtaken, Progress, authority
from .connection.connections import LOGINS_AT_ONCE
from .connection.several import each
from .connection.ssm import DELIVERY
from .evidence import Evidence
from .facts import FORMAT, NO_CLUSTER, Aws, BucketPath, Cluster, Imds, Options, Process, Survey, Unknown, View
from .inventory import Node
from .probe.program import program
from .questions import Settings, Wanted
from .s3 import leaves_aws, s3_repositories

if TYPE_CHECKING:
    from . import aws
    from .elastic import Api

__all__ = ["Settings", "run"]

K = TypeVar("K", bound=Hashable)


def run(
    nodes: Sequence[Node],
    settings: Settings,
    needs: Collection[str],
    progress: Progress = lambda line: None,
    cancelled: threading.Event | None = None,
) -> Survey:
    """Survey the nodes for the sections in `needs` (names as in check.Need).

    progress: called with one line whenever there is something to say; cancelled: set it to give up early.
    A node that cannot be surveyed is Unknown in every section, its reason in `login`.
    """
    started = time.time()
    gathering = _Gathering(nodes, settings, Wanted.of(frozenset(needs)), progress, cancelled or threading.Event())
    clusters = gathering.run()
    return Survey(
        format=FORMAT,
        version=__version__,
        started=started,
        finished=time.time(),
        options=Options(
            reference=settings.reference,
            complete=settings.complete,
            read_only=settings.read_only,
            insecure_host_keys=settings.insecure_host_keys,
            certificate_days=settings.certificate_days,
            elasticsearch_login=gathering.login_kind(),
        ),
        nodes=tuple(asked.facts() for asked in gathering.asked),
        clusters=tuple(clusters),
        aws=gathering.aws,
    )


class _Gathering:
    def __init__(
        self,
        nodes: Sequence[Node],
        settings: Settings,
        wanted: Wanted,
        progress: Progress,
        cancelled: threading.Event,
    ) -> None:
        self.settings, self.wanted, self.cancelled = settings, wanted, cancelled
        self.told, self.over = progress, False
        self.aws: Aws | Unknown | None = None
        self.asked = [Asked(node, settings, wanted) for node in nodes]
        patience = [node.connect_timeout or settings.connect_timeout for node in nodes]
        self.limit = 2 * max(patience, default=0) + settings.command_timeout
        if any(node.carrier == "ssm" for node in nodes):
            self.limit += DELIVERY
        # Who waits for others' logins, none of which need come about, has his own time still before him.
        self.first_limit = self.limit + max(patience, default=0) * ((len(nodes) - 1) // LOGINS_AT_ONCE)
        settings.connections.expect(nodes)
        self.patience = verifying.Patience(each=settings.verify_timeout, budget=settings.verify_budget)

    def run(self) -> list[Cluster]:
        if self.wanted.cluster:
            threading.Thread(target=_get_ready, daemon=True).start()
        for asked in self._at_once({asked: self._first for asked in self.asked}, self.first_limit):  # noqa: C420
            asked.give_up(None if self.cancelled.is_set() else self.first_limit)
        clusters = self._second(self._find_clusters() if self.wanted.cluster else [])
        if not self.cancelled.is_set():
            self._third()
        each(self.asked, Asked.close)
        if requests := self.settings.connections.requests():
            self.progress("AWS Systems Manager: " + ", ".join(f"{n} {name}" for name, n in sorted(requests.items())))
        self.over = True
        return clusters

    def progress(self, line: str) -> None:
        """Say it, unless the survey is over: a thread that was given up has nothing to add to the tests' output."""
        if not self.over:
            self.told(line)

    def login_kind(self) -> str | None:
        """Which login for Elasticsearch the run had, for the commands that are printed."""
        if not self.asked or not self.wanted.cluster:
            return None
        login = self.asked[0].credentials()
        return None if isinstance(login, Unknown) else login.kind

    def _first(self, asked: Asked) -> None:
        asked.who_are_you()
        name = asked.node.name
        said = asked.login.reason.removeprefix(f"{name}: ") if isinstance(asked.login, Unknown) else "surveyed"
        self.progress(f"{name}: {said}")

    def _find_clusters(self) -> list[Cluster]:
        """Every cluster that the nodes are in."""
        clusters: list[Cluster] = []
        waiting = [asked for asked in self.asked if asked.view is PENDING]
        self._tell(clusters, [asked for asked in self.asked if asked.view is not PENDING])
        left = own_views.MOST
        while waiting and left > 0 and not self.cancelled.is_set():
            first, waiting = waiting[: own_views.AT_ONCE], waiting[own_views.AT_ONCE :]
            left -= len(first)
            for asked in self._at_once(dict.fromkeys(first, Asked.ask_view), self.limit):
                asked.give_up(None if self.cancelled.is_set() else self.limit)
            known = len(clusters)
            self._tell(clusters, first)
            waiting = [asked for asked in waiting if not own_views.told_of(asked, clusters, self.asked)]
            if len(clusters) == known:
                break
        for asked in waiting:
            if self.cancelled.is_set():
                asked.give_up(None)
            else:
                asked.write(view=own_views.not_asked(asked.node.name))
        return list(clusters)

    def _tell(self, clusters: list[Cluster], nodes: Sequence[Asked]) -> None:
        """Add the clusters that those nodes are in, within the limit."""
        pending = self._at_once({"clusters": lambda _: self._clusters(clusters, nodes)}, self.limit)
        for asked in (a for a in nodes if pending and a.reached):
            asked.take_over()
            asked.give_up(None if self.cancelled.is_set() else self.limit)

    def _clusters(self, clusters: list[Cluster], nodes: Sequence[Asked]) -> None:
        """Add every cluster that those nodes are in."""
        from . import elastic

        if self.settings.es_url is not None:
            self._cluster_at(self.settings.es_url, clusters)
            return
        self._agree()
        # The elected master answers for itself: one hop less for everything that follows. Who sees none comes last.
        for asked in sorted(nodes, key=lambda a: _rank(a.view)):
            view = asked.view
            known = {NO_CLUSTER, *(cluster.uuid for cluster in clusters)}
            if self.cancelled.is_set() or asked.api is None or isinstance(view, Unknown) or view.cluster_uuid in known:
                continue
            try:
                cluster = asked.api.cluster(view, asked.node.name)
            except elastic.Refused as error:
                self.progress(f"{asked.node.name}: {error}")
                continue
            # One that was started without a master knows of nobody but itself: whom else to look at, it cannot say.
            if view.master_id is not None or len(cluster.members) > 1:
                clusters.append(cluster)

    def _agree(self) -> None:
        """Ask each node once more whom it sees elected, where they differ: an election while they were asked is none
        of their faults."""
        from . import elastic

        seen: dict[str, list[Asked]] = {}
        for asked in self.asked:
            if isinstance(asked.view, View) and asked.api is not None:
                seen.setdefault(asked.view.cluster_uuid, []).append(asked)
        divided = [
            group for group in seen.values() if len({a.view.master_id for a in group if isinstance(a.view, View)}) > 1
        ]
        # Before the first request: a thread that is given up meanwhile must not take any of them back.
        for asked in (asked for group in divided for asked in group):
            asked.take_over()
        for asked in (asked for group in divided for asked in group):
            if asked.api is not None and isinstance(asked.view, View):
                with suppress(elastic.Refused):
                    asked.write(view=msgspec.structs.replace(asked.view, master_id=asked.api.master()))

    def _cluster_at(self, url: str, clusters: list[Cluster]) -> None:
        """--es-url: one address for all; which member a node is, its listeners say."""
        from . import elastic

        reached = [asked for asked in self.asked if asked.reached]
        if not reached:
            return
        for asked in reached:
            asked.take_over()
            asked.write(view=PENDING)
        login = reached[0].credentials()
        try:
            if isinstance(login, Unknown):
                raise elastic.Refused(login.reason, login.remedy)
            given = reached[0].node.es_ca or self.settings.es_ca
            ca = authority(Path(given)) if given else None
            api = elastic.Api(url, login, ca=ca, timeout=self.settings.command_timeout)
            view = api.view("direct")
            cluster = api.cluster(view, url)
        except elastic.Refused as error:
            for asked in reached:
                asked.write(view=error.unknown())
            return
        for asked in reached:
            process, routing = asked.sections["process"], asked.sections["routing"]
            found = targets.matched(asked.node.name, asked.node.host, process, routing, cluster, view)
            asked.write(view=found, api=None if isinstance(found, Unknown) else api)
        clusters.append(cluster)

    def _second(self, clusters: list[Cluster]) -> list[Cluster]:
        wanted = self.wanted
        trying = [a for a in self.asked if a.reached] if wanted.dials or wanted.paths or wanted.buckets else []
        late = Unknown(reason="no answer to the second question", remedy="give it longer with --command-timeout")
        interrupted = Unknown(reason="the run was interrupted")
        for asked in trying:
            asked.take_over()
            asked.unanswered(interrupted if self.cancelled.is_set() else late)
        for cluster in clusters:
            in_it = (a for a in trying if isinstance(a.view, View) and a.view.cluster_uuid == cluster.uuid)
            if one := next((a for a in in_it if isinstance(s := a.sections["imds"], Imds) and s.role), None):
                one.write(lists_leftovers=True)
        verified: dict[str, verifying.Results] = {}
        jobs: dict[Hashable, Callable[[], None]] = {
            asked: lambda asked=asked: asked.try_the_paths(*self._questions(asked, clusters), self.progress)  # type: ignore[misc]
            for asked in trying
        }
        limit = self.limit
        if wanted.aws and self.settings.aws and not self.cancelled.is_set():
            self.aws = Unknown(reason="AWS did not answer in time", remedy="give it longer with --command-timeout")
            jobs["aws"] = lambda: self._ask_aws(clusters)
        evidence = {cluster.uuid: Evidence() for cluster in clusters} if wanted.verify else {}
        for cluster in clusters if wanted.verify else ():
            repositories = s3_repositories(cluster.repositories)
            if repositories:
                jobs["evidence", cluster.uuid] = lambda cluster=cluster: self._gather(cluster, evidence[cluster.uuid])  # type: ignore[misc]
            if not self.settings.read_only:
                verified[cluster.uuid] = verifying.unfinished(repositories)
                jobs[cluster.uuid] = lambda cluster=cluster: self._verify(  # type: ignore[misc]
                    cluster, verified[cluster.uuid], evidence[cluster.uuid]
                )
                limit = max(limit, self.patience.at_most(len(repositories)))
        if not self.cancelled.is_set():
            self._at_once({key: lambda key: jobs[key]() for key in jobs}, limit)
        unasked = NOT_WANTED
        if wanted.verify:
            unasked = Unknown(reason="not asked: --read-only (_verify writes and deletes a marker object)")
        seen = [evidence[cluster.uuid].added_to(cluster) if wanted.verify else cluster for cluster in clusters]
        return [
            msgspec.structs.replace(
                cluster, verifications=tuple(verified[cluster.uuid].values()) if cluster.uuid in verified else unasked
            )
            for cluster in seen
        ]

    def _third(self) -> None:
        """The packet filters at the ends of what did not open; of nodes that all reach each other and S3 none."""
        asked = {asked.node.name: asked for asked in self.asked if asked.reached}
        wanted = attempts.questions([one.facts() for one in asked.values()])
        for name in wanted:
            asked[name].write(filters=Unknown(reason="no answer to the question about the packet filter"))
        self._at_once(
            {asked[name]: lambda one: one.read_filters(*wanted[one.node.name]) for name in wanted}, self.limit
        )

    def _questions(self, asked: Asked, clusters: list[Cluster]) -> tuple[Cluster | None, list[dict[str, Any]]]:
        """The cluster a node is asked about (its own; the only one there is, where it could not say) and its dials."""
        own = asked.view if isinstance(asked.view, View) else None
        if own is not None and own.cluster_uuid != NO_CLUSTER:
            cluster = next((c for c in clusters if c.uuid == own.cluster_uuid), None)
        else:
            cluster = clusters[0] if len(clusters) == 1 else None
        if cluster is not None:
            return cluster, targets.members(cluster, own.node_id if own else None, _within(asked))
        others = (other for other in self.asked if other is not asked and other.reached)
        return None, targets.assumed(
            (o.node.name, address, o.sections["process"]) for o in others if (address := o.address)
        )

    def _ask_aws(self, clusters: list[Cluster]) -> None:
        """AWS's control plane, in the region that the nodes' metadata services name most often."""
        from . import aws

        seen = [s for asked in self.asked if isinstance(s := asked.sections["imds"], Imds) and s.region]
        regions = Counter(imds.region for imds in seen if imds.region).most_common(1)
        if not regions:
            self.aws = Unknown(reason="no node's metadata service names its region, so AWS was not asked")
            return
        members = [host_of(member.transport) for c in clusters for member in c.members]
        wanted = aws.Wanted(
            region=regions[0][0],
            ids=tuple(imds.instance_id for imds in seen if imds.instance_id),
            addresses=tuple(dict.fromkeys((*members, *(asked.node.host for asked in self.asked)))),
            places=tuple(
                aws.Place(bucket=r.bucket or "", base_path=r.base_path)
                for c in clusters
                for r in s3_repositories(c.repositories)
                if not leaves_aws(r, c.members)
            ),
            tags=self._tags(),
        )
        self.aws = aws.ask(wanted, self.settings.aws_profile, self.settings.command_timeout)

    def _tags(self) -> aws.Tags | None:
        """By which tags nodes find each other: as their own configuration has it, else as ec2:// asked for them."""
        from . import aws

        if found := targets.discovery_tags(asked.sections["config"] for asked in self.asked):
            return aws.Tags(source="discovery.ec2", tags=found)
        words = {asked.node.found_by for asked in self.asked}
        word = words.pop() if len(words) == 1 else None
        if word is None:
            return None
        from .inventory import ec2

        filters = [
            (name.removeprefix("tag:"), values) for name, values in ec2.read(word).filters if name.startswith("tag:")
        ]
        # What is asked for twice has no one set of values.
        once = len({name for name, _ in filters}) == len(filters)
        return aws.Tags(source="ec2://", tags=dict(filters)) if filters and once else None

    def _api(self, cluster: Cluster) -> Api | None:
        """Elasticsearch on a node that is in that cluster: on the elected master, else where one is seen."""
        inside = [a for a in self.asked if a.api and isinstance(a.view, View) and a.view.cluster_uuid == cluster.uuid]
        return min(inside, key=lambda a: _rank(a.view)).api if inside else None

    def _gather(self, cluster: Cluster, evidence: Evidence) -> None:
        api = self._api(cluster)
        if api is not None:
            evidence.gather(api, self.cancelled)

    def _verify(self, cluster: Cluster, results: verifying.Results, evidence: Evidence) -> None:
        """Every S3 repository of one cluster, then the newest snapshot of those that are well."""
        api = self._api(cluster)
        if api is not None:
            repositories = s3_repositories(cluster.repositories)
            verifying.verify(api, repositories, self.patience, results, self._buckets, self.cancelled)
            evidence.gather_newest(api, results, self.cancelled)

    def _buckets(self) -> list[BucketPath]:
        """What the nodes have said by now of their ways to the buckets."""
        return [bucket for asked in self.asked if not isinstance(asked.buckets, Unknown) for bucket in asked.buckets]

    def _at_once(self, jobs: Mapping[K, Callable[[K], None]], limit: float) -> list[K]:
        """Run every job in a thread of its own; the keys of those that had not ended within `limit` seconds.

        The threads are daemons: one that hangs must not keep an interrupted run alive. A node is its thread's to write
        while the job runs, and the caller's again afterwards.
        """
        done = {key: threading.Event() for key in jobs}

        def work(key: K) -> None:
            try:
                jobs[key](key)
            except Overtaken:
                pass
            except Exception as error:  # our own bug costs one node its answers, never the run its report
                fault = f"our own bug in the survey: {type(error).__name__} {_where(error)}"
                with suppress(Overtaken):
                    if isinstance(key, Asked):
                        key.unreachable(fault)
                self.progress(fault)
            finally:
                done[key].set()

        for key in jobs:
            thread = threading.Thread(target=work, args=(key,), daemon=True)
            if isinstance(key, Asked):
                key.hand_over(thread)
            thread.start()
        end = time.monotonic() + limit
        for event in done.values():
            while not event.wait(0.2) and not self.cancelled.is_set() and time.monotonic() < end:
                pass
        pending = [key for key, event in done.items() if not event.is_set()]
        for key in jobs:
            if isinstance(key, Asked):
                key.take_over()
        return pending


def _rank(view: View | Unknown) -> int:
    """Whom to ask first: the elected master, then who sees one."""
    if isinstance(view, Unknown) or view.master_id is None:
        return 2
    return int(view.master_id != view.node_id)


def _within(asked: Asked) -> str | None:
    """Where its Elasticsearch, which has a network namespace of its own, was asked; None where it has none."""
    process, view = asked.sections["process"], asked.view
    apart = isinstance(process, Process) and bool(process.own_network_namespace)
    return urlsplit(view.url).netloc if apart and isinstance(view, View) and view.carrier != "direct" else None


def _get_ready() -> None:
    """What takes as long as a login and is needed right after it: joining the probe, importing the client."""
    program()
    from . import elastic  # noqa: F401


def _where(error: BaseException) -> str:
    """File and line of the innermost frame; never a value."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""

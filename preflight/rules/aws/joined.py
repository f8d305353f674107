"""AWS-3: the running instances with the tags by which nodes find each other are the members, and the other way round.

source: discovery-ec2 asks for instances whose tags have every discovery.ec2.tag.KEY, any of its values, in the zones
and security groups named beside (AwsEc2SeedHostsProvider).
"""

from __future__ import annotations

from collections.abc import Iterable

from ...addresses import host_of
from ...facts import Config, CouldNotCheck, Imds, Member, NodeFacts, Survey, Unknown, known
from ...facts.aws import Aws, Instance, Tagged
from ...judgement import Finding, NotApplicable
from .. import members
from . import places

STARTING_SECONDS = 900.0
"""An instance started less long ago may still be on its way into the cluster: image, packages, disks, then the join."""

ALL = "every running instance with the nodes' tags is a member, and every member on EC2 has the tags"


def tagged(survey: Survey) -> Tagged:
    """The instances with the tags. Raises NotApplicable where AWS was not asked, or nothing says which tags."""
    found = places.control_plane(survey).tagged
    if found is None:
        raise NotApplicable(
            "by which tags the nodes find each other is said by nothing: no discovery.ec2.tag.* in their "
            "elasticsearch.yml, no ec2:// in --hosts"
        )
    return found


def agrees(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where tags and membership agree. A node speaks for itself, the first node that is a member for all others.

    Raises CouldNotCheck where an instance may be a member whose address AWS does not know.
    """
    found = tagged(survey)
    known(found.instances)
    members.cluster_of(survey, node)
    lines = [untagged] if (untagged := _own_tags(survey, node)) else []
    if node.name == _speaker(survey):
        lines += [line for member in _not_given(survey) if (line := _lacks(survey, member))]
        lines += [_stranger(survey, instance) for instance in not_joined(survey)]
    if not lines:
        return None
    return Finding(observed=lines[0], expected=ALL, details=tuple(lines[1:]), warning=True)


def not_joined(survey: Survey) -> tuple[Instance, ...]:
    """Running instances with the tags that are meant to be members, as far as AWS shows, and are not.

    Not counted: one that has just been started; one that was logged in to, on which CLUSTER-1 judges; one that runs
    something else. Raises CouldNotCheck.
    """
    aws = places.control_plane(survey)
    everybody = [member for cluster in survey.clusters for member in cluster.members]
    there = {member.id: _instance(aws, member) for member in everybody}
    joined = {instance.id for instance in there.values() if instance} | _given(survey)
    like = [instance for instance in there.values() if instance]
    found = tuple(
        instance
        for instance in known(tagged(survey).instances)
        if instance.id not in joined
        and (instance.launched is None or survey.started - instance.launched > STARTING_SECONDS)
        and _discovered(survey, instance)
        and _meant(instance, like)
    )
    nowhere = [m.name for m in everybody if there[m.id] is None and survey.given(m.id) is None]
    if found and nowhere:
        raise CouldNotCheck(
            f"{members.listed([_title(i) for i in found])} may be {members.listed(nowhere)}, whose address AWS does "
            "not know",
            f"give {members.listed(nowhere)} among --hosts",
        )
    return found


def _meant(instance: Instance, like: Iterable[Instance]) -> bool:
    """It looks like a member: the instance profile of one, or all security groups as one has them.

    What else carries the cluster's tag (Kibana, a bastion, a backup host) has a role or groups of its own.
    """
    own = _groups(instance)
    return any(
        (instance.profile is not None and instance.profile == other.profile) or (bool(own) and own == _groups(other))
        for other in like
    )


def _groups(instance: Instance) -> frozenset[str]:
    return frozenset(group for interface in instance.interfaces for group in interface.groups)


def _discovered(survey: Survey, instance: Instance) -> bool:
    """It is in the zones and groups that the nodes look in, where their configuration names some."""
    settings = next(
        (n.config.settings for n in survey.nodes if isinstance(n.config, Config) and _uses_tags(n.config)), {}
    )
    zones = _words(settings.get("discovery.ec2.availability_zones", ""))
    groups = _words(settings.get("discovery.ec2.groups", ""))
    if zones and instance.zone not in zones:
        return False
    if not groups:
        return True
    listed = places.control_plane(survey).groups
    names = {} if isinstance(listed, Unknown) else {group.id: group.name for group in listed}
    return any(group in groups or names.get(group) in groups for group in _groups(instance))


def _uses_tags(config: Config) -> bool:
    return any(name.startswith("discovery.ec2.tag.") for name in config.settings)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def _given(survey: Survey) -> set[str]:
    """Instances of the nodes that were logged in to."""
    return {
        node.imds.instance_id
        for node in survey.nodes
        if not isinstance(node.login, Unknown) and isinstance(node.imds, Imds) and node.imds.instance_id
    }


def _instance(aws: Aws, member: Member) -> Instance | None:
    published = {host_of(address) for address in (member.transport, member.http) if address}
    listed = aws.tagged.instances if aws.tagged and not isinstance(aws.tagged.instances, Unknown) else ()
    for instance in (*known(aws.instances), *listed):
        own = {address for interface in instance.interfaces for address in interface.addresses}
        if published & {*own, *instance.public}:
            return instance
    return None


def _not_given(survey: Survey) -> list[Member]:
    return [m for c in survey.clusters for m in c.members if survey.given(m.id) is None]


def _speaker(survey: Survey) -> str | None:
    return next((n.name for n in survey.nodes if survey.member_of(n) is not None), None)


def _own_tags(survey: Survey, node: NodeFacts) -> str | None:
    member = survey.member_of(node)
    return _lacks(survey, member) if member else None


def _lacks(survey: Survey, member: Member) -> str | None:
    """What of the tags the member's instance has not; None for one that is not on EC2.

    Another value than the one that --hosts asked for may be meant (data nodes only); a key that is not there is not.
    """
    found = tagged(survey)
    instance = _instance(places.control_plane(survey), member)
    if instance is None or instance.id in {i.id for i in known(found.instances)}:
        return None
    lacking = [key for key in found.tags if key not in instance.tags]
    other = [key for key, values in found.tags.items() if key in instance.tags and instance.tags[key] not in values]
    if not lacking and (found.source == "ec2://" or not other):
        return None
    title = members.title(survey, member.id)
    words = [f"no tag {key}" for key in lacking] + [f"{key}={instance.tags[key]}" for key in other]
    end = "a node that starts is not told of it" if found.source != "ec2://" else "--hosts does not find it"
    return f"{title} is a member, and its instance {instance.id} has {members.listed(words)}: {end}"


def _stranger(survey: Survey, instance: Instance) -> str:
    found = tagged(survey)
    tags = ", ".join(f"{key}={instance.tags.get(key, '')}" for key in found.tags)
    return (
        f"{_title(instance)} runs with {tags} and is no member of {members.listed([c.name for c in survey.clusters])}"
    )


def _title(instance: Instance) -> str:
    address = next((a for interface in instance.interfaces for a in interface.addresses), "no address")
    name = instance.tags.get("Name")
    return f"{instance.id} ({name}, {address})" if name else f"{instance.id} ({address})"

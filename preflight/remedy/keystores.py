"""A keystore made whole: its pairs, the settings its peers have, its file. Nothing here knows a value."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from ..facts import CouldNotCheck, Install, Keystore, NodeFacts, Survey, known
from ..judgement import Command, NotApplicable, Remedy
from ..rules import keystore, keystores, members, role
from .asking import AFTERWARDS
from .keys import ASKS, as_root, backup, container, keystore_path, remove_static_keys, set_aside, tool


def complete_pair(survey: Survey, node: NodeFacts) -> Remedy:
    """Take the lone names out where the client goes to AWS and the role is proven, else name what to add."""
    halves = keystores.halves(known(node.keystore).settings)
    why = _needed(survey, node, halves)
    if why is None:
        return remove_static_keys(survey, node)
    missing = [name for half in halves for name in half.missing]
    return Remedy(
        caution=f"do not restart or reload {node.name} before the pair is whole; nothing is removed, since {why}",
        commands=(set_aside(survey, node), *(tool(node, "add", [name]) for name in missing)),
        advice=(ASKS, _drop_the_copy(survey, node), *container(node), AFTERWARDS),
    )


def _needed(survey: Survey, node: NodeFacts, halves: tuple[keystores.Half, ...]) -> str | None:
    """Why the lone names may be needed; None where the role is proven to sign in their place."""
    try:
        to_aws = {keys.client: keys for keys in keystore.client_keys(survey, node)}
    except CouldNotCheck as error:
        return f"where the client goes is not known: {error.reason}"
    for half in halves:
        if members.intended(node, half.client):
            return f"client {half.client} is declared to sign with static keys"
        if half.client not in to_aws:
            return f"client {half.client} does not go to AWS and needs keys of its own"
    for keys in to_aws.values():
        unproven = role.unproven(node, keys.repositories)
        if unproven:
            return f"the role is not proven on {node.name}: {unproven}"
    return None


def _drop_the_copy(survey: Survey, node: NodeFacts) -> str:
    return f"then delete the copy, which holds keys: {as_root(node)}rm {shlex.quote(backup(survey, node))}"


def match_clients(survey: Survey, node: NodeFacts) -> Remedy:
    """Add what the peers' keystores have; a setting that only this node has is shown and left."""
    try:
        missing = keystores.lacking(survey, node)
    except (CouldNotCheck, NotApplicable):
        missing = {}
    if not missing:
        return Remedy(
            caution="which side is right is not proven: nothing is removed",
            commands=(tool(node, "list"),),
            advice=("where the client's repository needs them, add them on the other nodes; see the same check there",),
        )
    source = members.listed(sorted({name for names in missing.values() for name in names}))
    return Remedy(
        caution=f"the values are those of {source}, which no keystore gives back",
        commands=(set_aside(survey, node), *(tool(node, "add", [name]) for name in missing)),
        advice=(
            ASKS,
            "once every setting is there, reload this node's secure settings or restart it",
            _drop_the_copy(survey, node),
            *container(node),
            AFTERWARDS,
        ),
    )


def mend_file(survey: Survey, node: NodeFacts) -> Remedy:
    """Owner and mode as the package makes them; for another layout, and for a file that is gone, what shows the way."""
    file = node.keystore
    path = shlex.quote(keystore_path(node))
    packaged = isinstance(node.install, Install) and node.install.layout in keystores.PACKAGES
    if isinstance(file, Keystore) and not file.exists:
        return _bring_back(node, packaged)
    user = keystores.service_user(node)
    look = Command(where=node.name, text=f"sudo namei -l {path}")
    ours = f"sudo chown root:elasticsearch {path} && sudo chmod 660 {path}"
    mended = isinstance(file, Keystore) and keystores.ownership(file) == keystores.PACKAGED
    if packaged and user == "elasticsearch" and not mended:
        proof = Command(where=node.name, text=f"sudo -u elasticsearch test -r {path} && echo readable")
        return Remedy(commands=(Command(where=node.name, text=ours), proof), advice=(AFTERWARDS,))
    return Remedy(
        caution=f"until {user} may read it, do not restart or reload {node.name}",
        commands=(look,),
        advice=(
            f"each folder on the way must let {user} search it (x), and the file must be {user}'s to read (rw-rw----)",
            *container(node),
            AFTERWARDS,
        ),
    )


def _bring_back(node: NodeFacts, packaged: bool) -> Remedy:
    path = keystore_path(node)
    folder = str(PurePosixPath(path).parent)
    find = f"sudo find {shlex.quote(folder)} -maxdepth 1 -name 'elasticsearch.keystore*' -ls"
    mode = ""
    if packaged:
        mode = f", then sudo chown root:elasticsearch {shlex.quote(path)} && sudo chmod 660 {shlex.quote(path)}"
    return Remedy(
        caution=f"do not restart or reload {node.name} yet: what the file held cannot be read back from the process",
        commands=(Command(where=node.name, text=find),),
        advice=(
            f"a copy is there: move it back{mode}",
            f"none is: {tool(node, 'create').text} makes an empty one; add what the other nodes' keystores list",
            *container(node),
            AFTERWARDS,
        ),
    )

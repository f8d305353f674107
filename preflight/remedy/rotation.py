"""A static key put right where a client is to have one. Nothing here knows a value."""

from __future__ import annotations

import shlex

from ..facts import Keystore, NodeFacts, Survey
from ..judgement import Command, Remedy
from ..rules import keystore, members, rotation
from . import steps
from .asking import AFTERWARDS, reload
from .keys import ASKS, as_root, backup, container, remove_static_keys, set_aside, tool


def match_keys(survey: Survey, node: NodeFacts) -> Remedy:
    """Remove the key where the role is proven to sign instead of it, else put in the one that the peers hold."""
    found = rotation.different(survey, node)
    if not any(one.reference for one in found):
        return Remedy(
            caution="which of the keys is right is not proven: nothing is changed",
            advice=(
                "IAM tells which of them it knows and which was used last (aws iam list-access-keys, "
                "get-access-key-last-used); the key ids are where the keys are kept, no keystore prints them safely",
                AFTERWARDS,
            ),
        )
    unwanted = {keys.client: keys for keys in keystore.amiss(survey, node) if not keys.intended}
    ours = [unwanted[one.client] for one in found if one.client in unwanted]
    if len(ours) == len(found) and all(keystore.needed_still(node, keys) is None for keys in unwanted.values()):
        mend = remove_static_keys(survey, node)
        return Remedy(
            commands=mend.commands,
            caution=mend.caution,
            advice=(
                *mend.advice,
                "the same check's peers hold a static key as well: KEY-1 there says what becomes of it",
            ),
            steps=mend.steps,
        )
    source = members.listed(sorted({name for one in found for name in one.reference}))
    return replace_keys(
        survey,
        node,
        [one.setting for one in found],
        caution=f"the values are those of {source}, which no keystore gives back",
    )


def mend_keys(survey: Survey, node: NodeFacts) -> Remedy:
    """What KEY-1 found: a declared client's refused key gets a current one in its place, all others are removed."""
    refused = [keys for keys in keystore.amiss(survey, node) if keys.intended]
    if not refused:
        return remove_static_keys(survey, node)
    names = members.listed([keys.client for keys in refused])
    settings = [name for keys in refused for name in keys.settings if rotation.ACCESS_KEY.fullmatch(name)]
    why = f"{names} is declared to sign with static keys, so nothing is removed; a current key has to come from IAM"
    return replace_keys(survey, node, settings, caution=why)


def replace_keys(survey: Survey, node: NodeFacts, settings: list[str], *, caution: str) -> Remedy:
    """Overwrite the pairs that these access keys belong to and have this node alone read them."""
    pairs = [half for name in settings for half in (name, name.replace(".access_key", ".secret_key"))]
    commands: list[Command] = [set_aside(survey, node), *(tool(node, "add", ["--force", name]) for name in pairs)]
    advice = [ASKS]
    file = node.keystore
    tokens = [name.replace(".access_key", ".session_token") for name in settings]
    stray = [name for name in tokens if isinstance(file, Keystore) and name in file.settings]
    if stray:
        advice.append(f"a long-lived key (AKIA) has no session token: {tool(node, 'remove', stray).text}")
    if steps.can_ask(survey, node):
        commands.append(reload(survey, node))
        advice += steps.reload_advice(survey, node, pairs)
    else:
        advice.append("the process keeps the key it has loaded until it is restarted or told to reload")
    return Remedy(
        caution=caution,
        commands=tuple(commands),
        advice=(
            *advice,
            f"then delete the copy, which holds keys: {as_root(node)}rm {shlex.quote(backup(survey, node))}",
            *container(node),
            AFTERWARDS,
        ),
    )

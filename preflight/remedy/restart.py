"""What to mend before the next start."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from ..facts import Config, NodeFacts, Survey
from ..judgement import Command, Remedy
from ..rules import restart
from .asking import AFTERWARDS, stamp
from .keys import remove_static_keys
from .keystores import complete_pair, mend_file
from .region import drop_removed_settings
from .sources import remove_outside_keys


def come_back(survey: Survey, node: NodeFacts) -> Remedy:
    """The fix of the first reason, the others named after it; for a mere change, what shows it."""
    found = restart.judge(survey, node)
    if not found.reasons:
        return _read_changes(node) if found.changes else _mend_first()
    kinds = list(dict.fromkeys(reason.kind for reason in found.reasons))
    first = MENDS[kinds[0]](survey, node)
    if not kinds[1:]:
        return first
    more = f"then mend the rest ({', '.join(kinds[1:])}); the next run prints how"
    return replace(first, advice=(*first.advice, more))


def _read_changes(node: NodeFacts) -> Remedy:
    files = " ".join(shlex.quote(path) for path in restart.changed_files(node))
    return Remedy(
        caution="whether the change is meant is not known",
        commands=(Command(where=node.name, text=f"sudo ls -l --time-style=full-iso {files}"),),
        advice=("compare it with what configuration management holds, before the maintenance window and not in it",),
    )


def _mend_first() -> Remedy:
    return Remedy(advice=("mend what keeps this node from the repository (REPO-1) before anything restarts it",))


def _give_password(survey: Survey, node: NodeFacts) -> Remedy:
    return Remedy(
        caution=f"do not restart {node.name} before its service can read the password",
        commands=(Command(where=node.name, text="sudo systemctl show elasticsearch -p Environment"),),
        advice=(
            "write the password to a file that the service's user alone may read, and name it in a drop-in of the "
            f"unit: Environment={restart.PASSPHRASE_FILE}=FILE (systemctl set-environment lasts until the next boot)",
        ),
    )


def _drop_secure_settings(survey: Survey, node: NodeFacts) -> Remedy:
    """Delete them: the running process has started without them."""
    if not isinstance(node.config, Config):
        return Remedy()
    file = shlex.quote(node.config.path)
    suffix = f".before-preflight-{stamp(survey)}"
    pattern = "|".join(name.replace(".", r"\.") for name in restart.secure_settings(node.config.names))
    return Remedy(
        commands=(Command(where=node.name, text=f"sudo sed -i{suffix} -E {shlex.quote(f'/^({pattern}):/d')} {file}"),),
        advice=(
            "the process runs without them, so nothing is lost by this; settings written as nested keys are for an "
            "editor",
            f"delete the copy, which holds the value in plain text: sudo rm {shlex.quote(node.config.path + suffix)}; "
            "whoever could read the file has had the key",
            AFTERWARDS,
        ),
    )


MENDS: Mapping[restart.Kind, Callable[[Survey, NodeFacts], Remedy]] = {
    "half": complete_pair,
    "file": mend_file,
    "password": _give_password,
    "secure setting": _drop_secure_settings,
    "removed setting": drop_removed_settings,
    "waiting keys": remove_static_keys,
    "waiting outside keys": remove_outside_keys,
}

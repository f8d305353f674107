"""The probe's text as it is sent, and the shell line that starts it."""

from __future__ import annotations

import ast
import base64
import functools
import shlex
import threading
import zlib
from pathlib import Path

SECTIONS = Path(__file__).parent / "sections"

ORDER = (
    "base", "together", "network", "namespace", "dialling", "gcm", "system", "routing", "process", "install",
    "keystore", "config", "sources", "log", "certificates", "owner", "imds", "truststore", "packets", "bucket",
    "container", "identity", "paths", "relay", "pieces", "serve",
)  # fmt: skip
"""Files of sections/ in the order they are joined; each refers to those before it only."""

LATER = ("filters",)
"""Files that go along with the question they answer (`part`): no node of a healthy cluster is asked it."""

# Read from standard input, so that neither `ps` nor sudo's log shows more than this line. One line, no single quote.
BOOTSTRAP = (
    "import sys;v=sys.version_info[:2];"
    'v<(3,6) and sys.exit("preflight: this python3 is %d.%d, 3.6 or newer is needed" % v);'
    "s=sys.stdin.buffer;n=int(s.readline());p=s.read(n);"
    'len(p)==n or sys.exit("preflight: the program arrived cut short");'
    'exec(compile(p,"preflight","exec"),{"__name__":"__main__"})'
)

# The same where standard input is text that a command brings along: compressed, in base64.
UNPACKING = (
    "import base64,io,sys,zlib;"
    "sys.stdin=io.TextIOWrapper(io.BytesIO(zlib.decompress(base64.b64decode(sys.stdin.buffer.read()))));"
)

PYTHONS = ("/usr/bin/python3", "python3", "/usr/libexec/platform-python")
"""Tried in this order: the system's own first, as one in PATH may be a slow shim or lack a trust store."""

# $1 is the bootstrap, the rest what stands before the interpreter; the program's argument is what AWS's agent calls the
# instance, nothing where another carrier starts it. The first line on standard error says who starts
# what, so that a refusal can name the sudoers line that mends it.
LAUNCHER = (
    "LC_ALL=C; export LC_ALL; "
    f"for p in {' '.join(PYTHONS)}; do "
    'if command -v "$p" >/dev/null 2>&1; then '
    'b=$1; shift; echo "preflight: ${LOGNAME:-$USER} starts $p" >&2; '
    'exec "$@" "$p" -I -S -u -c "$b" "$AWS_SSM_INSTANCE_ID"; '
    "fi; done; "
    'echo "preflight: no Python" >&2; exit 127'
)


END = "es-preflight"
"""Ends what a script brings along; no word of base64."""

_JOINING = threading.Lock()
"""All nodes' threads ask at once, and Python 3.11's `ast` fails where two threads parse at the same time."""


def program() -> bytes:
    """The whole program, ASCII: the sections in one namespace, imports of each other, comments and docstrings left out.

    They would cost a node a fifth of its compile time.
    """
    with _JOINING:
        return _joined()


def part(name: str) -> str:
    """One of LATER, to be run in the program's own namespace."""
    with _JOINING:
        return _bare(SECTIONS / f"{name}.py")


@functools.cache
def _joined() -> bytes:
    return "\n".join(_bare(SECTIONS / f"{name}.py") for name in ORDER).encode("ascii")


def command(sudo: bool, sudo_user: str | None) -> str:
    """The line for the login shell, whichever that is: it becomes sh, that becomes sudo or Python.

    sudo: start it under `sudo -n`, as sudo_user where given (else root).
    """
    before: list[str] = []
    if sudo:
        before = ["sudo", "-n", *(["-u", sudo_user] if sudo_user else []), "--"]
    return shlex.join(["exec", "/bin/sh", "-c", LAUNCHER, "sh", BOOTSTRAP, *before])


def script(request: bytes, sudo_user: str | None) -> str:
    """A shell script that brings the program and one line of request along, where there is no standard input."""
    text = program()
    packed = base64.b64encode(zlib.compress(b"%d\n%b%b\n" % (len(text), text, request), 9)).decode()
    before = ["sudo", "-n", "-u", sudo_user, "--"] if sudo_user else []
    start = shlex.join(["exec", "/bin/sh", "-c", LAUNCHER, "sh", UNPACKING + BOOTSTRAP, *before])
    return f"{start} <<'{END}'\n{packed}\n{END}\n"


def _bare(path: Path) -> str:
    text = path.read_text(encoding="ascii")
    tree = ast.parse(text, str(path))
    drop: set[int] = set()
    inside_strings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            inside_strings.update(_lines(node)[1:])
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            # A body that is nothing but its docstring keeps it.
            if ast.get_docstring(node, clean=False) is not None and len(node.body) > 1:
                drop.update(_lines(node.body[0]))
        elif isinstance(node, ast.ImportFrom) and node.level:
            drop.update(_lines(node))
    lines = enumerate(text.splitlines(), 1)
    return "\n".join(
        line
        for at, line in lines
        if at not in drop and (at in inside_strings or (line.strip() and not line.lstrip().startswith("#")))
    )


def _lines(node: ast.expr | ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)

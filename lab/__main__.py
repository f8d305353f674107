"""python -m lab: bring real hosts up on this machine, look into them, break them, mend them, take them down."""

from __future__ import annotations

import argparse
import signal
import sys

from . import elasticsearch, faults, host, lifecycle, names, processes, requirements, state, status
from .errors import LabError
from .progress import say


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 the lab says why not, 2 usage, 130 interrupted; `exec` and `shell`: the command's own."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        if options.act is not _faults:
            requirements.need_root()
        return int(options.act(options) or 0)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output has read enough; the interpreter must not complain at its end either.
        sys.stdout = None
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130


def _interrupt(number: int, frame: object) -> None:
    processes.abort()
    raise KeyboardInterrupt


def _up(options: argparse.Namespace) -> None:
    lifecycle.up(options.nodes, None if options.without_elasticsearch else options.es_version, options.subnets)
    status.show_usage(state.require())


def _down(options: argparse.Namespace) -> None:
    lifecycle.down()


def _status(options: argparse.Namespace) -> int:
    return status.show()


def _exec(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise LabError("exec needs a command: `python -m lab exec es-1 -- hostname`")
    return host.call(state.require().node(options.node), command)


def _shell(options: argparse.Namespace) -> int:
    return host.call(state.require().node(options.node), ["bash", "-l"])


def _restart(options: argparse.Namespace) -> None:
    with state.lock():
        lab = state.require()
        node = lab.node(options.node)
        elasticsearch.require(lab)
        say(f"restarting Elasticsearch on {node.name}")
        elasticsearch.systemctl(node, "restart")
        elasticsearch.wait_for_members(faults.expected_members(lab))
        say("green")


def _break(options: argparse.Namespace) -> None:
    with state.lock():
        faults.break_(state.require(), options.fault, options.node)


def _heal(options: argparse.Namespace) -> None:
    with state.lock():
        faults.heal(state.require(), options.fault)


def _faults(options: argparse.Namespace) -> None:
    width = max(map(len, faults.FAULTS))
    for name, fault in faults.FAULTS.items():
        print(f"{name:{width}}  {fault.what}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="bring the lab up; the same lab already up is left alone")
    up.add_argument("--nodes", type=int, default=3, metavar="N", help="1 to 9 (default %(default)s)")
    up.add_argument(
        "--subnets", type=int, default=1, metavar="N", help="1 to 3, with a router between them (default %(default)s)"
    )
    up.add_argument("--es-version", default=names.ES_VERSION, metavar="V", help="Elasticsearch (default %(default)s)")
    up.add_argument("--without-elasticsearch", action="store_true", help="hosts, sshd, network, metadata and AWS alone")
    up.set_defaults(act=_up)

    commands.add_parser("down", help="take the lab down; nothing of it stays").set_defaults(act=_down)
    commands.add_parser("status", help="what is up, what is broken").set_defaults(act=_status)

    run = commands.add_parser("exec", help="run a command as root on a node")
    run.add_argument("node", metavar="NODE")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD")
    run.set_defaults(act=_exec)

    for name, act, text in (
        ("shell", _shell, "a root shell on a node"),
        ("restart", _restart, "restart a node's Elasticsearch and wait until the cluster is green"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("node", metavar="NODE")
        command.set_defaults(act=act)

    breaking = commands.add_parser("break", help="break a node; `faults` lists how")
    breaking.add_argument("fault", metavar="FAULT")
    breaking.add_argument("node", metavar="NODE")
    breaking.set_defaults(act=_break)
    healing = commands.add_parser("heal", help="mend everything broken, or one fault, and wait for the cluster")
    healing.add_argument("fault", metavar="FAULT", nargs="?", default=None)
    healing.set_defaults(act=_heal)
    commands.add_parser("faults", help="what can be broken, a line each").set_defaults(act=_faults)
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Every fault on every version: bring each cell about, run the suite, judge it. Started by scripts/faults."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .. import distribution, names, requirements
from ..errors import LabError
from .record import Record
from .run import Matrix
from .table import table


def main(arguments: list[str] | None = None) -> int:
    """0 where the suite said exactly what is declared in every cell, 1 where it did not, 2 for what cannot be run, 130
    for an interrupted run."""
    options = _parser().parse_args(arguments)
    try:
        requirements.check(elasticsearch=True)
        matrix = Matrix(
            [version for version in options.versions.split(",") if version],
            rows=None if options.faults is None else [name for name in options.faults.split(",") if name],
            short=options.short,
            record=Record(options.out, resume=options.resume),
            reports=options.out.with_suffix(""),
        )
        try:
            matrix.run()
        except KeyboardInterrupt:
            print(f"{table(matrix.record.results)}\n\ninterrupted: --resume goes on with {options.out}")
            return 130
    except LabError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 2
    print(table(matrix.record.results))
    return 1 if any(result.misses for result in matrix.record.results) else 0


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument(
        "--versions",
        default=",".join(distribution.KNOWN_VERSIONS),
        metavar="V,V",
        help="Elasticsearch, one lab after another (default: %(default)s)",
    )
    parser.add_argument("--faults", metavar="A,B", help="these alone; `python -m lab faults` lists them (default: all)")
    parser.add_argument(
        "--short",
        action="store_true",
        help="each fault once, data node and elected master in turn; before 8.19 only what differs on AWS SDK v1",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=names.CHECKOUT / "reports" / "faults.jsonl",
        metavar="FILE",
        help="a JSON line a cell as soon as it has run; the reports of misses stand beside it (default: %(default)s)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep what --out already has and run what missed or is not there"
    )
    return parser


if __name__ == "__main__":
    # An orderly end on a signal: what was brought up is taken down.
    signal.signal(signal.SIGTERM, _interrupted)
    sys.exit(main())

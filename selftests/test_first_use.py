"""Every record is known to msgspec before the first thread needs it: its first use by two at once is a crash."""

import subprocess
import sys
from collections.abc import Iterator

import msgspec.inspect

from preflight import facts
from preflight.questions import SECTIONS

STRESS = """
import sys, threading, types
import msgspec
sys.setswitchinterval(1e-6)
for round in range(60):
    module = types.ModuleType("records%d" % round)
    sys.modules[module.__name__] = module
    source = "from __future__ import annotations\\nimport msgspec\\n"
    for number in range(12):
        source += "class R%d(msgspec.Struct):\\n" % number
        source += "".join("    f%d: tuple[str, ...] | None = None\\n" % field for field in range(8))
        source += "    inner: R%d | None = None\\n" % (number - 1) if number else ""
    exec(source, module.__dict__)
    msgspec.json.Decoder(module.R11)
    together = threading.Barrier(8)
    def convert():
        together.wait()
        msgspec.convert({"inner": {"inner": {"f0": ["x"]}}}, module.R11)
    threads = [threading.Thread(target=convert) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


def structs(kind: msgspec.inspect.Type) -> Iterator[type]:
    """The records that a type holds, itself included."""
    if isinstance(kind, msgspec.inspect.StructType):
        yield kind.cls
        for field in kind.fields:
            yield from structs(field.type)
    for part in (*getattr(kind, "types", ()), *getattr(kind, "item_types", ())):
        yield from structs(part)
    if isinstance(kind, msgspec.inspect.VarTupleType):
        yield from structs(kind.item_type)


def test_the_survey_holds_every_record_that_a_nodes_thread_converts():
    reached = set(structs(msgspec.inspect.type_info(facts.Survey)))
    assert set(SECTIONS.values()) <= reached
    assert {getattr(facts, name) for name in ("BucketPath", "ChosenPath", "Dial", "Verification", "Member")} <= reached


def test_a_decoder_made_beforehand_is_enough():
    """Without the decoder this ends in a segmentation fault within a round or two."""
    done = subprocess.run([sys.executable, "-c", STRESS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]

"""Every fault, in the order that `lab faults` lists them."""

from __future__ import annotations

from collections.abc import Mapping

from . import (
    archive,
    bucket,
    hosts,
    inventory,
    keystore,
    membership,
    mesh,
    network,
    packets,
    region,
    remote,
    role,
    snapshots,
    sources,
    subnets,
)
from .fault import Fault

FAULTS: Mapping[str, Fault] = {
    **keystore.FAULTS,
    **archive.FAULTS,
    **sources.FAULTS,
    **region.FAULTS,
    **role.FAULTS,
    **network.FAULTS,
    **packets.FAULTS,
    **mesh.FAULTS,
    **subnets.FAULTS,
    **bucket.FAULTS,
    **snapshots.FAULTS,
    **remote.FAULTS,
    **inventory.FAULTS,
    **hosts.FAULTS,
    **membership.FAULTS,
}

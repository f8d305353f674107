"""AWS's control plane, read with the operator's own credentials (--aws): the nodes' network as AWS describes it."""

from .asking import Tags, Wanted, ask
from .policies import Place

__all__ = ["Place", "Tags", "Wanted", "ask"]

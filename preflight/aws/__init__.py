"""AWS's control plane, read with the operator's own credentials (--aws): the nodes' network as AWS describes it."""

from .asking import Wanted, ask

__all__ = ["Wanted", "ask"]

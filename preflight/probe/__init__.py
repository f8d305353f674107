"""The program that runs on a node, and the session that talks to it."""

from .program import command, program
from .session import ProbeFailed, Session

__all__ = ["ProbeFailed", "Session", "command", "program"]

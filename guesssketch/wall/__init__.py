"""The wall between x86-64's calling convention, kept inside the program, and the target's own, outside."""

from guesssketch.wall.boundary import Boundary
from guesssketch.wall.calls import Glue

__all__ = ["Boundary", "Glue"]

"""What equivalence is: the only package that imports z3 or unicorn. Imports ``isa`` and nothing from ``guesssketch``."""

"""What an instruction set is: registers, semantics as terms, text and bytes. Imports nothing from ``solver`` or ``guesssketch``."""

"""SSE and SSE2 instructions whose p-code is opaque or wrong."""
from typing import Final
from isa.x86_64.lifter import X86Override
OVERRIDES: Final[dict[str, X86Override]] = {}

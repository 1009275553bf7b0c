"""Output objects: sections, symbols and data of the input around the stitched functions, as assembly and assembled."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from guesssketch import dwarf, runtime
from guesssketch.archive import write_archive
from guesssketch.assembler import FEATURES, zig
from guesssketch.errors import ToolError, Untranslatable
from guesssketch.frames import unwinding
from guesssketch.names import Names, quoted
from guesssketch.program import ElfSymbol, ObjectFile, Place, Program, RawRelocation, Section
from guesssketch.resolve import BlockId, FunctionId, Resolver
from guesssketch.stitch import ICALL, BlockText, Stitcher, inner_start, stub
from guesssketch.wall import Boundary
from guesssketch.wall.calls import TARGETS
from guesssketch.wall.riscv64 import SAVED_FLOATS, VARARGS

__all__ = ["BlockText", "object_text", "program", "write"]

"""The C library's functions, as far as code under test needs them to go on sensibly (C17 chapter 7, POSIX).

A model works on the memory of the side that calls, so it does the same on both. What is not here is answered arbitrarily, the
same on both sides, and recorded. What changes memory or the result only is not recorded, since that is seen there: compilers
put such calls out for each other and for code of their own.
"""

from __future__ import annotations

from guesssketch.testing.library import memory, numbers, order, scanning, streams, strings
from guesssketch.testing.library.models import MODELS, SIGNATURES

_FILES = (memory, numbers, order, scanning, streams, strings)  # importing them fills MODELS

__all__ = ["MODELS", "SIGNATURES"]

"""Where things lie in the memory of a test run. Both sides have the same picture, apart from their code and stack frames."""

from __future__ import annotations

from typing import Final

PAGE: Final = 4096
NULL: Final = 0x1_0000  # accesses below it fault
LIMIT: Final = 1 << 47  # accesses at or above it fault

SOURCE_CODE: Final = 0x1000_0000
SOURCE_SLOTS: Final = 0x1800_0000  # the original's global offset table
TARGET_CODE: Final = 0x2000_0000
TARGET_SLOTS: Final = 0x2200_0000
EXTERNALS: Final = 0x2400_0000  # a page for each symbol that nobody defines: a function, or data
EXTERNALS_END: Final = 0x2800_0000
DATA: Final = 0x3000_0000  # sections that both sides have alike
SOURCE_DATA: Final = 0x3800_0000  # the others
TARGET_DATA: Final = 0x4000_0000
COMMON: Final = 0x4800_0000
THREAD_DATA: Final = 0x4C00_0000
RETURN: Final = 0x2FFF_0000  # where the function under test returns to
CALLBACK: Final = 0x2FFF_0010  # where a function returns to that the library's model has called

LOADED_END: Final = 0x5000_0000  # from SOURCE_CODE to here lies what is loaded or stands for something

ARENA: Final = 0x5555_0000_0000  # what pointer arguments point to, a region each
REGION: Final = 0x100_0000
RESULT: Final = 0x5550_0000_0000  # a result that is in memory
HEAP: Final = 0x5600_0000_0000
GROWN: Final = 0x5700_0000_0000  # what pointers in memory point to
GROWN_BITS: Final = 28  # pages of it, as a power of two
COPIES: Final = 0x7FF0_0000_0000  # large arguments that travel by reference: each callee's own, not compared
STACK: Final = 0x7FFD_0080_0000  # where the frame of the function under test ends, its stack arguments included
STACK_SIZE: Final = 0x80_0000


def on_stack(address: int) -> bool:
    """Whether ``address`` is a frame's, which the two sides lay out each in its way."""
    return STACK - STACK_SIZE <= address < STACK + STACK_SIZE or COPIES <= address < COPIES + REGION


def is_loaded(address: int) -> bool:
    """Whether ``address`` is an image's, code or data, or stands for something outside."""
    return SOURCE_CODE <= address < LOADED_END


def is_code(address: int) -> bool:
    """Whether ``address`` is in the code of either side."""
    return SOURCE_CODE <= address < SOURCE_SLOTS or TARGET_CODE <= address < TARGET_SLOTS


def is_given(address: int) -> bool:
    """Whether ``address`` is in memory that a program was handed: behind an argument, a pointer in memory, an allocation."""
    return RESULT <= address < GROWN + (PAGE << GROWN_BITS)

"""Which calls never return, over all objects at once.

A function returns if a return, or a tail call to something that may return, can be reached from its entry; the least
set of such functions is taken, so a function that always ends in ``abort`` or loops for ever does not return. Missing
one is harmless (an edge too many); so only names that C, POSIX and the C++ runtime reserve are believed of functions
outside, and no weak function is judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from guesssketch.program import Call, ObjectFile, Place, Return, TailCall, Terminator, successors

NO_RETURN: Final = frozenset((
    "abort", "exit", "_exit", "_Exit", "quick_exit", "pthread_exit", "thrd_exit", "longjmp", "_longjmp", "siglongjmp",
    "__longjmp_chk", "__stack_chk_fail", "__chk_fail", "__fortify_fail", "__assert_fail", "__assert_perror_fail",
    "__assert", "__cxa_throw", "__cxa_rethrow", "_Unwind_Resume", "__cxa_bad_cast", "__cxa_bad_typeid", "__cxa_pure_virtual",
    "__cxa_throw_bad_array_new_length", "__clang_call_terminate", "_ZSt9terminatev",
))  # fmt: skip

Start = tuple[int, int]  # section, offset
Key = tuple[int, int]  # object, function
Terminators = dict[int, Terminator]


def drop_returns(
    objects: Sequence[ObjectFile], starts: Sequence[Sequence[Start]], functions: Sequence[Sequence[Terminators]]
) -> None:
    """Take the successor from every call that does not return. ``starts[object][function]``: where it starts.

    ``functions[object][function]``: terminator of each block by offset, changed in place.
    """
    resolve = _Callees(objects, starts)
    waiting: dict[Key, list[Key]] = defaultdict(list)
    pending: list[Key] = [(o, f) for o, row in enumerate(functions) for f in range(len(row))]
    returning: set[Key] = {key for key in pending if resolve.is_weak(*key)}
    while pending:
        key = pending.pop()
        if key in returning:
            continue
        returns, blocking = _explore(key, starts, functions, resolve, returning)
        if not returns:
            for callee in blocking:
                waiting[callee].append(key)
            continue
        returning.add(key)
        pending += waiting.pop(key, [])
    for number, row in enumerate(functions):
        for terminators in row:
            for at, terminator in terminators.items():
                if isinstance(terminator, Call) and resolve.never_returns(number, terminator.callee, returning):
                    terminators[at] = Call(terminator.callee, None)


def _explore(
    key: Key,
    starts: Sequence[Sequence[Start]],
    functions: Sequence[Sequence[Terminators]],
    resolve: _Callees,
    returning: set[Key],
) -> tuple[bool, set[Key]]:
    """Whether function ``key`` is seen to return, given those that do; else the callees that this hangs on."""
    number, function = key
    terminators = functions[number][function]
    pending = [starts[number][function][1]]
    seen: set[int] = set()
    blocking: set[Key] = set()
    while pending:
        at = pending.pop()
        if at in seen or at not in terminators:
            continue
        seen.add(at)
        terminator = terminators[at]
        if isinstance(terminator, Return):
            return True, set()
        if isinstance(terminator, TailCall | Call) and resolve.never_returns(number, terminator.callee, returning):
            target = resolve.function(number, terminator.callee)
            blocking |= set() if target is None else {target}
            continue
        if isinstance(terminator, TailCall):
            return True, set()
        pending += successors(terminator)
    return False, blocking


class _Callees:
    """Resolves callees to functions of the inputs, across objects by global name."""

    def __init__(self, objects: Sequence[ObjectFile], starts: Sequence[Sequence[Start]]) -> None:
        self._objects = objects
        self._functions = [{start: index for index, start in enumerate(row)} for row in starts]
        self._globals: dict[str, Key] = {}
        self._weak: set[Key] = set()
        for number, file in enumerate(objects):
            for symbol in file.symbols:
                index = None if symbol.section is None else self._functions[number].get((symbol.section, symbol.value))
                if index is not None and symbol.binding == "weak":
                    self._weak.add((number, index))
                if index is not None and symbol.binding == "global":
                    self._globals.setdefault(symbol.name, (number, index))

    def is_weak(self, number: int, function: int) -> bool:
        return (number, function) in self._weak

    def function(self, number: int, callee: Place | None) -> Key | None:
        if callee is None:
            return None
        symbol = self._objects[number].symbols[callee.symbol]
        if symbol.section is None:
            return self._globals.get(symbol.name) if callee.addend == 0 else None
        index = self._functions[number].get((symbol.section, symbol.value + callee.addend))
        return None if index is None else (number, index)

    def never_returns(self, number: int, callee: Place | None, returning: set[Key]) -> bool:
        if callee is None:
            return False
        key = self.function(number, callee)
        if key is not None:
            return key not in returning
        symbol = self._objects[number].symbols[callee.symbol]
        return symbol.section is None and symbol.name in NO_RETURN

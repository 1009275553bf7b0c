"""One side of a test: a function called by its convention on an input, up to its end, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from guesssketch.noreturn import NO_RETURN
from guesssketch.prototypes import VOID, Signature, Type, scalar
from guesssketch.testing import answers, content, layout
from guesssketch.testing.calls import Call, Ended, Event, Item, Unequal
from guesssketch.testing.convention import UNKNOWN, Convention, Value
from guesssketch.testing.frames import clobber, frame
from guesssketch.testing.image import Image
from guesssketch.testing.inputs import Handed, Input
from guesssketch.testing.library import MODELS
from guesssketch.wall.places import Unsupported
from solver.process import Process, Stop

STEPS: Final = 20_000  # instructions between two calls out, if nothing else is said
CALLS: Final = 500  # to functions outside, in one run, likewise
_FRAMES: Final = 100  # calls of one run with which the caller's frame is kept
TOO_MANY: Final = ("too many instructions", "too many calls out", "too much output")
_ANSWERED: Final = 1000  # answers of one run that are kept
_LARGEST: Final = 1 << 20  # allocation that succeeds; bytes of output in one run
OVERRUN: Final = "a write above its frame"


@dataclass(frozen=True)
class Environment:
    """What no program may depend on. shift: of the stack, in steps of 64 bytes. fill: what the stack holds at first.
    junk: chooses what registers hold that carry nothing, and memory that no pointer leads to (far past an array's end).
    vectors: rax at the entry (psABI 3.2.3: al is at least the number of float arguments)."""

    shift: int = 0
    fill: int = 0
    junk: int = 0
    vectors: int = 8


@dataclass
class Outcome:
    """How a run ended, and what it left.

    how: ``return``, ``no-return`` (a call that does not come back; the last event), ``trap``, ``fault``, or ``steps`` (it went
    on for too long, or needs what is not modelled). where: the program counter at the end.
    wild: the page that an access faulted on. result: as the signature says.
    events: calls out, in order, that are compared. calls: how many there were. memory: bytes of the pages written, stacks apart.
    lost: callee-saved registers changed.
    """

    how: str
    where: int = 0
    wild: int = 0
    detail: str = ""
    result: list[Value] = field(default_factory=list)
    hidden: bool = False
    events: list[Event] = field(default_factory=list)
    calls: int = 0
    memory: dict[int, bytes] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """What the function ``name`` gave back when it was asked for the ``count``-th time. before: the number of events of a watched
    process before it."""

    name: str
    count: int
    code: str
    value: int
    before: int

    @property
    def is_integer(self) -> bool:
        return self.name != "file" and self.code not in ("f32", "f64")


def _may_be_called(address: int) -> bool:
    """Whether a jump to ``address``, which is no code, is a call of an unknown function: data could be there."""
    known = layout.on_stack(address) or layout.is_loaded(address)
    return layout.NULL <= address < layout.LIMIT and address % 4 == 0 and not known


class Side:
    """An image in a process (listed, traced, watched: ``Process``). ``signatures``: of the functions outside, where known.

    framed: the cell that points to the frame of code that calls out, if the frames of both sides are alike; what they hold is
    kept with the calls."""

    def __init__(self, image: Image, signatures: Mapping[str, Signature], listed: bool = True, traced: bool = False,
                 watched: Collection[int] = (), framed: str = "") -> None:  # fmt: skip
        self.image, self.signatures, self.framed = image, signatures, framed
        self.process = Process(image.isa, listed, traced, watched)
        self.convention = Convention(self.process)
        self.process.load(image.code, [*image.externals, *image.redirected, layout.RETURN, layout.CALLBACK],
                          readable=image.isa != "x86_64")  # entries made by guesssketch are told by their first word
        self.blocks: dict[int, int] = {}
        self.unequal: list[Unequal] = []
        self.handed: dict[int, Handed] = {}
        """In the last run, which function outside was the last to be given a pointer to this address."""
        self.answered: list[Answered] = []
        """In the last run, in order."""
        self.state: dict[str, int] = {}

    def run(self, address: int, signature: Signature, given: Input, environment: Environment, steps: int = STEPS,
            calls: int = CALLS) -> Outcome:  # fmt: skip
        """Call the function at ``address``. ``steps``: instructions between two calls out, at most. ``calls``: out, at most."""
        self._steps, self._most = steps, calls
        self._choose(given, environment)
        self._heap, self._allocations, self._calls, self._depth = self._free(), 0, 0, 0
        self._counts: dict[str, int] = {}
        self._events: list[Event] = []
        self._text: list[bytes] = []  # output that belongs to the last event
        self._told = 0  # bytes of output
        self._chosen = {(name, count): value for name, count, value in given.answers}
        self.blocks.clear()
        self.answered.clear()
        self.unequal.clear()
        self.handed.clear()
        self._filled = {fill[:3]: fill[3] for fill in given.filled}
        process = self.process
        process.reset(self._content, {})
        top = layout.STACK - 64 * environment.shift
        cells, _ = self.convention.arguments(signature, given.arguments, top, layout.RETURN)
        state = {**answers.junk(self.image.isa, environment.junk), **self.convention.thread(self.image.thread), **cells}
        if self.image.isa == "x86_64":  # al is the number of float arguments; entries made by guesssketch say 8, or 0
            state["rax"] = environment.vectors
        process.restore(state)
        outcome = Outcome("return", events=self._events, hidden=self.convention.places(signature).hidden is not None)
        try:
            self._go(address, layout.RETURN)
            outcome.result = self.convention.result(signature)
            after = process.state(self.convention.saved)
            outcome.lost = tuple(name for name in after if name != "rsp" and after[name] != state[name])
        except Ended as end:
            outcome.how, outcome.detail = end.how, end.detail
        except MemoryError as error:
            outcome.how, outcome.detail = "fault", f"in a call, at {error}"
            self._wild = int(str(error), 16) // layout.PAGE
        self._join()
        outcome.where, outcome.wild, outcome.calls = self._where, self._wild, self._calls
        for number in process.dirty:
            if layout.STACK <= number * layout.PAGE < layout.STACK + layout.STACK_SIZE:
                outcome.how, outcome.detail = "fault", OVERRUN  # of its caller's frame: past a local array's end
            elif not layout.on_stack(number * layout.PAGE):
                page = process.page(number)
                outcome.memory[number] = bytes(page) if page is not None else b""
        return outcome

    def _choose(self, given: Input, environment: Environment) -> None:
        self._given, self._environment = given, environment
        self._patches: dict[int, list[tuple[int, bytes]]] = {}
        for at, data in given.memory:
            for number in range(at // layout.PAGE, (at + len(data) - 1) // layout.PAGE + 1):
                self._patches.setdefault(number, []).append((at, data))

    def _free(self) -> int:
        """Where allocations begin: behind those of a state that the input begins with, whose memory is in whole pages."""
        return max((at + layout.PAGE for at, data in self._given.memory
                    if layout.HEAP <= at < layout.GROWN and len(data) == layout.PAGE), default=layout.HEAP)  # fmt: skip

    def held(self, given: Input, number: int) -> bytes | None:
        """What page ``number`` holds at first on the input ``given``."""
        self._choose(given, Environment())
        return self._content(number)

    def initial(self, number: int) -> bytes | None:
        """What page ``number`` held at the start of the last run; None where an access faults."""
        return self._content(number)

    def _content(self, number: int) -> bytes | None:
        address = number * layout.PAGE
        if not layout.NULL <= address < layout.LIMIT:
            return None
        if layout.on_stack(address):
            return bytes([self._environment.fill]) * layout.PAGE
        data = self.image.data.get(number)
        if data is None and layout.is_loaded(address) and address not in self.image.externals:
            return None
        if data is None:
            known = layout.is_given(address) or address in self.image.externals
            data = content.page(number, self._given.seed + (0 if known else 2 * self._environment.junk))
        if number in self._patches:
            changed = bytearray(data)
            for at, patch in self._patches[number]:
                low, high = max(at, address), min(at + len(patch), address + layout.PAGE)
                changed[low - address : high - address] = patch[low - at : high - at]
            data = bytes(changed)
        return data

    # --- running ---

    def _go(self, pc: int, until: int) -> None:
        """Run from ``pc`` up to ``until``. Raises Ended."""
        while True:
            stop = self.process.run(pc, self._steps)
            self._where, self._wild = stop.pc, stop.page
            if stop.kind not in ("exit", "fetch"):
                raise Ended(*self._ending(stop))
            if stop.pc == until:
                return
            self._calls += 1
            if self._calls > self._most:
                raise Ended("steps", TOO_MANY[1])
            if stop.pc in self.image.redirected:
                pc = self.image.redirected[stop.pc]
            elif stop.pc in self.image.externals:
                pc = self._outside(self.image.externals[stop.pc])
            elif _may_be_called(stop.pc):
                pc = self._unknown(f"*{stop.pc:#x}")
            else:
                raise Ended("fault", "a jump to where nothing is")

    def _ending(self, stop: Stop) -> tuple[str, str]:
        if stop.kind in ("steps", "memory"):
            return "steps", TOO_MANY[0] if stop.kind == "steps" else "too much memory"
        if stop.kind == "trap" and self.image.isa == "x86_64":
            code = self.process.read(stop.pc, 2)
            if code != b"\x0f\x0b" and code[:1] not in (b"\xcc", b"\xf4"):
                return "fault", "a division"
        return ("trap", "") if stop.kind == "trap" else ("fault", "an access to memory")

    def call(self, address: int, signature: Signature, values: Sequence[bytes]) -> list[Value]:
        """Have the code under test call back; what it calls is in registers afterwards as it was."""
        if self._depth >= 8:
            raise Ended("steps", "callbacks within callbacks")
        before, where = self.process.state(), self._where
        top = before[self.convention.pointer] - 512 & -16
        cells, _ = self.convention.arguments(signature, values, top, layout.CALLBACK)
        self.process.restore(before | cells)
        self._depth += 1
        self._go(address, layout.CALLBACK)
        self._depth -= 1
        found = self.convention.result(signature)
        self.process.restore(before)
        self._where = where
        return found

    def _outside(self, name: str) -> int:
        """The function ``name`` was called: where to go on."""
        back = self.convention.back()
        signature = self.signatures.get(name)
        if signature is None:
            return self._unknown(name)
        try:
            given = self.convention.received(signature)
        except Unsupported as error:
            raise Ended("steps", f"{name}: {error}") from None
        model = MODELS.get(name)
        if model is not None:
            value = model(Call(self, name, signature, given))
        else:
            items = [Value(p.code, bits) for p, bits in zip(signature.parameters, given, strict=True) if p.code != "va_list"]
            self.record(name, items)
            if name in NO_RETURN:
                raise Ended("no-return", name)
            self._fill(name, signature, given)
            value = self._answered(name, signature.result)
        hidden = self.convention.hidden(signature)
        self._return(signature.result, value, hidden)
        return back

    def _fill(self, name: str, signature: Signature, given: Sequence[int]) -> None:
        """Write what the input has the call ``name`` write through the pointers that it is given."""
        count = self._counts[f"{name}()"] = self._counts.get(f"{name}()", 0) + 1
        for index, (kind, address) in enumerate(zip(signature.parameters, given, strict=True)):
            if kind.code == "ptr" and layout.is_given(address):
                self.handed[address] = name, count, index
                if data := self._filled.get((name, count, index)):
                    self.process.write(address, data)

    def _answered(self, name: str, kind: Type) -> int | None:
        if kind.code == "struct":
            return sum(self.answer(name, "u64") << 64 * k for k in range(-(-kind.size // 8)))
        return None if kind.code == "void" else self.answer(name, kind.code)

    def _unknown(self, name: str) -> int:
        """A function without a prototype was called."""
        back = self.convention.back()
        self.record(name, ())
        if name in NO_RETURN:
            raise Ended("no-return", name)
        value, number = self.answer(name, "unknown"), self.answer(name, "f64")
        self._return(VOID, None, None)
        self.convention.give(scalar("f64"), number)
        self.convention.give(scalar("i64"), value)
        return back

    def _return(self, kind: Type, value: int | None, hidden: int | None) -> None:
        """The end of a call out: what a callee may change holds junk, and the result is in its place."""
        self.convention.leave()
        kept = self.process.state(self.convention.kept)
        self.process.restore({**answers.junk(self.image.isa, self._environment.junk), **kept})
        if hidden is not None and value is not None:
            self.process.write(hidden, value.to_bytes(-(-kind.size // 8) * 8, "little")[: kind.size])
            if self.image.isa == "x86_64":
                self.process.set("rax", hidden)
        elif value is not None:
            self.convention.give(kind, value & (1 << 128) - 1)
        junk = self._environment.junk
        if junk and self.image.isa == "x86_64":
            clobber(self.process, 0x33 + junk & 0xFF)
            if kind.is_integer and kind.size <= 4:  # of a narrow result's upper half the psABI (3.2.3) says nothing
                self.process.set("rax", self.process.get("rax") & 0xFFFF_FFFF | answers.junk("x86_64", junk)["r11"] & ~0xFFFF_FFFF)

    # --- what the library asks for ---

    def allocate(self, size: int) -> int:
        self._allocations += 1
        if size > _LARGEST or 0 <= self._given.denied < self._allocations:
            return 0
        address = self._heap
        self._heap += -(-max(size, 1) // 16) * 16 + 16
        self.blocks[address] = size
        return address

    def record(self, what: str, items: Sequence[Item]) -> None:
        last = self._events[-1] if self._events else None
        if what == "output":
            text = items[1]
            assert isinstance(text, bytes)
            self._told += len(text)
            if self._told > _LARGEST:
                raise Ended("steps", TOO_MANY[2])
            if last is not None and last.what == what and last.items[0] == items[0]:
                self._text.append(text)  # however it is cut into calls
                return
        self._join()
        looked = self.framed and len(self._events) < _FRAMES
        self._events.append(Event(what, tuple(items), frame(self.process, self.image, self.framed) if looked else b""))

    def _join(self) -> None:
        """Put what was said since with the last event, which is output."""
        if self._text:
            last = self._events[-1]
            first = last.items[1]
            assert isinstance(first, bytes)
            self._events[-1] = replace(last, items=(last.items[0], b"".join([first, *self._text])))
            self._text.clear()

    def chosen(self, name: str, usual: int) -> int:
        """What the input has ``name`` give back, or else ``usual``."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return self._told_of(name, count, "i64", self._chosen.get((name, count), usual))

    def answer(self, name: str, code: str) -> int:
        """A value of type ``code`` that the input chose, or else an arbitrary one: the same for the same name, number of times
        asked, and input."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        value = self._chosen.get((name, count))
        if value is None:
            value = answers.answer(self._given.seed, name, count, code)
        return self._told_of(name, count, code, value)

    def _told_of(self, name: str, count: int, code: str, value: int) -> int:
        if len(self.answered) < _ANSWERED:
            self.answered.append(Answered(name, count, code, value, len(self.process.history)))
        return value


__all__ = ["UNKNOWN", "Environment", "Outcome", "Side"]

"""Proved blocks put together to functions: entries, transfers of control, calls, the native stack pointer.

Inside, x86-64's convention holds on the state map: a call's return address is pushed on the guest stack by the callee's inner
entry and popped by its return. sp is 16-aligned and at least 256 bytes below rsp whenever a function is called, so signal
handlers and native callees stay off the guest's frame and red zone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from guesssketch.errors import Untranslatable
from guesssketch.frames import Frame, frame
from guesssketch.names import Names
from guesssketch.program import Block, Branch, Call, Fall, Function, IndirectJump, Jump, Place, Return, TailCall
from guesssketch.quoting import printable, quoted
from guesssketch.resolve import BlockId, FunctionId
from guesssketch.unwinding import Rules, Unwinding
from guesssketch.wall.aarch64 import RED

MARGIN: Final = 1024  # sp is set this far below the deepest rsp of a function, so that pushes between calls need no care
LEAF: Final = RED - 128 - 8  # a frame that fits between rsp and sp, the red zone and the return address taken off
ICALL: Final = ".Lgs_icall"
_NAME: Final = re.compile(r"(:got:|:got_lo12:|%got_pcrel_hi\(|:gottprel:|:gottprel_lo12:|%tls_ie_pcrel_hi\()?"
                          r"(?<![\w.])(S\d+|guard|taken|fall)\b")  # fmt: skip
_ADDEND: Final = re.compile(r"[+-]\d+$")
# Linkers do not agree on a slot of the global offset table for a symbol and an addend (GNU ld forgets the addend on AArch64
# and refuses it on RISC-V), so such an address has a slot of our own.
_OWN_SLOT: Final = {":got:": "", ":got_lo12:": ":lo12:", "%got_pcrel_hi(": "%pcrel_hi("}
_HIDDEN_SLOT: Final = ("la ", "la\t", "la.")
_OPPOSITES: Final = (("eq", "ne"), ("hs", "lo"), ("cs", "cc"), ("mi", "pl"), ("vs", "vc"), ("hi", "ls"), ("ge", "lt"), ("gt", "le"))
_INVERSE: Final = dict(_OPPOSITES) | {b: a for a, b in _OPPOSITES}


@dataclass(frozen=True)
class BlockText:
    """The translation of one piece of a block.

    lines: target text with labels ``1:``, exits ``taken`` and ``fall``, placeholders. places: placeholder -> address.
    comment: the source instructions. verdict: what is known of it.
    """

    lines: tuple[str, ...]
    places: Mapping[str, Place]
    comment: tuple[str, ...]
    verdict: str


@dataclass(frozen=True)
class _Target:
    """The few instructions that stitching itself writes."""

    name: str
    entry: tuple[str, ...]
    pop: tuple[str, ...]
    call: str
    jump: str
    indirect: str
    trap: str
    variable: tuple[str, ...]  # the address of a thread-local variable, in rax's home
    comment: str


_TARGETS: Final = {
    "aarch64": _Target("aarch64", ("str x30, [x28, #-8]!",), ("ldr x30, [x28], #8",), "bl {}", "b {}", "br x16", "udf #0",
                       ("adrp x0, :tlsdesc:{0}", "ldr x1, [x0, :tlsdesc_lo12:{0}]", "add x0, x0, :tlsdesc_lo12:{0}",
                        ".tlsdesccall {0}", "blr x1", "mrs x8, tpidr_el0", "add x8, x8, x0"), "//"),
    "riscv64": _Target("riscv64", ("addi s6, s6, -8", "sd ra, 0(s6)"), ("ld ra, 0(s6)", "addi s6, s6, 8"), "call {}", "jump {}, t2",
                       "jr t1", "unimp", ("la.tls.gd a0, {0}", "call __tls_get_addr", "mv a6, a0"), "#"),
}  # fmt: skip


class Stitcher:
    """Functions of one object. ``used``: external names whose stub is needed; ``indirect``: whether an indirect call occurs;
    ``slots``: symbol and addend -> label of a word that must hold that address."""

    def __init__(self, names: Names, target: str, texts: Mapping[BlockId, Sequence[BlockText]],
                 rules: Mapping[tuple[int, int], list[tuple[int, Rules]]]) -> None:  # fmt: skip
        self.names, self.target, self.texts, self.rules = names, _TARGETS[target], texts, rules
        self.used: set[str] = set()
        self.indirect = False
        self.slots: dict[str, str] = {}
        self._serial = 0

    def function(self, index: int, line_marks: Mapping[int, str]) -> list[str]:
        """The inner function's lines, from behind its label. ``line_marks``: ``.loc`` by block offset."""
        function = self.names.functions[index]
        own = frame(function)
        at = FunctionId(self.names.number, index)
        unwinding = Unwinding(self.target.name, function, self.rules)
        output = unwinding.start()
        if own.calls or own.depth > LEAF:
            output += self._lower(own, aligned=self._is_aligned(at, function))
        output += self.target.entry
        output += unwinding.pushed()
        order = list(function.blocks)
        order.insert(0, order.pop(order.index(function.offset)))
        large = 4 * sum(len(text.lines) + 8 for o in order for text in self.texts.get(BlockId(*at, o), ()))
        branching = [b for o, b in function.blocks.items() if o in own.dynamic and isinstance(b.terminator, Branch)]
        resets = {successor for block in branching for successor in block.successors}
        for position, offset in enumerate(order):
            block = function.blocks[offset]
            following = order[position + 1] if position + 1 < len(order) else None
            output.append(self.names.block(index, offset) + ":")
            output += [line_marks[offset]] if offset in line_marks else []
            output += unwinding.at(block, 0)
            output += self._lower(own, aligned=False) if offset in resets else []
            output += self._body(index, block, self.texts.get(BlockId(*at, offset), ()), large)
            if block.instructions:
                output += unwinding.at(block, block.instructions[-1].offset)
            if offset in own.dynamic and not isinstance(block.terminator, Branch):
                output += self._lower(own, aligned=False)
            output += self._leave(index, block, following, own)
        return [*output, *unwinding.end()]

    def _is_aligned(self, at: FunctionId, function: Function) -> bool:
        """Whether rsp is certainly 16-aligned at entry: gcc gives that up between local functions that do not need it."""
        if self.names.boundary.has_native_entry(at):
            return True
        terminators = [b.terminator for b in function.blocks.values()]
        places = [t.callee for t in terminators if isinstance(t, Call)]
        return any(p is None or self.names.resolver.callee(at.object, p) is None for p in places)

    def _lower(self, own: Frame, aligned: bool) -> list[str]:
        """sp to below the deepest rsp."""
        size = -(-(own.depth + MARGIN) // 16) * 16
        if self.target.name == "aarch64":
            into = "sp" if aligned else "x17"
            if size < 4096:
                lines = [f"sub {into}, x28, #{size}"]
            else:
                high = [f"movk x17, #{size >> 16:#x}, lsl #16"] if size >> 16 else []
                lines = [f"movz x17, #{size & 0xFFFF:#x}", *high, f"sub {into}, x28, x17"]
            return lines if aligned else [*lines, "and sp, x17, #0xfffffffffffffff0"]
        into = "sp" if aligned else "t2"
        lines = [f"addi {into}, s6, -{size}"] if size <= 2048 else [f"li t2, {size}", f"sub {into}, s6, t2"]
        return lines if aligned else [*lines, "andi sp, t2, -16"]

    # --- bodies ---

    def _body(self, index: int, block: Block, texts: Sequence[BlockText], large: int) -> list[str]:
        """The pieces one after the other; only the last has the block's exits."""
        output: list[str] = []
        for number, text in enumerate(texts):
            last = number == len(texts) - 1
            output += [f"{self.target.comment} {printable(line)}" for line in (*text.comment, text.verdict)]
            self._serial += 1
            end = f".Lgs_e{self._serial}"
            exits = {"fall": end, "taken": end}
            if last and isinstance(block.terminator, Branch):
                exits["taken"] = self.names.block(index, block.terminator.taken)
                exits["fall"] = self.names.block(index, block.terminator.fall)
            lines = [out for line in text.lines for out in self._line(line, text, exits, large)]
            output += lines
            if any(end in line for line in lines):
                output.append(end + ":")
        return output

    def _line(self, line: str, text: BlockText, exits: Mapping[str, str], large: int) -> list[str]:
        far = inverted(line, large) if self.target.name == "aarch64" else None
        if far:
            self._serial += 1
            skip = f".Lgs_k{self._serial}"
            branch, goal = far
            return [f"{branch}{skip}", f"b {exits[goal]}", f"{skip}:"]

        def replace(match: re.Match[str]) -> str:
            operator, name = match[1] or "", match[2]
            if name in exits:
                return exits[name]
            if name == "guard":
                return f"{operator}__stack_chk_guard"
            reference = self.names.reference(text.places[name])
            if not _ADDEND.search(reference):
                return operator + reference
            if not operator and line.startswith(_HIDDEN_SLOT):
                raise Untranslatable([f"{self.names.file.name}: {reference}: a linker may forget the addend in `{line}`"])
            if not operator:
                return reference
            if operator not in _OWN_SLOT:
                raise Untranslatable([f"{self.names.file.name}: {reference}: inside a thread-local variable of another object"])
            return _OWN_SLOT[operator] + self.slots.setdefault(reference, f".Lgs_g{len(self.slots)}")

        done = _NAME.sub(replace, line)
        if "%tprel_" in done:  # relaxed, these would give an address where the proof has an offset
            return [".option push", ".option norelax", done, ".option pop"]
        return [done]

    # --- transfers of control ---

    def _goto(self, index: int, offset: int, following: int | None) -> list[str]:
        return [] if offset == following else [f"{'b' if self.target.name == 'aarch64' else 'j'} {self.names.block(index, offset)}"]

    def _leave(self, index: int, block: Block, following: int | None, own: Frame) -> list[str]:
        t = self.target
        match block.terminator:
            case Fall(next=goal) | Jump(target=goal) | Branch(fall=goal):
                return self._goto(index, goal, following)
            case IndirectJump():
                return [t.indirect]
            case Return():
                return [*t.pop, "ret"]
            case Call(callee=callee, next=after):
                lines = self._call(callee)
                if after is None:
                    return [*lines, t.trap]
                if own.depth > MARGIN - RED:
                    lines += self._lower(own, aligned=False)
                return lines + self._goto(index, after, following)
            case TailCall(callee=callee):
                return [*t.pop, *self._tail(callee)]
        return [t.trap]

    def _call(self, callee: Place | None) -> list[str]:
        inner = self._inner(callee)
        if inner:
            return [self.target.call.format(inner)]
        if callee is not None and self.names.boundary.is_variable(self.names.number, callee):
            return [line.format(self.names.variable(callee)) for line in self.target.variable]
        if callee is None or self.names.boundary.external(self.names.number, callee) is None:
            self.indirect = True
            return [*self._address(callee), self.target.call.format(ICALL)]
        name, glue = self.names.boundary.call(self.names.number, callee)
        if glue.inline is not None:
            return list(glue.inline)
        self.used.add(name)
        return [self.target.call.format(stub(name))]

    def _tail(self, callee: Place | None) -> list[str]:
        inner = self._inner(callee)
        if inner:
            return [self.target.jump.format(inner)]
        if callee is None or self.names.boundary.external(self.names.number, callee) is None:
            self.indirect = True
            return [*self._address(callee), self.target.jump.format(ICALL)]
        name, _ = self.names.boundary.call(self.names.number, callee)
        self.used.add(name)
        return [self.target.jump.format(stub(name))]

    def _inner(self, callee: Place | None) -> str | None:
        found = self.names.resolver.callee(self.names.number, callee) if callee else None
        return self.names.inner(found) if found else None

    def _address(self, callee: Place | None) -> list[str]:
        """The branch target from the global offset table: of a weak definition, which another may replace."""
        if callee is None:
            return []
        symbol = self.names.file.symbols[callee.symbol]
        if callee.addend or not symbol.name or symbol.type == "section":
            raise Untranslatable([f"{self.names.file.name}: a call into the middle of {symbol.name or 'a section'}"])
        name = quoted(symbol.name)
        if self.target.name == "aarch64":
            return [f"adrp x16, :got:{name}", f"ldr x16, [x16, :got_lo12:{name}]"]
        return ["1:", f"auipc t1, %got_pcrel_hi({name})", "ld t1, %pcrel_lo(1b)(t1)"]


def stub(name: str) -> str:
    """Label of the function that calls external ``name`` for translated callers."""
    return quoted(f".Lgs_call_{name}")


def inverted(line: str, size: int) -> tuple[str, str] | None:
    """For an AArch64 branch that might not reach in a function of ``size`` bytes (tbz reaches 32 KiB, others 1 MiB): the
    inverse branch up to its target, and the exit that the branch went to."""
    match = re.match(r"(tbn?z|cbn?z|b\.)(\w*)\s*(.*?)(taken|fall)$", line)
    if not match or size < (30_000 if match[1][0] == "t" else 1_000_000):
        return None
    operation, condition, operands, goal = match.groups()
    if operation == "b." and condition not in _INVERSE:
        return None
    if operation == "b.":
        return f"b.{_INVERSE[condition]} ", goal
    inverse = operation.replace("bnz", "bz") if "n" in operation else operation.replace("bz", "bnz")
    return f"{inverse} {operands}", goal

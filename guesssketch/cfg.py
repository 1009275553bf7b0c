"""From objects to functions and basic blocks.

After ``recover`` holds: every instruction that control can reach lies in exactly one block of one function (cold parts
belong to the function they were cut from), every block ends at a terminator whose successors are blocks of the same
function, every relocated operand is a placeholder with a place, and calls that do not return have no successor.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from guesssketch import threadlocal
from guesssketch.codemap import CodeMap
from guesssketch.decode import RELOCATION_NAMES, RELOCATIONS, Decoded, disassembler, is_padding, refusal, unmodelled
from guesssketch.errors import Untranslatable
from guesssketch.jumptables import Tables
from guesssketch.noreturn import drop_returns
from guesssketch.program import (
    MADE_UP,
    Block,
    Branch,
    Call,
    Fall,
    Function,
    IndirectJump,
    Jump,
    JumpTable,
    ObjectFile,
    Place,
    Program,
    Return,
    TailCall,
    Terminator,
    Trap,
    successors,
)
from guesssketch.regions import Body, Region, Spot
from guesssketch.slicing import Slicer
from isa.machine import Instruction, Relocation, RelocKind


@dataclass
class _Draft:
    """A block before its instructions are built."""

    section: int
    instructions: list[Decoded]
    terminator: Terminator


@dataclass
class _Graph:
    """A function before its instructions are built. ``complaints``: reported only where control can reach the block."""

    body: Body
    blocks: dict[int, _Draft] = field(default_factory=dict)
    complaints: dict[int, list[tuple[Spot, str]]] = field(default_factory=dict)
    tables: list[JumpTable] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    made_up: dict[Place | None, int] = field(default_factory=dict)


def recover(objects: list[ObjectFile]) -> Program:
    """Functions of all ``objects``. Raises Untranslatable with everything in them that has no translation."""
    codes = [CodeMap(file) for file in objects]
    builders = [_Builder(code) for code in codes]
    graphs = [[builder.graph(body) for body in builder.code.bodies] for builder in builders]
    for builder, row in zip(builders, graphs, strict=True):
        builder.check_entries(row)
    terminators = [[{at: draft.terminator for at, draft in graph.blocks.items()} for graph in row] for row in graphs]
    starts = [[(body.main.section, body.main.offset) for body in code.bodies] for code in codes]
    drop_returns(objects, starts, terminators)
    functions: list[list[Function]] = []
    for number, builder in enumerate(builders):
        functions.append([])
        for index, graph in enumerate(graphs[number]):
            for at, terminator in terminators[number][index].items():
                graph.blocks[at].terminator = terminator
            functions[number].append(builder.function(graph))
    problems = [problem for code in codes for problem in code.problems]
    if problems:
        raise Untranslatable(list(dict.fromkeys(problems)))
    return Program(objects, functions)


class _Builder:
    """Makes the functions of one object."""

    def __init__(self, code: CodeMap) -> None:
        self.code = code
        self._tables = Tables(code)

    # -- graphs

    def graph(self, body: Body) -> _Graph:
        code = self.code
        graph = _Graph(body, tables=self._tables.of(body))
        for region in body.regions:
            for offset in sorted(region.labels):
                if code.is_instruction((region.section, offset)):
                    graph.labels.append(body.number((region.section, offset)))
                else:
                    code.complain((region.section, offset), "an address is taken that is no instruction (inline data?)")
        for table in graph.tables:
            for target in table.targets:
                section, offset = body.spot(target)
                code.leaders[section].add(offset)
        jumps: list[int] = []
        for region in body.regions:
            self._cut(graph, region, jumps)
        if jumps:
            self._resolve_indirect(graph, jumps)
        elif graph.labels:
            for region in body.regions:
                for ins, spot in region.code_uses:
                    if code.body_at(spot) is body and spot != (body.main.section, body.main.offset):
                        why = "takes an address inside its function, which has no indirect jump (inline data?)"
                        code.complain((region.section, ins.offset), why)
        return graph

    def check_entries(self, graphs: list[_Graph]) -> None:
        for section, offset in self._tables.unclaimed(table for graph in graphs for table in graph.tables):
            where = f"{self.code.file.name}: {self.code.file.sections[section].name}+{offset:#x}"
            self.code.problems.append(f"{where}: the relative address of code, outside any jump table that is referred to")

    def _cut(self, graph: _Graph, region: Region, jumps: list[int]) -> None:
        """Cut ``region`` into blocks; the offsets of those that end in an indirect jump are added to ``jumps``."""
        leaders = self.code.leaders[region.section]
        current: list[Decoded] = []
        instructions = self.code.instructions(region)
        for position, ins in enumerate(instructions):
            current.append(ins)
            if ins.flow == "plain" and ins.end not in leaders and position + 1 < len(instructions):
                continue
            number = graph.body.number((region.section, current[0].offset))
            follows = instructions[position + 1] if position + 1 < len(instructions) else None
            graph.blocks[number] = _Draft(region.section, current, Trap())
            graph.blocks[number].terminator = self._terminator(graph, region, number, ins, follows)
            if ins.flow == "jump" and ins.is_indirect and graph.blocks[number].terminator == TailCall(None):
                jumps.append(number)
            current = []

    def _terminator(self, graph: _Graph, region: Region, number: int, ins: Decoded, follows: Decoded | None) -> Terminator:
        body = graph.body
        if ins.flow == "return":
            return Return()
        if ins.flow == "trap":
            return Trap()
        if ins.flow == "jump":
            return self._jump(graph, region, number, ins)
        if ins.flow == "call":
            callee = self._thread_local(graph.blocks[number].instructions) or self._callee(graph, region, number, ins)
            ends = follows is None or self._only_padding_after(region, ins.end)
            return Call(callee, None if ends else body.number((region.section, ins.end)))
        fall = body.number((region.section, ins.end)) if follows is not None else self._run_off(graph, region)
        if ins.flow == "string":
            return Branch(number, fall)
        if ins.flow == "branch":
            match self._jump(graph, region, number, ins):
                case Jump(target=target):
                    return Branch(target, fall)
                case TailCall(callee=callee):
                    return Branch(self._made_up(graph, region, callee), fall)
        return Fall(fall)

    def _jump(self, graph: _Graph, region: Region, number: int, ins: Decoded) -> Terminator:
        """Where a jump (or taken branch) goes: Jump inside the function, else TailCall; TailCall(None) if indirect."""
        spot: Spot = (region.section, ins.offset)
        target = self.code.destination(region.section, ins)
        if target is None:
            if not ins.is_indirect:
                self._complain(graph, number, spot, "a jump with an unknown relocation")
            return TailCall(None)
        if isinstance(target, Place):
            if target.addend:
                self._complain(graph, number, spot, "jumps past the start of another symbol")
            return TailCall(target)
        body = self.code.body_at(target)
        if body is graph.body:
            if not self.code.is_instruction(target):
                self._complain(graph, number, spot, "jumps into the middle of an instruction")
                return TailCall(None)
            return Jump(body.number(target))
        if body is None or (body.main.section, body.main.offset) != target:
            self._complain(graph, number, spot, "jumps into the middle of another function, or to no function")
        return TailCall(self.code.place_of(target))

    def _callee(self, graph: _Graph, region: Region, number: int, ins: Decoded) -> Place | None:
        target = self.code.destination(region.section, ins)
        if target is None and not ins.is_indirect:
            self._complain(graph, number, (region.section, ins.offset), "a call with an unknown relocation")
        if target is None or isinstance(target, Place):
            return target
        body = self.code.body_at(target)
        if body is None or (body.main.section, body.main.offset) != target:
            self._complain(graph, number, (region.section, ins.offset), "calls an address that is no function's start")
        return self.code.place_of(target)

    def _thread_local(self, instructions: list[Decoded]) -> Place | None:
        """The variable of whose address the call at the end asks ``__tls_get_addr``, if it does."""
        called = [self.code.file.symbols[r.symbol].name for r in instructions[-1].relocations]
        if len(instructions) < 2 or called != ["__tls_get_addr"] or instructions[-2].mnemonic.split()[-1] != "lea":
            return None
        asked = instructions[-2].relocations
        return threadlocal.variable(asked[0], self.code.file.sections, self.code.file.symbols) if len(asked) == 1 else None

    def _only_padding_after(self, region: Region, offset: int) -> bool:
        """Whether nothing but padding that nobody jumps to follows in the region."""
        if region.end - offset > 32:
            return False
        jumped = any(at in self.code.leaders[region.section] for at in range(offset + 1, region.end))
        return not jumped and is_padding(self.code.file.sections[region.section].data[offset : region.end])

    def _run_off(self, graph: _Graph, region: Region) -> int:
        """The block where control goes past the end of ``region``: the function behind it, or a trap."""
        following = self.code.function_after(region)
        return self._made_up(graph, region, None if following is None else self.code.place_of(following))

    def _made_up(self, graph: _Graph, region: Region, callee: Place | None) -> int:
        if callee not in graph.made_up:
            number = MADE_UP + len(graph.made_up)
            graph.made_up[callee] = number
            graph.blocks[number] = _Draft(region.section, [], Trap() if callee is None else TailCall(callee))
        return graph.made_up[callee]

    def _resolve_indirect(self, graph: _Graph, jumps: list[int]) -> None:
        everything = {target: None for table in graph.tables for target in table.targets} | dict.fromkeys(graph.labels)
        everywhere = tuple(target for target in everything if target in graph.blocks)
        edges = {at: everywhere if at in jumps else successors(draft.terminator) for at, draft in graph.blocks.items()}
        blocks = {at: (draft.section, draft.instructions) for at, draft in graph.blocks.items()}
        slicer = Slicer(self.code, graph.body.main.offset, blocks, edges)
        for number, found in self._tables.resolve(graph.tables, graph.labels, slicer, jumps).items():
            draft = graph.blocks[number]
            if found.problem is not None:
                self._complain(graph, number, (draft.section, draft.instructions[-1].offset), found.problem)
            draft.terminator = TailCall(None) if found.targets is None else IndirectJump(found.targets)

    def _complain(self, graph: _Graph, number: int, spot: Spot, why: str) -> None:
        graph.complaints.setdefault(number, []).append((spot, why))

    # -- functions

    def function(self, graph: _Graph) -> Function:
        """The blocks of ``graph`` that control can reach, with their instructions."""
        main = graph.body.main
        reached = _reachable(graph)
        blocks: dict[int, Block] = {}
        for number in sorted(reached):
            for spot, why in graph.complaints.get(number, []):
                self.code.complain(spot, why)
            blocks[number] = self._block(number, graph.blocks[number])
        tables = tuple(table for table in graph.tables if reached.issuperset(table.targets))
        parts = tuple((part.section, part.offset, part.end - part.offset) for part in graph.body.parts)
        return Function(graph.body.name, main.section, main.offset, main.end - main.offset, main.names, blocks, tables, parts)

    def _block(self, number: int, draft: _Draft) -> Block:
        data = self.code.file.sections[draft.section].data
        names: dict[tuple[Place, str], str] = {}
        built: list[Instruction] = []
        asks = isinstance(draft.terminator, Call) and self._thread_local(draft.instructions)
        for ins in draft.instructions[:-2] + draft.instructions[-1:] if asks else draft.instructions:
            code = data[ins.offset : ins.end]
            reason = refusal(ins, code)
            if reason is not None:
                self.code.complain((draft.section, ins.offset), reason)
            instruction = Instruction(ins.offset - draft.instructions[0].offset, code, ins.text)
            if ins.relocations or "rip" in ins.operands:
                instruction = self._relocated(draft.section, ins, instruction, names)
            if reason is None and ins.flow in ("plain", "atomic") and (reason := unmodelled(instruction)) is not None:
                self.code.complain((draft.section, ins.offset), reason)
            built.append(instruction)
        return Block(number, tuple(built), draft.terminator, {name: place for (place, _), name in names.items()})

    def _relocated(self, section: int, ins: Decoded, instruction: Instruction, names: dict[tuple[Place, str], str]) -> Instruction:
        """``instruction`` with its relocations; ``names``: a placeholder for each (place, way to form its address)."""
        found: list[Relocation] = []

        def add(offset: int, kind: RelocKind, place: Place) -> None:
            way = kind if kind in ("got", "tpoff", "gottpoff") else "address"
            found.append(Relocation(offset, kind, names.setdefault((place, way), f"S{len(names)}")))

        for relocation in ins.relocations:
            if relocation.type not in RELOCATIONS:
                name = RELOCATION_NAMES.get(relocation.type, str(relocation.type))
                self.code.complain((section, ins.offset), f"relocation R_X86_64_{name} is not supported")
                continue
            kind, width = RELOCATIONS[relocation.type]
            place = self.code.operand(ins, relocation)
            if relocation.offset + width > ins.end:
                self.code.complain((section, ins.offset), "a relocation reaches past the instruction")
            elif kind in ("pc", "got", "gottpoff") and "rip" not in ins.operands and ins.flow not in ("jump", "branch", "call"):
                self.code.complain((section, ins.offset), "a pc-relative relocation in an operand that is not")
            elif kind == "got" and place.addend:
                self.code.complain((section, ins.offset), "an address inside the global offset table")
            else:
                add(relocation.offset - ins.offset, kind, place)
        displacement = self.code.local_displacement(section, ins)
        if displacement is not None:
            target, field_at = displacement
            add(field_at, "pc", self.code.place_of((section, target)))
            code = instruction.code[:field_at] + bytes(4) + instruction.code[field_at + 4 :]
            text = next(" ".join(part for part in row[2:] if part) for row in disassembler().disasm_lite(code, ins.offset))
            instruction = replace(instruction, code=code, text=text)
        return replace(instruction, relocations=tuple(found))


def _reachable(graph: _Graph) -> set[int]:
    """Blocks reachable from the entry and from labels whose address is taken."""
    pending = [graph.body.main.offset, *graph.labels]
    reached: set[int] = set()
    while pending:
        number = pending.pop()
        if number not in reached and number in graph.blocks:
            reached.add(number)
            pending += successors(graph.blocks[number].terminator)
    return reached

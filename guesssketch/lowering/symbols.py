"""The values of placeholders and of the thread pointer."""

from __future__ import annotations

from guesssketch.lowering.emitter import Emitter, Unsupported
from guesssketch.problem import Problem, Symbol


class Symbols:
    """strict: nothing for LLVM to fold into addresses. globals: the declarations that the function needs."""

    def __init__(self, emitter: Emitter, function: str, problem: Problem, strict: bool) -> None:
        self.globals: list[str] = []
        self._emitter, self._function, self._problem, self._strict = emitter, function, problem, strict
        self._symbols = {s.name: s for s in problem.symbols}
        self._thread_pointer: str | None = None

    def value(self, name: str) -> str:
        """The i64 that the variable ``name`` stands for. Raises Unsupported if it is no symbol."""
        if name in self._symbols:
            return self._symbol(self._symbols[name])
        if name == "fs_base":
            return self._thread()
        raise Unsupported(f"no home for {name}")

    def _thread(self) -> str:
        if self._thread_pointer is None:
            if self._problem.target == "riscv64":  # ghccc has no thread-local storage there
                self._thread_pointer = self._emitter.new('call i64 asm "mv $0, tp", "=r"()')
            else:
                pointer = self._emitter.new("call ptr @llvm.thread.pointer()")
                self._thread_pointer = self._emitter.new(f"ptrtoint ptr {pointer} to i64")
        return self._thread_pointer

    def _symbol(self, symbol: Symbol) -> str:
        new, name = self._emitter.new, f"{self._function}.{symbol.name}"
        executable = any(r.symbol == symbol.name and r.kind == "tpoff" for i in self._problem.instructions for r in i.relocations)
        if symbol.kind == "tls" and self._problem.target == "riscv64":
            text = f"lui $0, %tprel_hi({name})\\0Aaddi $0, $0, %tprel_lo({name})" if executable else f"la.tls.ie $0, {name}"
            return new(f'call i64 asm "{text}", "=r"()')
        if symbol.kind == "tls":
            model = "localexec" if executable else "initialexec"
            self.globals.append(f"@{name} = external thread_local({model}) global i8")
            address = new(f"ptrtoint ptr @{name} to i64")
            return new(f"sub i64 {address}, {self._thread()}")
        linkage = "extern_weak" if symbol.kind == "got" else "external dso_local"
        self.globals.append(f"@{name} = {linkage} global i8, align {symbol.align}")
        address = new(f"ptrtoint ptr @{name} to i64")
        return new(f'call i64 asm "", "=r,0"(i64 {address})') if self._strict else address

"""Memory: what gives it, copies and searches it."""

from __future__ import annotations

from guesssketch.testing.calls import Call, Ended
from guesssketch.testing.convention import Value
from guesssketch.testing.library.models import compared, model


@model("malloc", "valloc")
def _malloc(call: Call) -> int:
    return call.side.allocate(call.given[0])


@model("calloc", "reallocarray")
def _calloc(call: Call) -> int:
    if call.name == "reallocarray":
        return _resize(call, call.given[0], call.given[1] * call.given[2])
    size = call.given[0] * call.given[1]
    address = call.side.allocate(size)
    if address:
        call.write(address, bytes(size))
    return address


@model("realloc")
def _realloc(call: Call) -> int:
    return _resize(call, call.given[0], call.given[1])


def _resize(call: Call, old: int, size: int) -> int:
    new = call.side.allocate(size)
    if new and old:
        call.write(new, call.read(old, min(size, call.side.blocks.get(old, 0))))
    return new


@model("aligned_alloc", "memalign")
def _aligned(call: Call) -> int:
    return call.side.allocate(call.given[1])


@model("posix_memalign")
def _posix_aligned(call: Call) -> int:
    address = call.side.allocate(call.given[2])
    if not address:
        return 12
    call.write(call.given[0], address.to_bytes(8, "little"))
    return 0


@model("free", "cfree")
def _free(call: Call) -> None:
    if call.side.framed and call.given[0]:  # compilers drop an allocation with its end; guesssketch does not
        call.side.record("free", (Value("ptr", call.given[0]),))


@model("memcpy", "memmove", "mempcpy", "__memcpy_chk", "__memmove_chk", "__mempcpy_chk")
def _memcpy(call: Call) -> int:
    target, source, size = call.given[:3]
    call.write(target, call.read(source, size))
    return target + size if "mempcpy" in call.name else target


@model("memset", "__memset_chk")
def _memset(call: Call) -> int:
    target, value, size = call.given[:3]
    if size > 1 << 22:
        raise Ended("steps", f"memset of {size} bytes")
    call.write(target, bytes([value & 255]) * size)
    return target


@model("memcmp", "bcmp")
def _memcmp(call: Call) -> int:
    a, b, size = call.given
    while size:
        step = min(size, -a % 4096 or 4096, -b % 4096 or 4096)
        left, right = call.read(a, step), call.read(b, step)
        if left != right:
            call.unequal(a, left, b, right)
            return compared(left, right)
        a, b, size = a + step, b + step, size - step
    return 0


@model("memchr", "memrchr", "rawmemchr")
def _memchr(call: Call) -> int:
    where, value = call.given[0], bytes([call.given[1] & 255])
    if call.name == "memrchr":
        at = call.read(where, call.given[2]).rfind(value)
        return where + at if at >= 0 else 0
    left = call.given[2] if call.name == "memchr" else 1 << 22
    while left > 0:
        step = min(left, -where % 4096 or 4096)
        at = call.read(where, step).find(value)
        if at >= 0:
            return where + at
        where, left = where + step, left - step
    return 0

"""Strings."""

from __future__ import annotations

from guesssketch.testing.calls import Call, Ended
from guesssketch.testing.library.models import compared, model


@model("strlen", "strnlen")
def _strlen(call: Call) -> int:
    return len(call.string(call.given[0], call.given[1] if call.name == "strnlen" else None))


@model("strcmp", "strcoll", "strncmp", "strcasecmp", "strncasecmp")
def _strcmp(call: Call) -> int:
    limit = call.given[2] if "ncmp" in call.name or "ncase" in call.name else None
    a, b = (call.string(address, limit) for address in call.given[:2])
    if a != b:
        end = b"" if limit is not None and limit <= max(len(a), len(b)) else b"\0"
        call.unequal(call.given[0], a + end, call.given[1], b + end)
    return compared(a.lower(), b.lower()) if "case" in call.name else compared(a, b)


@model("strcpy", "stpcpy", "__strcpy_chk", "__stpcpy_chk", "strcat", "__strcat_chk")
def _strcpy(call: Call) -> int:
    target, text = call.given[0], call.string(call.given[1])
    start = target + (len(call.string(target)) if "strcat" in call.name else 0)
    call.write(start, text + b"\0")
    return start + len(text) if "stpcpy" in call.name else target


@model("strncpy", "stpncpy", "__strncpy_chk", "__stpncpy_chk")
def _strncpy(call: Call) -> int:
    target, source, size = call.given[:3]
    if size > 1 << 22:
        raise Ended("steps", f"{call.name} of {size} bytes")
    text = call.string(source, size)
    call.write(target, text.ljust(size, b"\0"))
    return target + len(text) if "stpncpy" in call.name else target


@model("strncat", "__strncat_chk")
def _strncat(call: Call) -> int:
    target, source, size = call.given[:3]
    call.write(target + len(call.string(target)), call.string(source, size) + b"\0")
    return target


@model("strchr", "strrchr", "strchrnul", "index", "rindex")
def _strchr(call: Call) -> int:
    where, text = call.given[0], call.string(call.given[0]) + b"\0"
    value = bytes([call.given[1] & 255])
    at = text.rfind(value) if call.name in ("strrchr", "rindex") else text.find(value)
    if at >= 0:
        return where + at
    return where + len(text) - 1 if call.name == "strchrnul" else 0


@model("strstr")
def _strstr(call: Call) -> int:
    at = call.string(call.given[0]).find(call.string(call.given[1]))
    return call.given[0] + at if at >= 0 else 0


@model("strspn", "strcspn", "strpbrk")
def _strspn(call: Call) -> int:
    text, those = call.string(call.given[0]), set(call.string(call.given[1]))
    wanted = call.name == "strspn"
    count = next((k for k, letter in enumerate(text) if (letter in those) != wanted), len(text))
    if call.name == "strpbrk":
        return call.given[0] + count if count < len(text) else 0
    return count


@model("strdup", "__strdup", "strndup")
def _strdup(call: Call) -> int:
    text = call.string(call.given[0], call.given[1] if call.name == "strndup" else None) + b"\0"
    address = call.side.allocate(len(text))
    if address:
        call.write(address, text)
    return address


@model("wcslen")
def _wcslen(call: Call) -> int:
    return len(call.string(call.given[0], unit=4)) // 4

"""The coverage-guided fuzzer (`make fuzz`): ``fuzz.py ENTRY SECONDS FOLDER [SEED ...]``.

FOLDER keeps what reaches new code, and in ``found/`` what broke something; a second run goes on from there. A fault is to be
mended, and its file, made small, belongs into ``corpus/``. Needs atheris (``pip install -e '.[nightly]'``).
"""

from __future__ import annotations

import os
import random
import struct
import sys
import tempfile
from pathlib import Path

import atheris

SECONDS_EACH = 20  # an input that takes longer hangs
MEGABYTES = 3000  # of memory, of which the libraries take a third
VALUES = (0, 1, 2, 3, 4, 7, 8, 16, 24, 63, 64, 127, 128, 255, 256, 4095, 65535, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 64) - 1)


def in_a_section(data: bytes, most: int, seed: int) -> bytes:
    """A value written into one section of an object, or into its header: what blind changes seldom hit. Else any change."""
    chance = random.Random(seed)
    try:
        (start,) = struct.unpack_from("<Q", data, 40)
        (count,) = struct.unpack_from("<H", data, 60)
        header = start + 64 * chance.randrange(count)
        offset, size = struct.unpack_from("<QQ", data, header + 24)
        if chance.random() < 0.5 or not data[offset : offset + size]:
            return bytes(atheris.Mutate(data, most))
        changed = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 4))):
            wide = chance.choice((1, 1, 2, 4, 8))
            inside = (header, 64) if chance.random() < 0.1 else (offset, size)
            at = inside[0] + chance.randrange(0, max(1, inside[1] - wide + 1))
            old = int.from_bytes(changed[at : at + wide], "little")
            new = chance.choice((chance.choice(VALUES), old + chance.choice((-8, -1, 1, 8)), chance.getrandbits(8 * wide)))
            changed[at : at + wide] = (new & (1 << 8 * wide) - 1).to_bytes(wide, "little")
        return bytes(changed[:most])
    except (struct.error, ValueError, OverflowError):
        return bytes(atheris.Mutate(data, most))


def main() -> None:
    entry, seconds, folder, *seeds = sys.argv[1:]
    with atheris.instrument_imports(include=["guesssketch", "elftools", "isa"]):
        import hostile
    work = Path(folder).absolute()
    (work / "found").mkdir(parents=True, exist_ok=True)
    places = [str(Path(seed).absolute()) for seed in seeds]
    place = Path(tempfile.mkdtemp(prefix="guesssketch-fuzz-"))
    hostile.prepare(place)
    os.chdir(place)
    test = hostile.ENTRIES[entry]
    corpus = work / entry
    corpus.mkdir(exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-timeout={SECONDS_EACH}", f"-rss_limit_mb={MEGABYTES}",
               f"-max_len={hostile.LARGEST}", f"-artifact_prefix={work}/found/{entry}-", "-print_final_stats=1", "-len_control=0"]  # fmt: skip
    mutator = {"custom_mutator": in_a_section} if entry == "object" else {}
    atheris.Setup([sys.argv[0], *options, str(corpus), *places], test, **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

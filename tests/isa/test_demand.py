from isa import terms as t
from isa.demand import demanded, low_bits

RAX, RBX = t.var("rax", 64), t.var("rbx", 64)


def test_low_part_of_a_sum_needs_low_parts_only() -> None:
    assert demanded([(t.add(RAX, RBX), 0xFFFF)]) == {"rax": 0xFFFF, "rbx": 0xFFFF}


def test_zero_extension_drops_the_upper_half() -> None:
    assert demanded([(t.zext(t.extract(RAX, 0, 32), 64), t.mask(64))]) == {"rax": 0xFFFFFFFF}


def test_high_byte_is_in_the_low_16_bits() -> None:
    (bits,) = demanded([(t.extract(RAX, 8, 8), 0xFF)]).values()
    assert bits == 0xFF00 and low_bits(bits) == 16


def test_sign_extension_needs_the_sign_bit() -> None:
    assert demanded([(t.sext(t.extract(RAX, 0, 32), 64), 1 << 63)]) == {"rax": 1 << 31}


def test_a_shift_right_moves_demand_up() -> None:
    assert demanded([(t.lshr(RAX, t.const(8, 64)), 0xFF)]) == {"rax": 0xFF00}


def test_an_address_is_demanded_whole() -> None:
    assert demanded([(t.load(t.memory(), RAX, 8), 0x1)]) == {"rax": t.mask(64)}


def test_flags_read_together_are_one_condition() -> None:
    sf, of, zf, cf = (t.var(f, 1) for f in ("sf", "of", "zf", "cf"))
    assert demanded([(t.or_(zf, t.xor(sf, of)), 1)]) == {"le": 1}
    assert demanded([(t.not_(t.xor(sf, of)), 1)]) == {"l": 1}
    assert demanded([(t.or_(cf, zf), 1), (cf, 1)]) == {"be": 1, "cf": 1}

from isa import terms as t
from isa.separate import new_table, separate
from isa.statemap import cell_term


def test_terms_are_numbered_alike_whatever_came_before() -> None:
    t.add(t.var("second", 64), t.var("first", 64))
    with separate(new_table()):
        apart = t.add(t.var("first", 64), t.var("second", 64))
        assert [a.attr for a in apart.args] == ["first", "second"]
        assert cell_term("rax") is t.var("rax", 64) and t.eq(apart, apart) is t.TRUE


def test_the_outside_is_as_it_was() -> None:
    outside, cell, table = t.var("x", 64), cell_term("le"), new_table()
    with separate(table):
        inside = t.var("x", 64)
        assert inside is not outside and cell_term("le") is not cell
    assert t.var("x", 64) is outside and cell_term("le") is cell
    with separate(table):
        assert t.var("x", 64) is inside

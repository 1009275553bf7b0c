from guesssketch.assembler import assemble_x86
from guesssketch.frames import frame
from guesssketch.program import Block, Function, Return


def depth(text: str) -> int:
    return frame(Function("f", 1, 0, 16, (), {0: Block(0, tuple(assemble_x86(text)), Return())})).depth


def test_constant_steps_add_up() -> None:
    assert depth("push rbx\nsub rsp, 32\nadd rsp, 32\npop rbx\nret") == 40


def test_a_negative_addition_lowers_rsp() -> None:
    assert depth("push rbp\nmov rbp, rsp\nadd rsp, -128\nleave\nret") == 136
    assert depth("sub rsp, -128\nadd rsp, -128\nret") == 0

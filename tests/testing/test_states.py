"""What one function leaves in memory, another begins with: rounds reach what no function does alone."""

import pickle
from pathlib import Path

from guesssketch.testing.explore import Found, Limits
from guesssketch.testing.inputs import from_json
from guesssketch.testing.pair import Pair
from guesssketch.testing.rounds import Task, explore
from tests.testing.conftest import Explore, Prepare

CHAIN = """
struct s { struct s *self; unsigned long check; long count; };
int made(struct s *p) { return 1; }
unsigned long mixed(unsigned long x) { x ^= x >> 31; x *= 0x9E3779B97F4A7C15; x ^= x >> 29; x *= 0xBF58476D1CE4E5B9; return x ^ x >> 32; }
void make(struct s *p, long n) { if (n < 5 || n > 60) n = 5; p->self = p; p->count = n; p->check = mixed(n); }
int use(struct s *p) { if (p->self != p) return 1; if (p->check != mixed(p->count)) return 2; return made(p) + 3; }
"""


def _explored(prepare_c: Prepare, folder: Path, **limits: int) -> tuple[dict[str, Found], int]:
    """What became of each function, and the index of ``use``."""
    prepared = prepare_c(CHAIN)
    stored = folder / "prepared"
    stored.write_bytes(pickle.dumps(prepared))
    tasks = [Task(stored, tested.name) for tested in prepared.functions]
    settings = {"seconds": 60.0, "runs": 400, "solver": False, **limits}
    found = {result.name: result for _, result in explore(tasks, Limits(**settings), jobs=1)}  # type: ignore[arg-type]
    return found, next(tested.index for tested in prepared.functions if tested.name == "use")


def test_a_structure_that_another_function_makes(prepare_c: Prepare, tmp_path: Path, explore: Explore) -> None:
    found, use = _explored(prepare_c, tmp_path)
    blocks = {spot.block for spot in found["use"].covered.blocks if spot.function == use}
    alone = explore(CHAIN, name="use", runs=400, solver=False)
    assert len({spot.block for spot in alone.covered.blocks if spot.function == use}) < len(blocks)
    assert found["make"].states and found["use"].runs <= 400


def test_rounds_are_the_same_with_the_same_seed(prepare_c: Prepare, tmp_path: Path) -> None:
    (one, _), (two, _) = (_explored(prepare_c, tmp_path, seed=3) for _ in range(2))
    assert {name: (f.runs, f.statuses, f.corpus) for name, f in one.items()} == {name: (f.runs, f.statuses, f.corpus) for name, f in two.items()}


def test_a_state_is_not_kept_with_a_frame_in_it(explore: Explore) -> None:
    kept = explore("void work(char *); void f(void **p, char *q) { char b[8]; work(b); *p = q; }", runs=50)
    frame = explore("void work(char *); void f(void **p) { char b[8]; work(b); *p = b; }", runs=50)
    assert kept.states and not frame.states


def test_allocations_do_not_meet_those_of_a_state(prepare_c: Prepare, explore: Explore) -> None:
    text = "void *malloc(unsigned long); void f(long **p) { *p = malloc(64); if (*p) **p = 5; }"
    (state, *_) = explore(text, runs=50).states
    prepared = prepare_c(text)
    pair, (tested,) = Pair(prepared), prepared.functions
    assert pair.judge(tested, state.given).status == "equal"
    (address,) = pair.source.blocks
    assert all(not at <= address < at + len(data) for at, data in state.given.memory)


def test_an_input_with_all_that_it_may_have_is_read_back(explore: Explore) -> None:
    text = "int strcmp(const char *, const char *); int fetch(char *, int); int f(char *p) { *p = 0; if (fetch(p, 9) == 0x51234) return strcmp(p, \"hello\"); return 0; }"
    inputs = explore(text, runs=300).corpus
    assert any(given.answers for given in inputs) or any(given.filled for given in inputs)
    assert [from_json(given.to_json()) for given in inputs] == inputs

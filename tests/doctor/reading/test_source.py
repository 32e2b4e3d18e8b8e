import ast
import functools
import linecache

import numpy as np

from npgpt.doctor.reading import source
from npgpt.doctor.reading.raised import failure
from npgpt.doctor.reading.source import UserCode, cuts_a_batch, read, slots


def helper(x):
    return 2 * x


def uses_helper(x):
    return helper(x) + 1


def closure():
    amount = 5

    def inner(x):
        return x + amount

    return inner


def test_an_exchanged_part_changes_the_built_function_and_not_the_original():
    source = read(uses_helper)
    slot = next(s for s in slots(source.functions["uses_helper"])
                if isinstance(s.get(), ast.Constant) and s.get().value == 1)
    old = slot.get()
    slot.put(ast.Constant(10))
    assert source.build()(3) == 16
    slot.put(old)
    assert source.build()(3) == uses_helper(3) == 7


def test_lines_are_those_of_the_file():
    source = read(helper)
    statement = source.functions["helper"].body[0]
    assert source.line("helper", statement) == helper.__code__.co_firstlineno + 1


def test_a_closure_keeps_its_values():
    assert read(closure()).build()(1) == 6


def test_what_has_no_source_is_none():
    assert read(np.sin) is None
    space = {}
    exec("def made_up(x):\n    return x", space)
    assert read(space["made_up"]) is None


PAIR = (lambda x: x + 1, lambda x: x * 2)


class Layer:
    def forward(self, x):
        return self._twice(x)

    @staticmethod
    def _twice(x):
        return 2 * x


def test_two_lambdas_of_one_line_are_told_apart():
    assert [ast.unparse(read(f).functions["the lambda"].body) for f in PAIR] == ["x + 1", "x * 2"]


def test_text_that_linecache_knows_is_read_as_a_file():
    text = "def made_up(x):\n    return x + 1\n"
    linecache.cache["<cell 1>"] = len(text), None, text.splitlines(True), "<cell 1>"
    space = {}
    exec(compile(text, "<cell 1>", "exec"), space)
    assert read(space["made_up"]).build()(2) == 3


def test_methods_static_methods_and_lambdas_are_seen_from_a_run():
    code = UserCode()
    assert code.watch(lambda: PAIR[0](Layer().forward(3))) == 7
    names = [f.name for f in code.functions]
    assert names[:3] == ["the lambda", "_twice", "forward"]


def change(function, before, after):
    slot = next(s for s in slots(function.node) if isinstance(s.get(), ast.Constant)
                and s.get().value == before)
    slot.put(ast.Constant(after))


def test_an_edited_function_runs_edited_wherever_it_is_held_and_only_then():
    code = UserCode()
    code.watch(lambda: Layer().forward(3))
    twice = next(f for f in code.functions if f.name == "_twice")
    change(twice, 2, 5)
    with code.edited(twice):
        assert Layer().forward(3) == 15
    assert Layer().forward(3) == 6
    code.keep(twice)
    with code.edited():
        assert Layer().forward(3) == 15
    assert Layer().forward(3) == 6


def test_a_closure_is_edited_with_the_values_that_it_holds():
    code, add = UserCode(), closure()
    code.watch(lambda: add(1))
    function = code.functions[0]
    slot = next(s for s in slots(function.node) if isinstance(s.get(), ast.BinOp))
    slot.put(ast.parse("x * 10", mode="eval").body)  # it no longer uses what it holds
    with code.edited(function):
        assert add(1) == 10
    assert add(1) == 6


def raises(dout, w):
    return dout @ w


def test_what_the_users_code_raises_has_a_line_an_expression_and_shapes():
    try:
        raises(np.ones((3, 4)), np.ones((5, 4)))
    except ValueError as error:
        _, node, text = failure(error)
    assert ast.unparse(node) == "dout @ w"
    line = raises.__code__.co_firstlineno + 1
    assert text == f"line {line} of raises: `dout @ w`: (3, 4) @ (5, 4)"


def cuts(x):
    return x[:-1].sum()


def takes_one(x):
    return x[0] + x[..., 1:].sum() + x[:, None].sum()


def test_a_part_of_the_first_axis_is_seen_in_the_source():
    assert cuts_a_batch(cuts)
    assert not cuts_a_batch(takes_one)
    assert not cuts_a_batch(np.sin)


def test_a_library_of_another_environment_is_not_the_users_code(tmp_path):
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    path = folder / "their_sum.py"
    path.write_text("def their_sum(x):\n    return x.sum()\n")
    space = {}
    exec(compile(path.read_text(), str(path), "exec"), space)

    def mine(x):
        return space["their_sum"](2 * x)

    code = UserCode()
    code.watch(lambda: mine(np.ones(3)))
    names = [f.name for f in code.functions]
    assert "mine" in names and "their_sum" not in names


class Held:
    def method(self):
        return 1

    @staticmethod
    def static():
        return 2


HELD = [lambda x: x, {"key": functools.partial(lambda x: x + 1)}]


def test_functions_are_found_by_what_a_module_holds():
    """As CPython 3.13 without the GIL needs, whose gc hides what was there before its threads."""
    functions = [Held.method, Held.static, HELD[0], HELD[1]["key"].func]
    for function in functions:
        assert source._in_modules({function.__code__}) == [function]
    assert len(source._in_modules({f.__code__ for f in functions})) == len(functions)
    assert source._in_modules({compile("1", "<nowhere>", "eval")}) == []


def test_a_run_is_watched_under_cprofile_too():
    import cProfile

    profile = cProfile.Profile()
    profile.enable()
    try:
        assert source.UserCode().watch(lambda: 3) == 3
    finally:
        profile.disable()


def countdown(x, n):
    return x if n == 0 else 2 * countdown(x, n - 1)


def test_a_function_that_calls_itself_runs_edited():
    program = UserCode([countdown])
    program.watch(lambda: countdown(1.0, 3))
    function = next(f for f in program.functions if f.name == "countdown")
    assert function.compiled().co_freevars == ()
    function.node.body[0].value.orelse.left.value = 3
    with program.edited(function):
        assert countdown(1.0, 3) == 27.0
    assert countdown(1.0, 3) == 8.0


def test_a_function_that_only_the_caller_holds_is_found():
    def local(x):
        return x + 1

    code = local.__code__
    assert source._in_modules({code}) == [] and source._in_modules({code}, [local]) == [local]

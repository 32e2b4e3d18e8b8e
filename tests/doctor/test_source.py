import ast

import numpy as np

from npgpt.doctor.source import cuts_a_batch, read, slots


def helper(x):
    return 2 * x


def uses_helper(x):
    return helper(x) + 1


def closure():
    amount = 5

    def inner(x):
        return x + amount

    return inner


def test_a_function_is_read_with_its_helpers_and_built_again():
    source = read(uses_helper)
    assert list(source.functions) == ["uses_helper", "helper"]
    assert source.build()(3) == 7


def test_an_exchanged_part_changes_the_built_function_and_not_the_original():
    source = read(uses_helper)
    slot = next(s for s in slots(source.functions["helper"])
                if isinstance(s.get(), ast.Constant) and s.get().value == 2)
    old = slot.get()
    slot.put(ast.Constant(10))
    assert source.build()(3) == 31
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
    assert read(lambda x: x) is None
    space = {}
    exec("def made_up(x):\n    return x", space)
    assert read(space["made_up"]) is None


def cuts(x):
    return x[:-1].sum()


def takes_one(x):
    return x[0] + x[..., 1:].sum() + x[:, None].sum()


def test_a_part_of_the_first_axis_is_seen_in_the_source():
    assert cuts_a_batch(cuts)
    assert not cuts_a_batch(takes_one)
    assert not cuts_a_batch(np.sin)

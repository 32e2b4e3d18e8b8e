import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npgpt.doctor.evidence.tree import gradients_of, is_tree, leaves, rebuilt
from npgpt.gradcheck.pair import constant

ARRAYS = st.builds(np.ones, st.integers(1, 3))
TREES = st.recursive(
    st.dictionaries(st.text(min_size=1), ARRAYS) | st.lists(ARRAYS, min_size=1),
    lambda part: st.dictionaries(st.text(min_size=1), part) | st.lists(part, min_size=1).map(tuple))


@given(TREES)
def test_a_tree_comes_back_from_its_leaves_with_one_name_each(tree):
    found = [value for _, value in leaves(tree, "p")]
    again = rebuilt(tree, iter(found))
    assert repr(again) == repr(tree)
    for others in (leaves(again), [("", value) for value in gradients_of(tree, tree)]):
        assert all(one is value for (_, one), value in zip(others, found, strict=True))


def test_numbers_and_constants_are_no_trees():
    assert not any(map(is_tree, ([1.0, 2.0], (2, 3), constant(np.ones(2)), np.ones(2), None, "a")))
    assert leaves({"fc": {"W": 1}, "b": [np.ones(1), 2]})[2] == ("b[1]", 2)


def test_a_gradient_is_found_under_its_usual_spellings_and_none_where_there_is_none():
    params = {"W": 1, "b": [np.ones(1), np.ones(1)], "fc": {"gain": 1}}
    assert gradients_of(params, {"dW": 1, "b": [2], "fc": {"grad_gain": 3}}) == [1, 2, None, 3]
    assert gradients_of(params, None) == [None] * 4

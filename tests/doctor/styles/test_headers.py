import numpy as np
import pytest

from npgpt.doctor.styles.headers import (
    Setting,
    drawn,
    make_inputs,
    read_flag,
    read_headers,
    read_values,
)
from npgpt.gradcheck.pair import constant


@pytest.mark.parametrize("text, values", [
    ("x=(2,3) eps=1e-5", {"x": (2, 3), "eps": 1e-5}),
    ("x=2,3 y = ( 4, )", {"x": (2, 3), "y": (4,)}),
    ("w=(3)", {"w": (3,)}),
    ("x=(2,3)>0, y=(2,3) < -1.5", {"x": "floats(2,3)>0", "y": "floats(2,3)<-1.5"}),
    ("t=const(2,3) m=bools(4) ids=ids(2,3) < 7",
     {"t": "const(2,3)", "m": "bools(4)", "ids": "ids(2,3)<7"}),
    ("p={'stride': 2, 'pad': (1, 1)} mode='a b, c=1'",
     {"p": {"stride": 2, "pad": (1, 1)}, "mode": "a b, c=1"}),
    ("axes=tuple(0,1) a=[0, 1] b=None c=-1", {
        "axes": Setting((0, 1)), "a": [0, 1], "b": None, "c": -1}),
    ("x=()", {"x": ()}),
])
def test_a_header_reads_as_python_writes_it(text, values):
    assert read_values(text) == values


@pytest.mark.parametrize("text", [
    "x=(2,3)>y", "x=(2,3)*2", "x=big", "x", "x=1.5,2", "x=ids(2,3)", "x=ids(2)<a", "x=(2,3", "=3",
    "x=(1.5,)>0", "x=const(2,3)>", "2,3",
])
def test_what_it_cannot_read_is_an_error_and_never_left_out(text):
    with pytest.raises(ValueError, match="in a gradcheck header"):
        read_values(text)


def test_comments_are_headers_and_strings_are_not():
    text = "# gradcheck: x=(2,)\na = '# gradcheck: y=(2,)'\nb = 1  # gradcheck: z=()\n"
    assert [(h.line, h.text) for h in read_headers(text)] == [(1, "x=(2,)"), (3, "z=()")]


def test_arrays_are_drawn_as_they_are_described():
    rng = np.random.default_rng(0)
    assert (drawn("floats(50)>2", rng) > 2).all() and (drawn("floats(50)<-1", rng) < -1).all()
    assert isinstance(drawn("const(2,3)", rng), constant)
    assert drawn("bools(4)", rng).dtype == bool
    ids = drawn("ids(2,3)<7", rng)
    assert ids.shape == (2, 3) and ids[0, 0] == ids[1, 2]
    assert drawn("same", rng) is None


def test_a_tuple_is_a_shape_only_where_an_array_is_wanted():
    def f(x, pad=(0, 0), axes=0, *, size):
        return x

    values = {"x": (2, 3), "pad": (1, 1), "axes": (0, 1), "size": (4, 5)}
    (x,), settings = make_inputs(f, values, np.random.default_rng(0))
    assert x.shape == (2, 3)
    assert settings == {"pad": (1, 1), "axes": (0, 1), "size": (4, 5)}
    settings = make_inputs(f, values, np.random.default_rng(0), shapes_behind=True)[1]
    assert settings["size"].shape == (4, 5)


@pytest.mark.parametrize("text, value", [
    ("x=2,3,8", (2, 3, 8)), ("x=(2,3)", (2, 3)), ("x=8", (8,)), ("x=8,", (8,)), ("x=scalar", ()),
    ("x=()", ()), ("x=None", None), ("x=1e-5", 1e-5), ("x=True", True),
    ("x=ids(2,3)<7", "ids(2,3)<7"), ("x = 2, 3", (2, 3)),
])
def test_a_flag_says_whatever_a_header_says(text, value):
    assert read_flag(text) == {"x": value}


@pytest.mark.parametrize("text", ["x=two", "x", "=3,", "x=2 y=3", ""])
def test_a_flag_that_does_not_read_is_told(text):
    with pytest.raises(ValueError, match="cannot read --shape"):
        read_flag(text)


def test_a_header_without_its_colon_is_read_and_other_comments_are_not():
    text = "#gradcheck x=(2,3)\n# gradcheck is a tool\n# gradcheck: x=(4,)\n"
    assert [(h.line, h.text) for h in read_headers(text)] == [(1, "x=(2,3)"), (3, "x=(4,)")]


def test_ids_below_nothing_are_rejected():
    with pytest.raises(ValueError, match="bound of at least 1"):
        drawn("ids(2,3)<0", np.random.default_rng(0))

import re
import textwrap

import pytest

from npgpt.doctor import examine_file
from npgpt.doctor.files import read_flag

GOOD = """
import numpy as np

# gradcheck: x=(2,3,8) weight=(8,) bias=(8,) eps=1e-5
def layernorm_forward(x, weight, bias, *, eps):
    centred = x - x.mean(axis=-1, keepdims=True)
    rstd = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    xhat = centred * rstd
    return xhat * weight + bias, (xhat, rstd, weight)

def layernorm_backward(dout, cache):
    xhat, rstd, weight = cache
    d = dout * weight
    through_var = xhat * (d * xhat).mean(axis=-1, keepdims=True)
    dx = rstd * (d - d.mean(axis=-1, keepdims=True) - through_var)
    return dx, (dout * xhat).sum((0, 1)), dout.sum((0, 1))

# gradcheck: ids=ids(2,3)<7 table=(7,4)
def lookup_forward(ids, table):
    return table[ids], (ids, table.shape)

def lookup_backward(dout, cache):
    ids, shape = cache
    dtable = np.zeros(shape)
    np.add.at(dtable, ids, dout)
    return None, dtable

# gradcheck: x=(5,) rate=0.5 rng=0
def drop_forward(x, *, rate, rng):
    mask = (rng.random(x.shape) >= rate) / (1 - rate)
    return x * mask, mask

def drop_backward(dout, mask):
    return (dout * mask,)

def not_a_pair_forward(x):
    return x, None
"""


def write(tmp_path, text, name="mine.py"):
    path = tmp_path / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def test_every_pair_of_a_file_is_examined_with_the_shapes_of_its_comment(tmp_path):
    reports = examine_file(write(tmp_path, GOOD))
    assert [r.op for r in reports] == ["layernorm", "lookup", "drop"]
    assert all(r.ok for r in reports), "\n".join(map(str, reports))
    assert [row.shape for row in reports[0].rows] == [(2, 3, 8), (8,), (8,)]


@pytest.mark.smoke
def test_one_pair_can_be_chosen_and_a_wrong_one_is_named_with_its_line(tmp_path):
    path = write(tmp_path, GOOD.replace("dx = rstd * (", "dx = ("))
    (report,) = examine_file(f"{path}:layernorm")
    assert report.kinds == ["missing-factor"]
    assert "* rstd` would be right" in report.findings[0].message
    found = re.search(r"line (\d+) of layernorm_backward has `([^`]+)`", report.findings[0].message)
    assert found[2] in path.read_text().splitlines()[int(found[1]) - 1]
    (report,) = examine_file(f"{path}:lookup")
    assert report.ok


def test_overwritten_rows_show_because_an_id_comes_twice(tmp_path):
    path = write(tmp_path, GOOD.replace("np.add.at(dtable, ids, dout)", "dtable[ids] = dout"))
    assert examine_file(f"{path}:lookup")[0].kinds == ["repeated-ids-overwritten"]


def test_shapes_can_be_given_instead_of_a_comment(tmp_path):
    path = write(tmp_path, """
        def double_forward(x, scale):
            return 2 * x * scale, scale

        def double_backward(dout, scale):
            return 2 * dout * scale, None
    """)
    (report,) = examine_file(path, {"x": (2, 3), "scale": ()})
    assert report.kinds == ["missing-gradient"]


def test_a_neighbour_of_the_file_can_be_imported(tmp_path):
    write(tmp_path, "FACTOR = 3.0\n", "constants_of_mine.py")
    path = write(tmp_path, """
        from constants_of_mine import FACTOR

        # gradcheck: x=(4,)
        def triple_forward(x):
            return FACTOR * x, None

        def triple_backward(dout, cache):
            return (FACTOR * dout,)
    """)
    assert examine_file(path)[0].ok


@pytest.mark.parametrize("text, target, words", [
    (GOOD, ":nothing", "no nothing_forward"),
    ("x = 1\n", "", "no pair"),
    ("import a_module_that_is_not_there\n", "", "cannot be imported"),
    ("def f_forward(x):\n    return x, 1\ndef f_backward(d, c):\n    return (d,)\n", "",
     "no shape for x"),
    ("# gradcheck: y=(2,)\ndef f_forward(x=1):\n    return x, 1\n"
     "def f_backward(d, c):\n    return (d,)\n", "", "no argument y"),
    ("# gradcheck: x=big\ndef f_forward(x):\n    return x, 1\n"
     "def f_backward(d, c):\n    return (d,)\n", "", "x=big"),
    ("# gradcheck: x=(1.5,)\ndef f_forward(x):\n    return x, 1\n"
     "def f_backward(d, c):\n    return (d,)\n", "", "is not a shape"),
])
def test_a_users_mistake_is_told_in_one_sentence(tmp_path, text, target, words):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=words):
        examine_file(f"{path}{target}")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ValueError, match="is not a file"):
        examine_file(tmp_path / "missing.py")


def test_a_setting_may_stand_between_arrays_and_a_left_out_default_before_one(tmp_path):
    path = write(tmp_path, """
        # gradcheck: x=(2,3) eps=1e-5 weight=(3,)
        def mid_forward(x, eps, weight):
            return x * weight + eps, (x, weight)

        def mid_backward(dout, cache):
            x, weight = cache
            return dout * weight, (dout * x).sum(0)

        # gradcheck: x=(2,3) bias=(3,)
        def gap_forward(x, weight=None, bias=None):
            return x + bias, None

        def gap_backward(dout, cache):
            return dout, None, dout.sum(0)
    """)
    reports = examine_file(path)
    assert [[row.argument for row in r.rows] for r in reports] == [["x", "weight"], ["x", "bias"]]
    assert all(r.ok for r in reports), reports


def test_one_bad_header_does_not_keep_the_other_pairs_from_being_examined(tmp_path):
    path = write(tmp_path, GOOD + """
# gradcheck: x=big
def odd_forward(x):
    return x, None

def odd_backward(dout, cache):
    return (dout,)
""")
    reports = {report.op: report for report in examine_file(path)}
    assert reports["layernorm"].ok and reports["odd"].kinds == ["undecided"]
    assert "x=big" in reports["odd"].findings[0].message


def test_a_file_that_is_no_python_is_an_unreadable_file(tmp_path):
    with pytest.raises(OSError, match="line 1"):
        examine_file(write(tmp_path, "def f(:"))


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


def test_a_bare_number_is_a_setting_where_forward_wants_one(tmp_path):
    path = write(tmp_path, """
        def times_forward(x, *, n):
            return n * x, n

        def times_backward(dout, n):
            return (n * dout,)
    """)
    assert examine_file(path, {**read_flag("x=4"), **read_flag("n=3")})[0].ok

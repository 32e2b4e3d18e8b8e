import re
import textwrap

import pytest

from npgpt.doctor import examine_file
from npgpt.doctor.styles.headers import read_flag

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
    found = re.search(r"Line (\d+) of layernorm_backward has `([^`]+)`", report.findings[0].message)
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


def test_a_bare_number_is_a_setting_where_forward_wants_one(tmp_path):
    path = write(tmp_path, """
        def times_forward(x, *, n):
            return n * x, n

        def times_backward(dout, n):
            return (n * dout,)
    """)
    assert examine_file(path, {**read_flag("x=4"), **read_flag("n=3")})[0].ok


EVERY_STYLE = """
import functools
import numpy as np

# gradcheck: x=(2,3)
tanh_forward = lambda x: (np.tanh(x), np.tanh(x))
tanh_backward = lambda dout, t: dout * (1 - t * t)

def power_forward(x, *, n):
    return x ** n, (x, n)

def power_backward(dout, cache):
    x, n = cache
    return dout * n * x ** (n - 1)

# gradcheck: x=(2,3)
cube_forward = functools.partial(power_forward, n=3)
cube_backward = power_backward

class Scale:
    # gradcheck: x=(2,3) w=(3,)
    @staticmethod
    def forward(x, w):
        return x * w, (x, w)

    @staticmethod
    def backward(dout, cache):
        x, w = cache
        return dout * w, (dout * x).sum(0)

# gradcheck: x=(2,3)
def relu(x):
    return np.maximum(x, 0)

def relu_grad(x):
    return (x > 0) * 1.0

# gradcheck: x=(2,3) w=(3,4)
def linear_fwd(x, w):
    return x @ w, (x, w)

def linear_bwd(dout, cache):
    x, w = cache
    return {"x": dout @ w.T, "w": x.T @ dout}

# gradcheck: x=(4,6) conv_param={'stride': 2, 'pad': 1} axes=(0,1)
def pick_forward_naive(x, conv_param, axes):
    return x[:: conv_param["stride"]].sum(axes), (x.shape, conv_param)

def pick_backward_naive(dout, cache):
    shape, conv_param = cache
    dx = np.zeros(shape)
    dx[:: conv_param["stride"]] = dout
    return dx, None

# gradcheck: pred=(2,3)>0 target=const(2,3)
def mse_forward(pred, target):
    return ((np.log(pred) - target) ** 2).mean(), (pred, target)

def mse_backward(dout, cache):
    pred, target = cache
    return dout * 2 * (np.log(pred) - target) / pred / pred.size, None

# gradcheck: x=(2,3) weight=(3,)
def gain_forward(x, *, weight):
    return x * weight, (x, weight)

def gain_backward(dout, cache):
    x, weight = cache
    return dout * weight, (dout * x).sum(0)

# gradcheck: n_in=3 n_out=4
# gradcheck: x=(2,3)
class Linear:
    def __init__(self, n_in, n_out):
        self.W = np.ones((n_in, n_out))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T

# gradcheck: x=(2,3)
# gradcheck: x=(5,)
def forward(x):
    return x * x, x

def backward(dout, x):
    return 2 * dout * x
"""
NAMES = ["tanh", "power", "cube", "relu", "linear", "pick_naive", "mse", "gain",
         "forward (header 1)",
         "forward (header 2)", "Scale", "Linear"]


def test_pairs_of_every_style_are_found_and_examined(tmp_path):
    path = write(tmp_path, EVERY_STYLE.replace("def power_forward", "# gradcheck: x=(3,) n=2\n"
                                               "def power_forward"))
    reports = examine_file(path)
    assert sorted(r.op for r in reports) == sorted(NAMES)
    assert all(r.ok for r in reports), "\n".join(map(str, reports))
    rows = {r.op: [row.argument for row in r.rows] for r in reports}
    assert rows["gain"] == ["x", "weight"] and rows["Linear"] == ["x", "W"]
    assert rows["mse"] == ["pred"] and rows["pick_naive"] == ["x"]
    for name in ("Linear", "pick_naive", "pick_forward_naive", "Scale.forward", "relu", "Scale"):
        assert len(examine_file(f"{path}:{name}")) == 1


def test_what_looks_like_a_pair_and_has_no_header_is_named(tmp_path):
    reports = {r.op: r for r in examine_file(write(tmp_path, EVERY_STYLE))}
    assert reports.pop("power").kinds == ["undecided"]
    assert all(r.ok for r in reports.values())


@pytest.mark.parametrize("text, says", [
    ("# gradcheck: x=(2,)\nother = lambda x: x\n", "other is not part of a pair"),
    ("# gradcheck: x=(2,)\ndef helper(x):\n    return x\n", "helper is not part of a pair"),
    ("# gradcheck: x=(2,)\n", "no definition follows it"),
])
def test_a_header_that_belongs_to_nothing_is_named(tmp_path, text, says):
    path = write(tmp_path, GOOD + text)
    (report,) = [r for r in examine_file(path) if not r.ok]
    line = len(path.read_text().splitlines()) - text.count("\n") + 1
    assert f"header in line {line} is not examined: {says}" in report.findings[0].message


def test_a_base_class_and_a_layer_without_a_header(tmp_path):
    path = write(tmp_path, GOOD + """
class Layer:
    def forward(self, x):
        raise NotImplementedError

    def backward(self, dout):
        raise NotImplementedError

class Twice(Layer):
    def __init__(self, n):
        pass

    def forward(self, x):
        return 2 * x

    def backward(self, dout):
        return 2 * dout
""")
    (report,) = [r for r in examine_file(path) if not r.ok]
    assert report.op == "Twice" and "no value for n of Twice()" in report.findings[0].message
    assert examine_file(f"{path}:Twice", {"n": 1, "x": (2, 3)})[0].ok


def test_a_constructor_that_raises_is_one_sentence(tmp_path):
    path = write(tmp_path, """
        class Odd:
            def __init__(self):
                raise RuntimeError("no")
            def forward(self, x):
                return x
            def backward(self, dout):
                return dout
    """)
    with pytest.raises(ValueError, match=r"Odd\(\) raised RuntimeError: no"):
        examine_file(path)


HUBER = """
import numpy as np

# gradcheck: x=(6,) t=const(6)
def huber_forward(x, t, d=0.5):
    e = x - t
    return np.where(abs(e) < d, 0.5 * e * e, d * (abs(e) - 0.5 * d)).sum(), (e, d)

def huber_backward(dout, cache):
    e, d = cache
    return dout * np.where(abs(e) < d, e, SLOPE), None
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_branch_that_the_first_inputs_do_not_take_is_examined_at_others(tmp_path, seed):
    path = write(tmp_path, HUBER.replace("SLOPE", "d"))
    (report,) = examine_file(path, seed=seed)
    assert "`d * np.sign(e)` would be right" in report.findings[0].message
    (report,) = examine_file(write(tmp_path, HUBER.replace("SLOPE", "d * np.sign(e)")), seed=seed)
    assert report.ok and not report.notes


def test_the_note_names_the_seed_that_shows_what_the_given_one_does_not(tmp_path):
    # with the inputs of this seed every |x - t| is small, or x is above t
    (report,) = examine_file(write(tmp_path, HUBER.replace("SLOPE", "d")), seed=27)
    (note,) = report.notes
    assert note.startswith("The inputs of --seed 27 do not show it, those of --seed 28 do")


def test_an_exception_in_the_file_itself_is_named_with_its_line(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("a = 1\n\nb = a / 0\n")
    with pytest.raises(ValueError, match=r"ZeroDivisionError: division by zero \(line 3\)"):
        examine_file(path)

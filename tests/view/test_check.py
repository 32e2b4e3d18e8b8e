"""A failed gradient check is drawn: the right gradient, the wrong one, and where they differ."""

import numpy as np
import pytest

from npgpt.view.check import failed_check
from npgpt.view.encoding import decoded

pytestmark = pytest.mark.smoke

PAIR = """\
import numpy as np

# gradcheck: x=(3,4) weight=(4,)
def scale_forward(x, weight):
    return x * weight, (x, weight)

def scale_backward(dout, cache):
    x, weight = cache
    return dout * weight, {dweight}
"""


def test_the_wrong_gradient_stands_beside_the_right_one(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PAIR.format(dweight="(dout * x).mean(axis=0)"))
    drawn = failed_check(str(file), exact=True)
    assert (drawn["function"], drawn["input"], drawn["shape"]) == ("scale", "weight", [4])
    expected, got = decoded(drawn["expected"]), decoded(drawn["got"])
    np.testing.assert_allclose(got, expected / 3, rtol=1e-9)
    np.testing.assert_allclose(decoded(drawn["difference"]), got - expected, rtol=1e-9)
    (worst,) = drawn["worst"]["index"]
    assert worst == np.abs(expected).argmax() and drawn["sentence"]
    assert drawn["kind"]


@pytest.mark.parametrize("dweight, right, words", [
    ("(dout * x).sum(axis=0)", True, "every gradient is right, there is nothing to draw"),
    ("(dout * x).sum(axis=1)", False, ""),
    ("undefined", False, "backward raised NameError"),
])
def test_what_cannot_be_drawn_is_said(tmp_path, dweight, right, words):
    file = tmp_path / "mine.py"
    file.write_text(PAIR.format(dweight=dweight))
    verdict = failed_check(f"{file}:scale")
    assert verdict["function"] == "scale" and verdict["expected"] is None
    assert (verdict["kind"] == "right") == right and words in verdict["sentence"]

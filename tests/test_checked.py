"""Arguments against their annotations: what fits, and the words for what does not."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike

from npgpt.checked import checked

if TYPE_CHECKING:
    from nowhere import Unknown


@checked
def examined(
    number: int = 1, real: float = 1.0, flag: bool = True, path: Path | str = "a",
    maybe: int | None = None, call: Callable[[], None] = print, table: Mapping[str, int] = {},
    record: dict[str, Any] = {}, many: Iterable[int] = (), array: np.ndarray = np.ones(1),
    like: ArrayLike = 1, pure: PurePath = PurePath("a"), unknown: Unknown = None, anything=None,
    *rest: int, **others: int,
):
    """A function with one of each."""
    return locals()


@pytest.mark.parametrize("name, value", [
    ("number", 5), ("number", np.int8(5)), ("real", 5), ("real", np.float32(5)), ("flag", False),
    ("flag", np.bool_(True)), ("path", Path("b")), ("path", os.curdir), ("maybe", None),
    ("maybe", 3), ("call", len), ("table", {}), ("table", OrderedDict()), ("record", {}),
    ("many", [1]), ("many", {1}), ("many", np.ones(3)), ("many", range(3)), ("like", None),
    ("like", [[1]]), ("array", np.ones((2, 2))), ("unknown", 5), ("anything", 5),
])
def test_a_right_argument_arrives_as_it_is(name, value):
    given = examined(**{name: value})
    assert given[name] is value or given[name] == value


def test_numpys_numbers_arrive_as_pythons_which_do_not_wrap_around():
    given = examined(np.int8(100), np.float64(2.5), np.bool_(False))
    assert [type(given[name]) for name in ("number", "real", "flag")] == [int, float, bool]
    assert given["number"] * 2 == 200


@pytest.mark.parametrize("name, value, says", [
    ("number", True, "number=True must be an integer"),
    ("number", 1.0, "number=1.0 must be an integer"),
    ("real", "1", "real='1' must be a number"),
    ("flag", 1, "flag=1 must be True or False"),
    ("path", b"a", "path=b'a' must be a path or a str"),
    ("path", "", "path='' must be a path that is not empty and holds no NUL"),
    ("path", "a\0b", r"path='a\\x00b' must be a path that is not empty and holds no NUL"),
    ("maybe", "x", "maybe='x' must be an integer or None"),
    ("call", 3, "call=3 must be a function"),
    ("table", [], r"table=\[\] must be a mapping"),
    ("record", None, "record=None must be a mapping"),
    ("many", np.array(1), r"many=array\(1\) must be a list"),
    ("array", [1], r"array=\[1\] must be an array"),
    ("pure", 3, "pure=3 must be a path"),
])
def test_a_wrong_argument_is_named_with_what_would_fit(name, value, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        examined(**{name: value})


def test_pythons_own_error_for_the_wrong_arguments_stays():
    @checked
    def one(a: int) -> int:
        return a

    with pytest.raises(TypeError, match=r"one\(\) missing 1 required positional argument: 'a'"):
        one()
    with pytest.raises(TypeError, match="unexpected keyword argument 'b'"):
        one(1, b=2)
    assert one.__name__ == "one" and one.__wrapped__

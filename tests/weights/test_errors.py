from __future__ import annotations

from npgpt.weights.errors import CheckpointError, bad_file, named


def test_names_that_differ_by_block_are_drawn_together() -> None:
    names = ["wpe.weight", *(f"h.{i}.ln_1.bias" for i in (0, 1, 2, 5)), "h.3.mlp.c_fc.bias"]
    assert named(names) == "wpe.weight, h.{0-2,5}.ln_1.bias, h.3.mlp.c_fc.bias"


def test_the_error_is_one_printable_line_of_bounded_length() -> None:
    error = bad_file("a\nfile", "first\x1b[2J\r\nproblem", "x" * 100_000)
    assert isinstance(error, CheckpointError) and isinstance(error, ValueError)
    assert str(error).startswith("a file: first [2J problem; xxx")
    assert str(error).isprintable() and len(str(error)) < 5000


def test_a_name_of_a_megabyte_is_shortened() -> None:
    assert len(named(["n" * 2**20, "h.1." + "m" * 2**20])) < 400

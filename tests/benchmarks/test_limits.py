"""The sentences about what bounds the figures: from the limits alone, and with the rows beside."""

from benchmarks.limits import WEIGHTS, limit_lines

NUMPY = {"matmuls 1024": 270.0, "matmuls 256": 240.0, "reading": 4 * WEIGHTS / 20e6,
         "widening": WEIGHTS / 15e6, "multiplying": WEIGHTS / 6e6, "gelu 1": 0.8, "gelu all": 1.2}
TORCH = {"matmuls 1024": 310.0, "matmuls 256": 290.0, "reading": 30.0}


def row(name, **medians):
    return {"name": name, "label": f"<{name}>",
            "columns": {column: {"median": median} for column, median in medians.items()}}


def limits(**rates):
    return {"name": "limits", "columns": {name: {"limits": r} for name, r in rates.items()}}


def test_without_limits_there_is_no_list():
    assert limit_lines([row("train-six", matmuls=1.0, eager=2.0)]) == ""


def test_without_training_rows_the_rates_stand_alone_and_without_npgpt_nothing():
    text = limit_lines([limits(npgpt=NUMPY, eager=TORCH)])
    assert "PyTorch's 310 and 290.\n" in text and "matmuls alone" not in text
    assert limit_lines([limits(eager=TORCH)]) == ""


def test_numpy_alone_has_its_own_rates():
    text = limit_lines([limits(npgpt=NUMPY)])
    assert "270 GFLOP/s on matmuls of 1024 positions, 240 of 256." in text
    assert "0.80 billion elements/s on one Python thread and 1.20 on all (1.50x)" in text
    assert "PyTorch" not in text and "transformers" not in text
    assert "take 20.0 ms, whoever computes it." in text


def test_bounds_stand_beside_what_they_bound():
    text = limit_lines([
        limits(npgpt=NUMPY, eager=TORCH),
        row("train-six", npgpt=1.5, matmuls=1.0, eager=2.0),
        row("prefill", npgpt=1.0, transformers=1.0),
        row("decode", npgpt=0.02, transformers=0.025),
        row("decode-int8", npgpt=0.03, float32=0.021),
    ])
    assert "\n  - <train-six>: 0.50, which leaves 1000 ms for everything else; npgpt needs " \
           "500 ms\n" in text
    assert "which leaves 0.0 ms for everything else; npgpt needs 1000 ms" in limit_lines([
        limits(npgpt=NUMPY, eager=TORCH),
        row("train-six", npgpt=2.0, matmuls=1.0, eager=0.5)])
    # 2 * 84.9 million weights * 1000 positions at 270 GFLOP/s
    assert "that takes 629 ms" in text and "0.63 of the 1000 ms that transformers needs" in text
    assert "take 20.0 ms, whoever computes it; transformers takes 25.0 ms" in text
    # a quarter of the bytes is read in a quarter of the time
    assert "read in 5.0 ms, widened in 15.0 ms, multiplied in cache in 6.0 ms: 26.0 ms" in text
    assert "everything else a token takes 30.0 ms, in float32 21.0." in text

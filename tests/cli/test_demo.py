"""npgpt demo: every demonstration, with and without colour and matplotlib."""

import re
import sys

import pytest

from npgpt.demos import DEMOS, generate

COLOUR = re.compile(r"\033\[[\d;]*m")


@pytest.fixture(autouse=True)
def little_training(monkeypatch):
    monkeypatch.setattr(generate, "TRAIN_STEPS", 5)


@pytest.mark.parametrize("name", DEMOS)
def test_every_demonstration_fits_80_columns_and_colour_only_adds_colour(npgpt, name):
    code, plain, err = npgpt("demo", name)
    assert code == 0 and "\033" not in plain
    assert max(map(len, plain.splitlines())) <= 80
    assert not any(line != line.rstrip() for line in plain.splitlines())
    assert err.count("\n") == (name == "generate")
    code, coloured, _ = npgpt("demo", name, "--color", "always")
    stripped = [COLOUR.sub("", line).rstrip() for line in coloured.splitlines()]
    assert code == 0 and stripped == plain.splitlines()
    assert "\033" in coloured


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_a_picture_is_written_where_asked(npgpt, tmp_path, ending):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"picture{ending}"
    code, out, err = npgpt("demo", "layernorm", "--out", path)
    assert (code, err) == (0, "") and out.endswith(f"\npicture: {path}\n")
    assert path.stat().st_size > 1000


def test_without_matplotlib_the_numbers_come_and_the_extra_is_named(npgpt, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = npgpt("demo", "gelu")
    assert (code, err) == (0, "") and "largest gap" in out
    code, out, err = npgpt("demo", "gelu", "--out", tmp_path / "gelu.png")
    assert code == 2 and "largest gap" in out
    assert "npgpt[plot]" in err and err.count("\n") == 1
    assert not list(tmp_path.glob("*.png"))


def test_without_a_name_they_are_listed_and_npgpts_own_help_leads_there(npgpt):
    code, out, err = npgpt("demo")
    assert (code, err) == (0, "") and all(f"\n  {name} " in out for name in DEMOS)
    assert "demo       attention, softmax" in npgpt("--help")[1]


def test_options_of_a_demonstration_reach_it(npgpt):
    assert "8 tokens" in npgpt("demo", "attention", "--text", "a b c d e f g h")[1]
    assert "log 3 =" in npgpt("demo", "softmax", "--logits", "1", "-2", "0", "--target", "2")[1]
    assert "After 7 steps" in npgpt("demo", "adamw", "--steps", "7")[1]


def test_shapes_takes_a_size_and_a_length(npgpt):
    code, out, _ = npgpt(
        "demo", "shapes", "--size", "gpt2", "--length", "3", "--batch", "1", "--all")
    assert code == 0 and "1x3x2304" in out and "all 100 entries" in out and "h.11.mlp" in out
    assert max(map(len, out.splitlines())) <= 80


def test_generate_takes_a_trained_run(npgpt, run_folder):
    code, out, err = npgpt("demo", "generate", "--model", run_folder, "--prompt", "the ca",
                           "--steps", "2", "--temperature", "0")
    assert (code, err) == (0, "")
    assert "trained: run" in out and "after 'the ca'" in out and "the best takes" in out
    one, same, other = (npgpt("demo", "generate", "--model", run_folder, "--prompt", "the ",
                              "--seed", seed)[1] for seed in (3, 3, 5))
    assert one == same != other


@pytest.mark.parametrize("arguments, code, says", [
    (["gleu"], 2, "did you mean 'gelu'"),
    (["--text", "a"], 2, "unknown demonstration ''; expected one of bpe"),
    (["attention", "--text", " "], 2, "text is empty"),
    (["softmax", "--text", "a"], 2, "belongs to demo bpe and embedding and attention"),
    (["adamw", "--lr", "-1"], 2, "lr=-1.0 must be above 0"),
    (["gelu", "--size", "gpt2"], 2, "--size belongs to demo shapes"),
    (["shapes", "--seed", "1"], 2, "--seed belongs to demo attention and generate"),
    (["shapes", "--size", "gpt3"], 2, "did you mean 'gpt2'"),
    (["shapes", "--length", "100"], 2, "length=100 must be an integer from 1 to 32"),
    (["gelu", "--out", "x.pdf"], 2, ".png or .svg"),
    (["gelu", "--out", "missing/x.png"], 3, "missing"),
    (["generate", "--model", "missing"], 3, "missing"),
    (["gelu", "--siez", "1"], 2, "did you mean '--size'"),
])
def test_mistakes_are_one_line(npgpt, arguments, code, says):
    got, out, err = npgpt("demo", *arguments)
    assert (got, out, err.count("\n")) == (code, "", 1) and says in err


def test_the_verb_loads_no_demonstration_before_it_is_asked(npgpt, monkeypatch):
    for name in DEMOS:
        monkeypatch.delitem(sys.modules, f"npgpt.demos.{name}", raising=False)
    assert npgpt("demo", "sizes")[0] == 0
    assert [name for name in DEMOS if f"npgpt.demos.{name}" in sys.modules] == ["sizes"]

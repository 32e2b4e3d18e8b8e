"""Ranks that train together: the numbers of one process, from real jobs of mpiexec."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from npgpt.cli import main
from npgpt.machine.ranks import Ranks
from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.log import read_log
from npgpt.training.ranked import check_ranks
from npgpt.training.settings import resolve

from ..mpi import EARLY, LATE, needs_mpi, run

# sizes all different; five sequences are not the same number for two ranks, nor for four
SMALL = {"n_layer": 2, "n_head": 3, "n_embd": 24, "n_positions": 8, "batch_size": 5,
         "max_steps": 1, "warmup_steps": 0, "eval_every": 1, "eval_batches": 3,
         "sample_every": 0, "grad_accumulation": 2, "dtype": "float64", "seed": 3}
DROPOUT = {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}


def options(**changes):
    found = []
    for name, value in {**SMALL, **changes}.items():
        flag = "--" + name.replace("_", "-")
        found += ([flag] if value is True else [f"--no-{flag[2:]}"] if value is False
                  else [flag, str(value)])
    return found


@pytest.fixture(autouse=True)
def fresh_folder(tmp_path, monkeypatch, text_file):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def train(ranks, out, *given, everywhere="", **changes):
    """The state after a run of so many ranks, None for one process without MPI."""
    arguments = ["train", *given, "--out", out, *(options(**changes) if not given else ())]
    arguments += [] if given else ["--corpus", "story.txt"]
    if ranks is None:
        assert main(arguments) == 0
    else:
        code, _, err = run(ranks, *arguments, "--mpi", everywhere=everywhere)
        assert code == 0, err
    return load_checkpoint(Path(out))


def gap(state, other):
    """How far the mean gradients are apart, relative to their norm: that of the gradient."""
    assert list(state.mean) == list(other.mean)
    pairs = [(state.mean[name].astype(float), other.mean[name].astype(float))
             for name in other.mean]
    return (np.sqrt(sum(np.square(a - b).sum() for a, b in pairs))
            / np.sqrt(sum(np.square(b).sum() for _, b in pairs)))


@needs_mpi
@pytest.mark.parametrize("ranks, changes", [
    (2, DROPOUT), (3, {"weight_norm": True, "grad_accumulation": 1}),
    # more ranks than most machines of a test have cores
    (4, DROPOUT | {"activation_function": "swiglu", "tie_word_embeddings": False}),
    (5, {"recompute": True, "freeze": "wpe,h.0.attn"}),
])
def test_after_one_step_any_ranks_have_the_numbers_of_one_process(ranks, changes):
    one, several = (train(n, str(n), **changes) for n in (None, ranks))
    assert gap(several, one) <= 1e-12
    for name, array in one.params.items():
        np.testing.assert_allclose(several.params[name], array, rtol=0, atol=1e-9)
        if name not in one.mean:
            np.testing.assert_array_equal(several.params[name], array)
    for here, there in zip(read_log(Path("None")), read_log(Path(str(ranks)))):
        assert here.keys() == there.keys()
        for key in {"loss", "lr", "grad_norm", "val"} & {*here}:
            assert here[key] == pytest.approx(there[key], rel=1e-12)


SHARDS = """
from npgpt.training.step import gradients
gradients.choose_shards = lambda *given: 2"""


@needs_mpi
@pytest.mark.parametrize("ranks, changes, more", [
    (2, DROPOUT | {"grad_accumulation": 1, "tie_word_embeddings": False}, ""),
    (3, DROPOUT | {"freeze": "wte,h.0.attn"}, ""),
    (2, {"recompute": True, "grad_accumulation": 3}, ""),
    pytest.param(2, {"threads": 2}, SHARDS, id="shards"),
])
def test_sums_begun_while_backward_runs_give_the_bits_of_those_after_it(ranks, changes, more):
    changes = changes | {"dtype": "float32", "max_steps": 3}
    late = train(ranks, "late", everywhere=LATE + more, **changes)
    assert not list(Path().glob("early-*"))
    early = train(ranks, "early", everywhere=EARLY + more, **changes)
    for kind in ("params", "mean", "square"):
        assert list(getattr(late, kind)) == list(getattr(early, kind))
        for name, array in getattr(late, kind).items():
            np.testing.assert_array_equal(getattr(early, kind)[name], array, err_msg=name)
    # shards are added after backward: nothing is finished before
    found = [Path(f"early-{rank}") for rank in range(ranks)]
    assert [path.exists() and len({*path.read_text().split()}) > 3 for path in found] == [
        not more] * ranks


@needs_mpi
def test_in_float32_ranks_are_as_near_to_float64_as_one_process():
    """The bound is that of threads: what is added in another order must not be worse for it."""
    sizes = {"n_embd": 48, "n_positions": 64, "batch_size": 6}
    truth = train(None, "truth", **sizes)
    one, several = (train(n, str(n), dtype="float32", **sizes) for n in (None, 2))
    # both begin with the same numbers, rounded
    assert gap(one, truth) <= 2e-5
    assert gap(several, truth) <= 1.5 * gap(one, truth)


@needs_mpi
def test_the_same_ranks_give_the_same_bits_and_resume_to_them_and_other_ranks_to_the_numbers():
    longer = {**DROPOUT, "max_steps": 6, "checkpoint_every": 3, "keep_checkpoints": 9,
              "dtype": "float32"}
    first, again = (train(2, out, **longer) for out in ("first", "again"))
    half = Path("first/checkpoints/step-00000003")
    for n in (None, 2, 3):
        shutil.copytree(half, f"from{n}/checkpoints/{half.name}")
        arguments = ["train", "--resume", f"from{n}"]
        assert (main(arguments) if n is None else run(n, *arguments, "--mpi")[0]) == 0
    for kind in ("params", "mean", "square"):
        for name, array in getattr(first, kind).items():
            for other in (again, load_checkpoint(Path("from2"))):
                np.testing.assert_array_equal(getattr(other, kind)[name], array, err_msg=name)
    for n in (None, 3):
        assert gap(load_checkpoint(Path(f"from{n}")), first) <= 1e-4


@needs_mpi
def test_low_rank_updates_of_examples_are_trained_and_resumed_over_ranks():
    """The targets of an answer are counted, not its tokens: ranks have different numbers."""
    train(None, "base")
    lines = [f'{{"prompt": "{"the cat " * (1 + i % 3)}", "completion": "{"sat on " * (i % 5)}a"}}'
             for i in range(40)]
    Path("orders.jsonl").write_text("\n".join(lines))
    for n, early in (None, ""), (2, ""), (2, EARLY):
        arguments = ["train", "--from", "base", "--corpus", "orders.jsonl", "--task", "instruct",
                     "--lora-rank", "2", "--out", f"lora{n}{bool(early)}", "--max-steps", "2",
                     "--batch-size", "3", "--dtype", "float64", "--sample-every", "0"]
        assert (main(arguments) if n is None else
                run(n, *arguments, "--mpi", everywhere=early)[0]) == 0
    one, two, early = (load_checkpoint(Path(f"lora{n}")) for n in ("NoneFalse", "2False", "2True"))
    assert 0 < len(one.mean) < len(one.params) and gap(two, one) <= 1e-12
    assert gap(early, two) == 0     # two numbers, added in either order
    longer = ["train", "--resume", "lora2False", "--max-steps", "4"]
    shutil.copytree("lora2False", "alone")
    assert main([*longer[:2], "alone", *longer[3:]]) == 0 and run(3, *longer, "--mpi")[0] == 0
    assert gap(*(load_checkpoint(Path(out)) for out in ("lora2False", "alone"))) <= 1e-12


class Several(Ranks):
    def __init__(self, size):
        self.rank, self.size = 0, size


@pytest.mark.parametrize("changes, says", [
    ({"batch_size": 3}, "4 ranks for batches of 3 sequences; expected a --batch-size of at least "
                        "4, or fewer ranks"),
    ({"batch_size": 4, "entropy_penalty": 0.1}, "entropy penalty is a function of the whole batch"),
])
def test_a_batch_that_ranks_cannot_split_is_rejected(changes, says):
    with pytest.raises(ValueError, match=says):
        check_ranks(Several(4), resolve(flags=changes))

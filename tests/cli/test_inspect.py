"""npgpt inspect: the published counts, and every kind of argument."""

import pytest

from npgpt import variants
from npgpt.config import GPT2Config
from npgpt.display.terminal import bytes_text
from npgpt.training.step.memory import peak_memory

from .conftest import TINY


@pytest.mark.parametrize("what, tied, untied", [
    ("gpt2", "124,439,808", "163,037,184"),
    ("gpt2-medium", "354,823,168", "406,286,336"),
    ("gpt2-large", "774,030,080", "838,359,040"),
    ("gpt2-xl", "1,557,611,200", "1,638,022,400"),
])
def test_the_four_sizes_have_their_known_counts(npgpt, what, tied, untied):
    code, out, _ = npgpt("inspect", what)
    assert code == 0 and f"parameters             {tied}\n" in out
    assert max(map(len, out.splitlines())) <= 80
    assert f"parameters             {untied}\n" in npgpt("inspect", what, "--untied")[1]


def test_a_run_a_preset_and_a_config_file_are_understood(npgpt, run_folder):
    for what in (run_folder, run_folder / "config.toml"):
        code, out, err = npgpt("inspect", what)
        assert code == 0 and "n_embd                 16" in out, err
    newest = sorted((run_folder / "checkpoints").iterdir())[-1]
    for what in (newest, newest / "config.json"):
        assert "n_embd                 16" in npgpt("inspect", what)[1]
    code, out, _ = npgpt("inspect", "shakespeare-char", "--vocab-size", "65")
    assert code == 0 and "vocab_size             65" in out


def test_one_block_stands_for_all_unless_asked(npgpt):
    assert "h.11.mlp.c_fc.weight" not in npgpt("inspect", "gpt2")[1]
    assert "h.11.mlp.c_fc.weight" in npgpt("inspect", "gpt2", "--all")[1]


def test_a_variant_is_listed_where_it_is_on_or_where_all_is_asked_for(npgpt, tmp_path):
    plain, everything = npgpt("inspect", "gpt2")[1], npgpt("inspect", "gpt2", "--all")[1]
    assert "tie_word_embeddings    True" in plain
    for name in variants.settings():
        assert f"  {name} " not in plain and f"  {name} " in everything
    (tmp_path / "run.toml").write_text("[model]\nnorm = 'none'\nlora_rank = 2\n")
    out = npgpt("inspect", "run.toml", "--vocab-size", "9")[1]
    assert "norm                   none" in out and "lora_rank              2" in out
    assert "weight_norm" not in out


def peak(out):
    """What stands behind the label, its second line included."""
    after = " ".join(out.split("peak of training")[1].split())
    return after.partition(" FLOPs")[0]


def test_the_peak_heeds_what_a_config_says_of_batches_and_of_checkpointing(npgpt, tmp_path):
    config = GPT2Config(n_layer=6, n_embd=192, n_head=6, n_positions=256, vocab_size=65,
                        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)

    def shown(settings, *options):
        (tmp_path / "long.toml").write_text(
            "[model]\nn_layer = 6\nn_embd = 192\nn_head = 6\nn_positions = 256\n[train]\n"
            f"batch_size = 8\n{settings}\n")
        code, out, err = npgpt("inspect", "long.toml", "--vocab-size", "65", *options)
        assert code == 0, err
        return peak(out)

    def predicted(batch=8, length=256, **settings):
        return bytes_text(peak_memory(config, batch, length, **settings))

    assert shown("") == f"{predicted()} in a step of 8 x 256 tokens"
    again = f"{predicted(recompute=True)} in a step of 8 x 256 tokens, activation checkpointing"
    assert shown("recompute = true") == shown("", "--recompute") == again
    several = f"{predicted(grad_accumulation=3)} in a step of 8 x 256 tokens, 3 batches accumulated"
    assert shown("grad_accumulation = 3") == several
    assert shown("", "--batch-size", "2", "--length", "7") == (
        f"{predicted(2, 7)} in a step of 2 x 7 tokens")


def test_a_size_is_shown_with_the_batches_of_its_preset(npgpt):
    assert peak(npgpt("inspect", "gpt2")[1]).endswith("1 x 1024 tokens, 8 batches accumulated")
    assert peak(npgpt("inspect", "gpt2-xl")[1]).endswith("1 x 1024 tokens")


def test_of_a_rank_it_shows_what_it_needs_and_what_it_sends(npgpt):
    code, out, err = npgpt("inspect", "gpt2", "--ranks", "4", "--length", "64",
                           "--batch-size", "6")
    assert code == 0 and max(map(len, out.splitlines())) <= 80, err
    of_rank = out.partition("  a rank of 4, with 2 of 6 sequences of 64 tokens\n")[2]
    assert [line.split()[0] for line in of_rank.splitlines()] == [
        "parameters", "gradients", "AdamW's", "activations", "peak", "sent"]
    assert "237 MiB, 1/4 of 949 MiB" in of_rank
    assert "712 MiB: reduce-scatter and gather, each 3/4 of 475 MiB" in of_rank
    # without a batch of its own, the preset's; or one sequence a rank
    assert "a rank of 5, with 3 of 12 sequences" in npgpt(
        "inspect", "shakespeare-char", "--vocab-size", "65", "--ranks", "5")[1]
    assert "a rank of 5, with 1 of 5 sequences" in npgpt("inspect", "gpt2", "--ranks", "5")[1]
    alone = npgpt("inspect", "gpt2", "--ranks", "1")[1].partition("  a rank of 1, ")[2]
    assert "949 MiB\n" in alone and "sent in a step         nothing\n" in alone
    assert "1/1" not in alone and "their sum" not in alone


def test_a_second_block_alone_and_many_more_are_abbreviated(npgpt, run_folder):
    assert "h.1 to h.11 " in npgpt("inspect", "gpt2")[1]
    two = npgpt("train", "--corpus", "story.txt", "--out", "two", *TINY, "--n-layer", "2")
    assert two[0] == 0 and "h.1  " in npgpt("inspect", "two")[1]


@pytest.mark.parametrize("arguments, code, says", [
    (["onnx"], 2, "gpt2-xl"),
    (["gpt2", "--length", "2000"], 2, "from 1 to 1024"),
    (["gpt2", "--batch-size", "0"], 2, "--batch-size=0"),
    (["gpt2", "--ranks", "0"], 2, "--ranks=0"),
    (["gpt2", "--ranks", "8", "--batch-size", "4"], 2, "ranks=8 is more than the 4 sequences"),
    (["gpt2-lage"], 2, "did you mean 'gpt2-large'"),
    (["missing.toml"], 3, "missing.toml"),
    (["missing.json"], 3, "missing.json"),
    (["shakespeare-char", "--vocab-size", "0"], 2, "vocab_size=0"),
    (["gpt2-xl", "--vocab-size", "9"], 2, "--vocab-size belongs to a preset or a .toml"),
])
def test_mistakes_are_one_line(npgpt, arguments, code, says):
    got, _, err = npgpt("inspect", *arguments)
    assert (got, err.count("\n")) == (code, 1) and says in err

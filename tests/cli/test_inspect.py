"""npgpt inspect: the published counts, and every kind of argument."""

import pytest


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


def peak(out):
    line = next(line for line in out.splitlines() if "peak of a training step" in line)
    words, number, unit = line.rsplit(maxsplit=2)
    return words.strip(), float(number) * {"MiB": 1, "GiB": 1024}[unit]


def test_the_peak_heeds_what_a_config_says_of_batches_and_of_recomputing(npgpt, tmp_path):
    def told(settings, *options):
        (tmp_path / "long.toml").write_text(
            "[model]\nn_layer = 6\nn_embd = 192\nn_head = 6\nn_positions = 256\n[train]\n"
            f"batch_size = 8\n{settings}\n")
        code, out, err = npgpt("inspect", "long.toml", "--vocab-size", "65", *options)
        assert code == 0, err
        return peak(out)

    words, plain = told("")
    assert words == "peak of a training step, batch 8 x 256"
    words, again = told("recompute = true")
    assert words.endswith("batch 8 x 256, recomputing") and again < 0.6 * plain
    assert told("", "--recompute")[1] == again
    words, several = told("grad_accumulation = 3")
    # one more set of gradients
    assert words.endswith(", 3 times batch 8 x 256")
    gradients = 4 * (6 * 12 * 192**2 + (65 + 256) * 192) / 2**20
    assert gradients < several - plain < 1.1 * gradients


def test_a_size_is_told_with_the_batches_of_its_preset(npgpt):
    assert peak(npgpt("inspect", "gpt2")[1])[0].endswith("8 times batch 1 x 1024")
    assert peak(npgpt("inspect", "gpt2-xl")[1])[0].endswith("step, batch 1 x 1024")


@pytest.mark.parametrize("arguments, code, says", [
    (["gpt3"], 2, "gpt2-xl"),
    (["gpt2", "--length", "2000"], 2, "n_positions=1024"),
    (["gpt2", "--batch-size", "0"], 2, "--batch-size 0"),
    (["gpt2-lage"], 2, "did you mean 'gpt2-large'"),
    (["missing.toml"], 3, "missing.toml"),
    (["missing.json"], 3, "missing.json"),
    (["shakespeare-char", "--vocab-size", "0"], 2, "vocab_size=0"),
    (["gpt2-xl", "--vocab-size", "9"], 2, "--vocab-size belongs to a preset or a .toml"),
])
def test_mistakes_are_one_line(npgpt, arguments, code, says):
    got, _, err = npgpt("inspect", *arguments)
    assert (got, err.count("\n")) == (code, 1) and says in err

"""npgpt convert: every form, the debug state, and failures in one line."""

import os

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config

from ..weights.test_llmc import laid_out

CONFIG = GPT2Config(n_layer=2, n_head=2, n_embd=6, vocab_size=13, n_positions=5)


def test_a_model_goes_through_all_forms_and_comes_back(npgpt, tmp_path):
    model = GPT2.init(CONFIG)
    model.save("hf")
    for src, dst, to in (("hf", "m.bin", "llmc"), ("m.bin", "book.safetensors", "book"),
                         ("book.safetensors", "back", "hf")):
        code, out, err = npgpt("convert", src, dst, "--to", to)
        assert (code, out) == (0, f"{dst}: 2 layers, 2 heads, 6 channels\n")
        assert err.count("\n") == (to == "hf") == err.count(" brings no tokenizer: none")
    back = GPT2.load("back")
    for name, array in model.params.items():
        np.testing.assert_array_equal(back.params[name], array, err_msg=name)


@pytest.mark.parametrize("size, lacking, said", [
    (50304, "", "npgpt: hf brings no tokenizer: GPT-2's own is written\n"),
    (13, "", "npgpt: hf brings no tokenizer: none is written\n"),
    (50304, "vocab.txt", "npgpt: no tokenizer is written: hf: its tokenizer is vocab.txt (Word")])
def test_it_says_which_tokenizer_is_written_for_a_model_without_one(
    npgpt, tmp_path, size, lacking, said
):
    GPT2.init(CONFIG.replace(vocab_size=size)).save("hf")
    if lacking:
        (tmp_path / "hf" / lacking).touch()
    code, _, err = npgpt("convert", "hf", "out")
    assert code == 0 and err.startswith(said) and err.count("\n") == 1
    assert (tmp_path / "out" / "tokenizer.json").exists() == ("GPT-2's" in said)


@pytest.mark.smoke
def test_a_run_is_read_where_it_stands_and_one_of_its_checkpoints_too(npgpt, run_folder):
    newest = sorted((run_folder / "checkpoints").iterdir())[-1]
    expected = GPT2.load(newest).params
    for src in (run_folder, newest):
        code, out, err = npgpt("convert", src, f"{src.name}-out")
        assert code == 0, err
        for name, array in GPT2.load(f"{src.name}-out").params.items():
            np.testing.assert_array_equal(array, expected[name], err_msg=name)
    for dst in (run_folder, newest):
        code, _, err = npgpt("convert", f"{run_folder.name}-out", dst)
        assert (code, err) == (2, f"npgpt: {dst} is a run of npgpt train; name another place\n")


def test_the_debug_state_holds_what_the_written_model_computes(npgpt, tmp_path):
    GPT2.init(CONFIG, dtype="float64").save("hf")
    code, out, err = npgpt("convert", "hf", "m.bin", "--to", "llmc", "--state", "s.bin")
    assert code == 0, err
    assert out.splitlines()[1].startswith("s.bin: batch 4, length 5, loss 2.")
    content = (tmp_path / "s.bin").read_bytes()
    ids, targets = np.frombuffer(content, "<i4", 40, 1024).reshape(2, 4, 5)
    numbers = np.frombuffer(content, "<f4", offset=1024 + 4 * 40)
    model = GPT2.load("m.bin")
    logits = model.logits(ids)
    loss, grads = model.loss_and_grads(ids, targets)
    expected = [logits.ravel(), [loss], laid_out(grads)]
    np.testing.assert_allclose(numbers, np.concatenate(expected), atol=1e-6)


def test_failures_are_one_line_with_their_exit_codes(npgpt, tmp_path):
    GPT2.init(CONFIG.replace(activation_function="relu")).save("relu")
    GPT2.init(CONFIG).save("hf")
    assert npgpt("convert", "hf", "m.bin", "--to", "llmc")[0] == 0
    (tmp_path / "link").symlink_to("m.bin")
    before = (tmp_path / "m.bin").read_bytes()
    (tmp_path / "text").write_text("hello")
    for arguments, expected, part in (
        (("nowhere", "x"), 3, "nowhere is not a file, a folder or a pulled model"),
        (("text", "x"), 3, "has an unknown format"),
        (("relu", "x.bin", "--to", "llmc"), 2, "llm.c has no such model: activation_function=relu"),
        (("relu", "x", "--to", "onnx"), 2, "invalid choice: 'onnx'"),
        (("relu", "x", "--state", "s.bin"), 2, "--state belongs to --to llmc"),
        (("relu", "text"), 2, "text is not a folder; name a folder or a .safetensors file"),
        (("hf", ".", "--to", "llmc"), 2, ". is a folder; name a .bin file"),
        (("hf", "hf", "--to", "llmc"), 2, "hf is a folder; name a .bin file"),
        (("hf", "hf", "--to", "book"), 2, "is what hf is read from; name another place"),
        (("hf/model.safetensors", "hf"), 2, "is read from; name another place"),
        (("hf", "hf/b.safetensors", "--to", "book"), 2, "config.json is what hf is read from"),
        (("m.bin", "m.bin", "--to", "llmc"), 2, "is read from; name another place"),
        (("link", "m.bin", "--to", "llmc"), 2, "is read from; name another place"),
        (("hf", "x.bin", "--to", "llmc", "--state", "x.bin"), 2, "x.bin is one of SRC and DST"),
        (("m.bin", "x.bin", "--to", "llmc", "--state", "m.bin"), 2, "m.bin is one of SRC and DST"),
    ):
        code, _, err = npgpt("convert", *arguments)
        assert (code, err.count("\n")) == (expected, 1), err
        assert part in err
    assert (tmp_path / "text").read_text() == "hello"
    assert (tmp_path / "m.bin").read_bytes() == before and not (tmp_path / "x.bin").exists()
    assert {file.name for file in tmp_path.iterdir()} == {"text", "relu", "hf", "m.bin", "link"}


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes and links")
@pytest.mark.parametrize("to, name", [("llmc", "x"), ("hf", "x.safetensors"), ("hf", "x"),
                                      ("book", "x")])
def test_a_device_or_a_pipe_is_never_replaced(npgpt, tmp_path, to, name):
    GPT2.init(CONFIG).save("hf")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / name).symlink_to("pipe")
    for place in (name, "pipe") if "." not in name else (name,):
        code, _, err = npgpt("convert", "hf", place, "--to", to)
        assert (code, err.count("\n")) == (2, 1)
        assert "is not a regular file" in err or "is not a folder" in err
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / name).is_symlink()


def test_a_link_stays_and_what_it_leads_to_is_written(npgpt, tmp_path):
    GPT2.init(CONFIG).save("hf")
    (tmp_path / "there").mkdir()
    for name, to in (("x.bin", "llmc"), ("x", "hf")):
        (tmp_path / name).symlink_to(tmp_path / "there" / name)
        for _ in range(2):
            assert npgpt("convert", "hf", name, "--to", to)[0] == 0
            assert (tmp_path / name).is_symlink()
            assert GPT2.load(tmp_path / "there" / name).config == CONFIG
    assert {file.name for file in (tmp_path / "there").iterdir()} == {"x.bin", "x"}

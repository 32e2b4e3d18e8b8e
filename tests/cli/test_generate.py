"""npgpt generate: where prompts come from, what goes where, and what is rejected."""

from pathlib import Path

import pytest

from npgpt import GPT2, GPT2Config
from npgpt.opening import TextModel, open_model
from npgpt.text import BPETokenizer
from npgpt.text.learned import learn_vocabulary
from npgpt.training.checkpoint import newest_checkpoint

from .conftest import put_model


def test_text_goes_to_stdout_and_the_same_seed_gives_the_same_text(npgpt, run_folder):
    first = npgpt("generate", run_folder, "the cat", "--max-new-tokens", "5", "--seed", "1")
    assert first[0] == 0 and first[1].startswith("the cat")
    assert len(first[1]) == len("the cat") + 5 + 1
    again = npgpt("generate", run_folder, "the cat", "--max-new-tokens", "5", "--seed", "1")
    assert again == first


def test_a_prompt_may_come_from_a_file_or_stdin(npgpt, run_folder, tmp_path):
    (tmp_path / "prompt.txt").write_text("the dog")
    settings = ["--max-new-tokens", "3", "--temperature", "0"]
    expected = npgpt("generate", run_folder, "the dog", *settings)[1]
    assert npgpt("generate", run_folder, "--file", "prompt.txt", *settings)[1] == expected
    assert npgpt("generate", run_folder, *settings, stdin=b"the dog\n")[1] == expected
    assert npgpt("generate", run_folder, "-", *settings, stdin=b"the dog\n")[1] == expected


def test_rounded_weights_write_the_text_of_the_rounded_model(npgpt, run_folder):
    model, tokenizer = open_model(run_folder)
    # weights of some size, so that rounding them changes the text
    model.params = {name: 20 * array for name, array in model.params.items()}
    put_model(model, newest_checkpoint(run_folder))
    wanted = model.quantized().generate(tokenizer.encode("the cat"), 80, seed=1,
                                        on_slide=[].append)
    arguments = ["generate", run_folder, "the cat", "--seed", "1", "--temperature", "1",
                 "--max-new-tokens", "80"]
    rounded, plain = npgpt(*arguments, "--int8"), npgpt(*arguments)
    assert rounded[:2] == (0, tokenizer.decode(wanted) + "\n")
    assert plain[0] == 0 and plain[1] != rounded[1]


def test_top_k_0_keeps_every_token(npgpt, run_folder):
    arguments = ["generate", run_folder, "the", "--seed", "3", "--max-new-tokens", "20"]
    assert npgpt(*arguments, "--top-k", "0") == npgpt(*arguments)
    assert npgpt(*arguments, "--top-k", "1") != npgpt(*arguments)


def test_without_a_prompt_the_model_begins_by_itself(npgpt, run_folder):
    code, out, _ = npgpt("generate", run_folder, "--max-new-tokens", "4", stdin=b"")
    assert code == 0 and len(out) == 5


@pytest.mark.parametrize("length", [8, 9, 80])
def test_a_prompt_at_and_past_the_context_slides_with_a_note(npgpt, run_folder, length):
    prompt = ("the cat sat on a mat " * 4)[:length]
    code, out, err = npgpt("generate", run_folder, prompt, "--max-new-tokens", "3")
    assert code == 0 and out.startswith(prompt) and len(out) == length + 4
    says = "outgrew the context" if length == 8 else "more than the context of 8"
    assert says in err and err.count("\n") == 1


BETWEEN = "\n" + "-" * 40 + "\n"


def test_several_samples_are_set_apart_and_equal_the_librarys(npgpt, run_folder):
    model, tokenizer = open_model(run_folder)
    rows = model.generate(tokenizer.encode("the")[None], 6, seed=5, samples=3, on_slide=[].append)
    code, out, _ = npgpt("generate", run_folder, "the", "--samples", "3", "--seed", "5",
                         "--max-new-tokens", "6", "--temperature", "1")
    assert code == 0 and out == BETWEEN.join(map(tokenizer.decode, rows)) + "\n"


@pytest.mark.parametrize("samples", [1, 3])
def test_each_line_of_a_file_is_a_prompt_of_its_own(npgpt, run_folder, samples):
    Path("prompts.txt").write_text("the cat\n\n  \nthe\na dog sat\r\n")
    prompts = ["the cat", "the", "a dog sat"]
    model, tokenizer = open_model(run_folder)
    rows = model.generate([tokenizer.encode(prompt) for prompt in prompts], 6, seed=5,
                          samples=samples, on_slide=[].append)
    code, out, err = npgpt("generate", run_folder, "--prompts", "prompts.txt", "--samples", samples,
                           "--seed", "5", "--max-new-tokens", "6", "--temperature", "1")
    assert code == 0, err
    assert out == BETWEEN.join(map(tokenizer.decode, rows)) + "\n"


def test_samples_do_not_repeat_those_of_a_neighbouring_seed(npgpt, run_folder):
    texts = []
    for seed in range(3):
        out = npgpt("generate", run_folder, "the", "--samples", "3", "--seed", seed,
                    "--max-new-tokens", "30", "--temperature", "1")[1]
        texts += out.removesuffix("\n").split(BETWEEN)
    assert len(set(texts)) == 9
    alone = npgpt("generate", run_folder, "the", "--seed", "0", "--max-new-tokens", "30",
                  "--temperature", "1")[1]
    assert alone == texts[0] + "\n"


def test_samples_that_end_early_are_shown_whole(npgpt, run_folder):
    code, out, _ = npgpt("generate", run_folder, "the", "--samples", "4", "--seed", "0",
                         "--stop", "t", "--stop", " ", "--max-new-tokens", "90")
    assert code == 0
    texts = out.removesuffix("\n").split(BETWEEN)
    assert len(texts) == 4 and all(text.startswith("the") for text in texts)
    assert not any("t" in text[3:] or " " in text[3:] for text in texts)


def test_the_prompt_may_follow_the_options(npgpt, run_folder):
    settings = ["--max-new-tokens", "3", "--temperature", "0"]
    expected = npgpt("generate", run_folder, "the dog", *settings)
    assert npgpt("generate", run_folder, *settings, "the dog") == expected
    assert npgpt("generate", *settings, run_folder, "the dog") == expected


def test_a_stop_text_ends_the_writing(npgpt, run_folder):
    code, out, _ = npgpt("generate", run_folder, "the", "--stop", " ", "--stop", "a", "--stop", "e",
                         "--stop", "t", "--stop", "\n", "--max-new-tokens", "90", "--seed", "3")
    assert code == 0 and len(out) < 90


def test_interactive_turns_share_one_text(npgpt, run_folder):
    code, out, err = npgpt("generate", run_folder, "--interactive", "--max-new-tokens", "3",
                           "--seed", "0", stdin=b"the cat\nQ\nsat\n")
    assert code == 0 and len(out.splitlines()) >= 2
    assert "'Q'" in err and err.count("> ") == 4


@pytest.mark.smoke
@pytest.mark.parametrize("arguments, code, says", [
    (["run", ""], 2, "is empty"),
    (["run", "a QUIZ"], 2, "'Q'"),
    (["run", "a\udcff"], 2, "surrogate"),
    (["run", "a", "--temperature", "-1"], 2, "temperature"),
    (["run", "a", "--top-k", "-1"], 2, "0 keeps every token"),
    (["run", "a", "--max-new-tokens", "-1"], 2, "max_new_tokens"),
    (["run", "a", "--file", "b"], 2, "expected one of them"),
    (["run", "--prompts", "a", "--file", "b"], 2, "got both --file and --prompts"),
    (["run", "--prompts", "a", "--interactive"], 2, "leave the prompt out"),
    (["run", "--prompts", "empty.txt"], 2, "empty.txt holds no prompts; expected one a line"),
    (["run", "a", "--samples", "0"], 2, "samples=0"),
    (["run", "a", "--threads", "-2"], 2, "threads=-2 must be an integer of at least 0"),
    (["run", "a", "--interactive"], 2, "leave the prompt out"),
    (["run", "--file", "missing.txt"], 3, "missing.txt"),
    (["nowhere", "a"], 3, "nowhere"),
    (["cache", "a"], 3, "cache"),
])
def test_mistakes_are_one_line(npgpt, run_folder, arguments, code, says):
    Path("empty.txt").write_text("\n \n")
    got, _, err = npgpt("generate", *arguments)
    assert (got, err.count("\n")) == (code, 1) and says in err


def test_a_prompt_file_that_is_no_text_is_named(npgpt, run_folder, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"the \xff")
    code, _, err = npgpt("generate", run_folder, "--file", "bad.txt")
    assert code == 3 and err == "npgpt: bad.txt is not UTF-8 text: invalid byte 0xff at 4\n"


def test_special_tokens_in_a_prompt_are_text_unless_asked_for(npgpt, tmp_path):
    tokenizer = BPETokenizer(learn_vocabulary(["the fox the dog the "], 260))
    config = GPT2Config(vocab_size=tokenizer.vocab_size, n_positions=32, n_embd=8, n_layer=1,
                        n_head=2)
    TextModel(GPT2.init(config, seed=2), tokenizer).save(tmp_path / "own")
    prompt, end = "the<|endoftext|>", ["--max-new-tokens", "3", "--temperature", "0"]
    texts = {}
    for given in ((), ("--special",)):
        code, texts[given], _ = npgpt("generate", "own", prompt, *end, *given)
        ids = tokenizer.encode(prompt, special=bool(given))
        written = GPT2.load(tmp_path / "own").generate(ids, 3, temperature=0)
        expected = prompt + tokenizer.decode(written[len(ids):]) + "\n"
        assert code == 0 and texts[given] == expected
    assert len(tokenizer.encode(prompt)) > len(tokenizer.encode(prompt, special=True))

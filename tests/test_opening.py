import weakref

import numpy as np
import pytest

import npgpt
from npgpt import GPT2, TEXTBOOK, GPT2Config, Tape, TextModel, load, open_model
from npgpt.generation.quantized import Int8
from npgpt.opening import open_int8
from npgpt.text import BPETokenizer, CharTokenizer
from npgpt.text.learned import learn_vocabulary
from npgpt.weights import CheckpointError
from npgpt.weights.assemble import Unread


def test_a_model_is_opened_by_a_path_or_by_text(small_model, tmp_path):
    small_model.save(tmp_path / "model")
    for path in (tmp_path / "model", str(tmp_path / "model")):
        with pytest.raises(CheckpointError, match="brings no tokenizer"):
            open_model(path)


def test_weights_of_gpt_2s_vocabulary_come_with_its_tokenizer(tmp_path):
    config = GPT2Config(vocab_size=50257, n_positions=4, n_embd=4, n_layer=1, n_head=2)
    GPT2.init(config).save(tmp_path / "model")
    with pytest.warns(UserWarning, match="model brings no tokenizer: GPT-2's own is used"):
        model, tokenizer = open_model(tmp_path / "model")
    assert model.config == config and tokenizer.decode(tokenizer.encode("Hello")) == "Hello"


WORDS = "the fox and the dog and the cat. "


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    tokenizer = CharTokenizer.from_text(WORDS)
    config = GPT2Config(vocab_size=tokenizer.vocab_size, n_positions=8, n_embd=8, n_layer=1,
                        n_head=2)
    folder = tmp_path_factory.mktemp("models") / "small"
    TextModel(GPT2.init(config, seed=1), tokenizer).save(folder)
    return load(folder)


@pytest.mark.filterwarnings("ignore:text .* outgrew the context")
def test_text_goes_in_and_text_comes_out_alone_in_batches_and_in_pieces(written):
    assert isinstance(written.tokenizer, CharTokenizer)
    text = written.write("the fox", max_new_tokens=9, seed=1)
    assert len(text) == 16 and text.startswith("the fox")
    ids = written.model.generate(written.tokenizer.encode("the fox"), 9, seed=1)
    assert text == written.tokenizer.decode(ids)
    assert "".join(written.stream("the fox", 9, seed=1)) == text[7:]
    texts = written.write(["the", "a dog"], 4, seed=1)
    assert [len(each) for each in texts] == [7, 9] and texts[1].startswith("a dog")
    assert len(written.write(["the", "a dog"], 4, seed=1, samples=2)) == 4
    stopped = written.write("the fox", 9, seed=1, stop=text[10])
    assert stopped == text[:7] + text[7:].partition(text[10])[0]


def test_the_surprisal_of_every_token_is_that_of_the_loss(written):
    for length in (2, 8, 9, 30):
        text = (WORDS * 2)[:length]
        scores = written.score(text)
        assert "".join(score.token for score in scores) == text and np.isnan(scores[0].nats)
        for t in (1, min(8, length - 1)):
            ids = written.tokenizer.encode(text[:t + 1])
            targets = np.full(t, -100)
            targets[-1] = ids[-1]
            expected = written.model.loss(ids[:-1], targets)
            assert scores[t].nats == pytest.approx(expected, rel=1e-5)
        assert not np.isnan([score.nats for score in scores[1:]]).any()


def test_whoever_mixes_text_and_ids_is_told_the_right_call(written):
    with pytest.raises(ValueError, match=r"got text, 'the'.*npgpt.load\(model\).write\(text\)"):
        written.model.generate("the", 2)
    with pytest.raises(ValueError, match=r"token ids must be integers; got text, 'the'"):
        written.model.logits(["the", "fox"])
    with pytest.raises(ValueError, match="expected text.*got 1; for token ids call .model"):
        written.write([1, 2])
    for empty in ("", ["the", ""]):
        with pytest.raises(ValueError, match="the prompt is empty"):
            written.write(empty)
    with pytest.raises(ValueError, match="for several samples call write"):
        written.stream("the", samples=2)


def test_a_model_a_tape_and_a_var_say_what_they_are(written):
    assert repr(written.model) == (
        "GPT2(1,056 parameters in float32: 1 layers, 2 heads, 8 channels, context 8, "
        "vocabulary 13)")
    assert repr(written) == f"TextModel({written.model!r}, CharTokenizer(vocab_size=13))"
    tape = Tape()
    var = tape.watch(np.ones(3))
    out = TEXTBOOK.gelu(var)
    assert repr(var) == "Var(shape=(3,), dtype=float64)"
    assert repr(out) == "Var(shape=(3,), dtype=float64)"
    assert repr(tape) == "Tape(1 watched, 1 ops recorded)"
    tape.backward(out, np.ones(3))
    assert repr(tape).endswith("played)")


@pytest.mark.parametrize("changes", [
    {}, {"tie_word_embeddings": False}, {"weight_norm": True}, {"norm": "none"},
])
def test_int8_weights_are_read_one_matrix_at_a_time_and_are_those_of_the_model(
    tmp_path, monkeypatch, changes
):
    tokenizer = CharTokenizer.from_text(WORDS)
    config = GPT2Config(vocab_size=tokenizer.vocab_size, n_positions=8, n_embd=8, n_layer=2,
                        n_head=2).replace(**changes)
    model = GPT2.init(config, seed=1)
    TextModel(model, tokenizer).save(tmp_path / "model")
    alive, most = [], 0
    read = Unread.__getitem__

    def watched(params, name):
        nonlocal most
        array = read(params, name)
        assert array.base is None and array.flags.owndata or array.base.base is None
        alive.append(weakref.ref(array))
        most = max(most, sum(1 for each in alive if each() is not None and each().ndim == 2))
        return array

    monkeypatch.setattr(Unread, "__getitem__", watched)
    small, found = open_int8(tmp_path / "model")
    assert found == tokenizer
    if not changes.get("weight_norm"):      # multiplied out first
        assert most == 2                    # the positions, which stay, and one matrix
    ids = tokenizer.encode("the fox")
    expected = model.quantized()
    for name, weight in expected.params.items():
        mine = small.params[name]
        assert type(mine) is type(weight)
        if isinstance(weight, Int8):
            np.testing.assert_array_equal(mine.values, weight.values)
            np.testing.assert_array_equal(mine.scale, weight.scale)
        else:
            np.testing.assert_array_equal(mine, weight)
    np.testing.assert_array_equal(small.generate(ids, 1, seed=1), expected.generate(ids, 1, seed=1))


def test_special_tokens_are_tokens_where_they_are_asked_for(written):
    tokenizer = BPETokenizer(learn_vocabulary([WORDS], 258))
    config = written.model.config.replace(vocab_size=tokenizer.vocab_size)
    model = TextModel(GPT2.init(config, seed=1), tokenizer)
    text = "a<|endoftext|>b"
    assert len(model.score(text)) == 15 and len(model.score(text, special=True)) == 3
    assert model.score([text, "a"])[0] == model.score(text)
    assert model.write(text, 2, special=True, seed=1).startswith(text)
    assert isinstance("".join(model.stream(text, 2, special=True, seed=1)), str)
    for call in (written.write, written.score, written.stream):
        with pytest.raises(ValueError, match="special: the tokenizer char has no special tokens"):
            call("the", special=True)
    for call in (model.write, model.score):
        with pytest.raises(ValueError, match="the list of texts is empty; expected at least one"):
            call([])
    with pytest.raises(ValueError, match=r"got text, 'the'.*npgpt.load\(model\).write\(text\)"):
        model.model.generate("the")


def test_the_package_lists_its_public_names_alone():
    assert sorted(npgpt.__all__) == dir(npgpt)

import pytest

from npgpt import GPT2, GPT2Config, open_model
from npgpt.weights import CheckpointError


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

from __future__ import annotations

import json
from pathlib import Path

import pytest

from npgpt.config import SIZES, GPT2Config
from npgpt.params import parameter_shapes
from npgpt.variants import settings
from npgpt.weights import CheckpointError, convert, load, save, save_book
from npgpt.weights.configs import checked_config, published_size, write_config

from .conftest import SMALL, assert_equal, filled
from .raw import header_of, write_raw
from .test_assemble import HERE, shaped


@pytest.mark.parametrize("name", SIZES)
def test_the_published_sizes_are_known_by_their_shapes(name: str) -> None:
    config = SMALL.replace(**SIZES[name], vocab_size=50257, n_positions=1024)
    found = published_size(HERE, shaped(parameter_shapes(config)))
    assert found == {**SIZES[name], "vocab_size": 50257, "n_positions": 1024}


@pytest.mark.parametrize("values", [
    {"n_layer": 10**30}, {"n_head": 2**40}, {"n_embd": 2**40, "n_head": 7}, {"n_inner": 2**40},
    {"layer_norm_epsilon": 10**400}, {"norm": []}, {"activation_function": {}},
    {"tie_word_embeddings": "yes"}, {"resid_pdrop": float("nan")},
])
def test_forged_fields_are_rejected_at_once(values: dict) -> None:
    with pytest.raises(CheckpointError, match="weights.bin: "):
        checked_config(HERE, values)


def test_a_file_is_read_without_its_config_and_not_with_another_models(
    tmp_path: Path, params
) -> None:
    config = SMALL.replace(n_head=3, activation_function="relu")
    save(tmp_path / "a.safetensors", config, params)
    save(tmp_path / "b.safetensors", SMALL, filled(SMALL, 1))         # its config.json replaces a's
    assert_equal(load(tmp_path / "b.safetensors")[1], filled(SMALL, 1))
    with pytest.raises(CheckpointError, match="describes another model than a.safetensors") as e:
        load(tmp_path / "a.safetensors")
    assert "n_head=2 (written with 3), activation_function=gelu_new (written with relu)" in str(
        e.value
    )
    text = json.dumps({**config.to_dict(), "n_head": "3"})
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"n_head='3' \(written with 3\)"):
        load(tmp_path / "a.safetensors")
    (tmp_path / "config.json").unlink()
    assert load(tmp_path / "a.safetensors")[0] == config
    # what touches training alone may be changed
    write_config(tmp_path / "config.json", config.replace(resid_pdrop=0.5))
    assert load(tmp_path / "a.safetensors")[0].resid_pdrop == 0.5
    save_book(tmp_path / "book" / "c.safetensors", SMALL, params)
    (tmp_path / "book" / "config.json").unlink()
    config, loaded = load(tmp_path / "book")
    assert config == SMALL
    assert_equal(loaded, params)


@pytest.mark.parametrize("note", ["[]", "{", "\ud800", '{"n_layer": 3}', "{}"])
def test_a_note_in_the_header_is_no_more_trusted_than_a_file(
    tmp_path: Path, params, note: str
) -> None:
    header = {**header_of(params), "__metadata__": {"npgpt.config": note}}
    write_raw(tmp_path / "m.safetensors", params, header)
    with pytest.raises(CheckpointError):
        load(tmp_path)
    header["__metadata__"] = {"npgpt.config": json.dumps(SMALL.to_dict())}
    write_raw(tmp_path / "m.safetensors", params, header)
    assert_equal(load(tmp_path)[1], params)


def test_a_description_of_gigabytes_is_not_read(tmp_path: Path, params) -> None:
    save(tmp_path, SMALL, params)
    with (tmp_path / "config.json").open("r+b") as file:
        file.truncate(2**33)
    with pytest.raises(CheckpointError, match="config.json is too large"):
        load(tmp_path)


def test_a_tie_that_is_not_a_boolean_is_rejected(tmp_path: Path, params) -> None:
    write_raw(tmp_path / "model.safetensors", params)
    values = {**SMALL.to_dict(), "tie_word_embeddings": "yes"}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(
        CheckpointError, match="config.json: tie_word_embeddings=yes must be true or false"
    ):
        load(tmp_path)


def test_a_saved_config_reads_back_as_it_was(tmp_path):
    config = GPT2Config(n_layer=3, norm="none", n_inner=7, activation_function="swiglu")
    write_config(tmp_path / "config.json", config)
    values = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert values["model_type"] == "npgpt" and values["n_inner"] == 7
    assert GPT2Config.from_dict(values, ignore_unknown=True) == config
    assert GPT2Config.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("vocab_size, token", [(13, None), (50256, None), (50257, 50256),
                                               (50304, 50256)])
def test_the_end_of_text_is_written_only_where_the_vocabulary_has_it(tmp_path, vocab_size, token):
    write_config(tmp_path / "config.json", GPT2Config(vocab_size=vocab_size))
    values = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert values["bos_token_id"] == token and values["eos_token_id"] == token


NOTED = SMALL.replace(n_head=3, activation_function="relu", layer_norm_epsilon=1e-3,
                      resid_pdrop=0.0, attn_pdrop=0.25, n_inner=24)


def rewritten(folder: Path, values: dict) -> Path:
    # with the mark that some editors on Windows put at the beginning
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8-sig")
    return folder


@pytest.mark.parametrize("key", [*NOTED.to_dict()])
def test_a_key_that_config_json_lacks_is_taken_from_the_note_of_the_weights(
    tmp_path: Path, key: str
) -> None:
    params = filled(NOTED)
    save(tmp_path, NOTED, params)
    values = json.loads((tmp_path / "config.json").read_text())
    values.pop(key, None)
    assert load(rewritten(tmp_path, values))[0] == NOTED


def test_a_plain_gpt2_is_written_with_gpt2s_own_keys_alone(tmp_path: Path) -> None:
    save(tmp_path, NOTED, filled(NOTED), others={"reorder_and_upcast_attn": True})
    values = json.loads((tmp_path / "config.json").read_text())
    assert not {*settings()} & {*values} and values["reorder_and_upcast_attn"] is True
    convert(tmp_path, tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text()) == values


@pytest.mark.parametrize("changes, message", [
    ({"n_layer": 3}, "config.json: says n_layer=3, the file has 2 blocks"),
    ({"vocab_size": 14, "n_positions": 9}, "says vocab_size=14, wte.weight has 13 rows; "
                                           "says n_positions=9, wpe.weight has 5 rows"),
])
def test_a_size_that_the_weights_do_not_have_is_said_of_config_json(
    tmp_path: Path, changes: dict, message: str
) -> None:
    config = SMALL.replace(n_layer=2, vocab_size=13, n_positions=5)
    write_raw(tmp_path / "model.safetensors", filled(config))
    write_config(tmp_path / "config.json", config.replace(**changes))
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


def test_keys_that_ask_for_nothing_are_accepted(tmp_path: Path) -> None:
    save(tmp_path, NOTED, filled(NOTED))
    values = json.loads((tmp_path / "config.json").read_text())
    values |= {"_attn_implementation": "sdpa", "unsloth_version": "1", "use_return_dict": True,
               "pretraining_tp": 1, "rotary": False, "whatever": None}
    assert load(rewritten(tmp_path, values))[0] == NOTED
    with pytest.raises(CheckpointError, match="pretraining_tp=2 is not supported, only 1 is"):
        load(rewritten(tmp_path, values | {"pretraining_tp": 2}))


@pytest.mark.parametrize("key, ours", [
    ("num_attention_heads", "n_head"), ("num_hidden_layers", "n_layer"),
    ("hidden_size", "n_embd"), ("max_position_embeddings", "n_positions"),
])
def test_an_alias_of_transformers_is_read_as_the_key_that_it_stands_for(
    tmp_path: Path, params, key: str, ours: str
) -> None:
    write_raw(tmp_path / "model.safetensors", params)
    values = SMALL.to_dict()
    both = {**values, key: values[ours]}
    del values[ours]
    alone = {**values, key: both[key]}
    for given in (both, alone):
        assert load(rewritten(tmp_path, given))[0] == SMALL
    with pytest.raises(CheckpointError, match=f"config.json: {ours}=.*, but {key}=1"):
        load(rewritten(tmp_path, {**both, key: 1}))


@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("wrong, right", [
    ("n_heads", "n_head"), ("num_head", "n_head"), ("n_layers", "n_layer"),
    ("activation_func", "activation_function"), ("layer_norm_eps", "layer_norm_epsilon"),
    ("tie_word_embedding", "tie_word_embeddings"), ("modeltype", "model_type"),
    ("scale_attn_weight", "scale_attn_weights"), ("weight_nrom", "weight_norm"),
])
def test_a_mistyped_key_is_an_error_that_names_the_right_one(
    tmp_path: Path, params, wrong: str, right: str, noted: bool
) -> None:
    save(tmp_path, SMALL, params)
    if not noted:
        write_raw(tmp_path / "model.safetensors", params)
    values = json.loads((tmp_path / "config.json").read_text())
    values[wrong] = values.pop(right, True)
    with pytest.raises(
        CheckpointError, match=f"config.json: unknown key {wrong} .did you mean '{right}'"
    ):
        load(rewritten(tmp_path, values))


def test_without_a_number_of_heads_there_is_no_model(tmp_path: Path, params) -> None:
    write_raw(tmp_path / "model.safetensors", params)
    values = SMALL.to_dict()
    del values["n_head"]
    with pytest.raises(CheckpointError, match="config.json: lacks n_head"):
        load(rewritten(tmp_path, values))


def test_published_keys_that_change_no_number_are_ignored(tmp_path: Path, params) -> None:
    write_raw(tmp_path / "model.safetensors", params)
    values = {name: value for name, value in SMALL.to_dict().items()
              if name in ("n_embd", "n_head", "n_layer", "n_positions", "vocab_size")}
    values |= dict.fromkeys(OTHERS, 7)
    assert load(rewritten(tmp_path, values))[0] == SMALL


# what transformers and programs around it have written beside the fields that npgpt knows
OTHERS = """
    _name_or_path _num_labels additional_special_tokens architectures attention_dropout
    attn_implementation auto_map bad_words_ids begin_suppress_tokens bos_token_id
    chunk_size_feed_forward decoder_start_token_id diversity_penalty
    do_sample dtype early_stopping encoder_no_repeat_ngram_size eos_token_id
    exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id
    gradient_checkpointing id2label initializer_factor is_decoder
    keys_to_ignore_at_inference label2id length_penalty line_by_line max_length min_length n_ctx
    n_special no_repeat_ngram_size num_beam_groups num_beams num_labels num_return_sequences
    output_attentions output_hidden_states output_past output_scores pad_token_id
    predict_special_tokens prefix problem_type reorder_and_upcast_attn
    remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id
    summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj
    suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder
    tokenizer_class top_k top_p torch_dtype torchscript transformers_version typical_p use_bfloat16
    use_cache xla_device
""".split()

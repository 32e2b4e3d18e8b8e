"""Every public function with right arguments, and the wrong values that each argument is tried on.

`RIGHT` lists which of the wrong values are right for which argument all the same.
benchmarks/api.py has the list of public names.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np

import npgpt
from npgpt import FAST, GPT2, TEXTBOOK, EntropyPenalty, GPT2Config, Tape, doctor, packs, weights
from npgpt.book import (
    GPT_CONFIG_124M,
    TorchGenerator,
    gpt2,
    replay,
    replay_section,
    replay_training,
)
from npgpt.doctor.evidence.subject import Subject
from npgpt.evaluation.choices import Question, read_questions, score_questions
from npgpt.evaluation.continuations import score_continuations
from npgpt.evaluation.last_word import read_passages, score_last_words
from npgpt.evaluation.text import score_text
from npgpt.generation import LanguageModel, Sampling, StopGuard
from npgpt.lab.runner import run_study
from npgpt.lab.study import load_study
from npgpt.machine import tune
from npgpt.machine.threads import get_threads
from npgpt.probe.entropy import attention_entropy, causal_bound, quartiles
from npgpt.probe.trace import first_break, trace
from npgpt.text import (
    BPETokenizer,
    CharTokenizer,
    StreamDecoder,
    cache_folder,
    load_corpus,
    tokenizer_from_dict,
)
from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.curves import plot, read_curves
from npgpt.training.loop import new_state, train
from npgpt.training.settings import resolve
from npgpt.training.step.adamw import adamw_reference
from npgpt.training.step.gradients import loss_and_grads
from npgpt.verify import verify


class Call(NamedTuple):
    """A public function and right arguments."""

    name: str
    function: Callable[..., Any]
    right: dict[str, Any]


def wrong_values() -> dict[str, Any]:
    """What no argument should be without a word; a fresh copy of each."""
    return {
        "None": None, "True": True, "-1": -1, "0": 0, "2**63": 2**63, "10**400": 10**400,
        "1e-320": 1e-320, "1.5": 1.5, "nan": float("nan"), "inf": float("inf"), "1j": 1j,
        "''": "", "b'x'": b"x", "[]": [], "[[]]": [[]], "{}": {}, "object": object(),
        "function": lambda *given, **settings: None, "ragged": [[1, 2], [3]],
        "complex": np.ones(3, complex), "objects": np.array([object()] * 3),
        "dates": np.array(["2020-01-01"] * 3, "M8[D]"), "strings": np.array(["a", "b", "c"]),
        "3-d": np.ones((2, 3, 4)), "0-d": np.array(1), "0-d float": np.array(1.0),
        "empty": np.zeros(0), "empty rows": np.zeros((0, 3), int), "huge id": [2**70],
        "negative id": [-5], "uint64": np.array([2**64 - 1], np.uint64),
        "booleans": np.array([True, False]), "int8": np.int8(3), "very long": "y" * 5000,
    }


# the words for an argument in a message that does not have its name
WORDS = {
    "dout": ("inhomogeneous",),
    "ids": ("token ids", "prompt", "a text"), "params": ("parameters",), "config": ("GPT2Config",),
    "characters": ("text", "character tokenizer"), "name": ("GPT-2 size",),
    "record": ("tokenizer",), "x": ("inputs",), "text": ("character",), "entropies": ("entropy",),
    "what": ("study",), "chapters": ("chapter",), "values": ("setting", "watch"), "to": ("form",),
    "strings": ("stop strings",), "name_or_path": ("corpus", "is not a path"), "cfg": ("keys",),
    "subject": ("Subject",), "questions": ("question",), "passages": ("passage",),
    "pairs": ("pair", "context"), "encode": ("context",),
    "target": ("is not a file",), "path": ("no such file", "name too long"), "result": ("Var",),
}
# by what is right: where it is right. Large numbers are right for a config, which allocates nothing
_RIGHT = {
    "0|2**63|1e-320|1.5|int8":
        "EntropyPenalty penalty, GPT2Config lora_alpha, generate temperature, session temperature, "
        "Sampling temperature",
    "0|1e-320":
        "EntropyPenalty tolerance, EntropyPenalty target, GPT2Config resid_pdrop, GPT2Config "
        "embd_pdrop, GPT2Config attn_pdrop, GPT2Config.replace resid_pdrop, load_corpus "
        "val_fraction",
    "0|2**63|10**400|int8":
        "GPT2.init seed, GPT2Config lora_rank, GPT2Config n_labels, check_scalar seed, examine "
        "seed, examine_file seed, write_pack seed",
    "None":
        "GPT2.load dtype, GPT2.loss_and_grads rng, score_text token_bytes, Tape.backward result, "
        "weights.load dtype, weights.convert dtype, resolve preset, resolve file, loss_and_grads "
        "rng",
    "None|int8":
        "GPT2.loss_and_grads threads, score_text window, score_text stride, loss_and_grads "
        "threads, tune threads",
    "2**63|10**400|int8":
        "GPT2Config vocab_size, GPT2Config n_positions, GPT2Config n_layer, GPT2Config.named "
        "n_layer, GPT2Config.replace n_layer, score_continuations batch_size, "
        "score_last_words batch_size",
    "2**63|10**400": "GPT2Config n_embd",
    "None|2**63|10**400|int8": "GPT2Config n_inner, loss_and_grads shards",
    "None|0|2**63|10**400|int8":
        "generate seed, stream seed, session seed, generate top_k, Sampling top_k",
    "2**63|1e-320|1.5|int8":
        "GPT2Config layer_norm_epsilon, GPT2Config initializer_range, generate "
        "repetition_penalty, Sampling repetition_penalty, quartiles largest",
    "True":
        "GPT2Config tie_word_embeddings, GPT2Config final_norm, GPT2Config qkv_bias, "
        "GPT2Config scale_residual_init, GPT2Config slope_decay, GPT2Config frozen_biases, "
        "GPT2Config weight_norm, GPT2Config residual, GPT2Config scale_attn_weights, "
        "GPT2Config scale_attn_by_inverse_layer_idx, GPT2Config.from_dict ignore_unknown, "
        "BPETokenizer.encode special, generate speculate, loss_and_grads recompute",
    "-1|0|2**63|1e-320|1.5|int8":
        "GPT2Config slope_init, adamw_reference lr, adamw_reference eps, adamw_reference "
        "weight_decay, adamw_reference grad_scale",
    "{}":
        "GPT2Config.from_dict values, adamw_reference params, check_scalar params, "
        "check_scalar grads",
    "very long": "CharTokenizer.from_text text",
    "function": "generate decode",
    "None|function":
        "load_corpus report, generate on_slide, complete on_token, session on_slide, score_text "
        "on_progress, score_questions on_progress, score_continuations on_progress, "
        "score_last_words on_progress",
    "1e-320|1.5|nan|inf|1j|[]|[[]]|{}|complex|3-d|0-d float|empty": "Tape.watch values",
    "complex": "Tape.backward dout",
    "''|very long":
        "BPETokenizer.encode text, BPETokenizer.safe_cut text, CharTokenizer.safe_cut text",
    "[]": "BPETokenizer.decode ids, CharTokenizer.decode_bytes ids",
    "''": "CharTokenizer.encode text, GPT2Config lora_on",
    "0|int8":
        "StreamDecoder.add ids, generate max_new_tokens, complete max_new_tokens, stream "
        "max_new_tokens, session max_new_tokens",
    "None|very long": "cache_folder given, load_corpus cache_dir",
    "ragged": "generate ids, complete ids, stream ids",
    "None|1e-320": "generate top_p, Sampling top_p",
    "None|0|1e-320": "generate min_p, Sampling min_p",
    "''|0|int8|[]|{}|empty|empty rows": "generate stop_ids",
    "[]|{}|strings|empty|empty rows|very long": "generate stop, StopGuard strings",
    "int8":
        "generate samples, stream samples, score_text batch_size, score_text workers, "

        "causal_bound length, adamw_reference step",
    "None|0|int8": "score_text start_id",
    "3-d": "attention_entropy weights",
    "-1|0|2**63|1e-320|1.5|nan|inf|3-d|0-d|0-d float|negative id|uint64|int8":
        "quartiles entropies",
    "None|{}": "resolve flags, examine_file shapes",
    "None|True|-1|0|2**63|1e-320|1.5|nan|inf|[]|[[]]|3-d|0-d|0-d float|empty|empty rows|"
    "negative id|uint64|booleans|int8":
        "check x, check_function x, check_layer x",
    "True|-1|0|2**63|1e-320|1.5|nan|inf|[]|[[]]|3-d|0-d|0-d float|empty|empty rows|negative id|"
    "uint64|booleans|int8": "check_loss x",
    "-1|0|2**63|int8": "TorchGenerator seed, gpt2 of the book seed",
    "''|[]": "replay chapters, score_continuations pairs",
    "''|b'x'|[]|[[]]|{}|ragged|complex|objects|dates|strings|3-d|empty|empty rows|huge id|"
    "negative id|uint64|booleans|very long": "adamw_reference decay_names",
}
RIGHT = {argument: values.split("|") for values, arguments in _RIGHT.items()
         for argument in arguments.split(", ")}


class Square:
    """A layer as an object."""

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * x

    def backward(self, dout: Any) -> Any:
        return 2 * dout * self.x


def library_calls(folder: Path) -> list[Call]:
    """The calls, on files that are made in `folder`."""
    config = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=1, n_head=4)
    model = GPT2.init(config)
    params, ids = model.params, np.array([[1, 2, 3], [4, 5, 6]])
    model.save(folder / "model")
    book_config = config.replace(tie_word_embeddings=False)
    book_params = GPT2.init(book_config).params
    text, questions, op_file = folder / "text.txt", folder / "q.jsonl", folder / "op.py"
    passages = folder / "passages.txt"
    passages.write_text("the cat sat\n")
    text.write_text("the cat sat on the mat. " * 100)
    questions.write_text('{"ctx": "the cat", "endings": ["sat", "mat"], "label": 0}\n')
    op_file.write_text("# gradcheck: x=(2,3)\ndef square_forward(x): return x * x, x\n"
                       "def square_backward(dout, x): return (2 * dout * x,)\n")
    corpus = load_corpus(text, cache_dir=folder / "cache")
    run = resolve("python-docs", None, {
        "corpus": str(text), "max_steps": 1, "n_layer": 1, "n_head": 1, "n_embd": 4,
        "n_positions": 4, "eval_batches": 1, "sample_every": 0, "batch_size": 2})
    state = new_state(run, corpus)
    train(folder / "run", state, corpus)
    packs.write_pack(folder / "pack", packs.tiny_config())
    small_book = {**GPT_CONFIG_124M, "vocab_size": 11, "n_layers": 1, "emb_dim": 4, "n_heads": 2,
                  "context_length": 4}
    bpe, chars = BPETokenizer(), corpus.tokenizer

    def forward(x: Any) -> Any:
        return x * x, x

    def backward(dout: Any, x: Any) -> Any:
        return (2 * dout * x,)

    def backward_of_a_tape(result: Any, dout: Any) -> Any:
        tape = Tape()
        out = TEXTBOOK.gelu(tape.watch(np.ones(3)))
        return tape.backward(out if result is None else result, dout)

    def session(seed: Any, on_slide: Any, ids: Any, max_new_tokens: Any, temperature: Any) -> Any:
        session = model.session(seed=seed, on_slide=on_slide)
        session.extend(ids)
        return list(zip(session.reply(max_new_tokens, temperature=temperature), range(2)))

    def stream(**settings: Any) -> Any:
        return list(zip(model.stream(**settings, on_slide=lambda row: None), range(2)))

    def tune_for_now(threads: Any) -> None:
        before = get_threads()
        try:
            tune(threads)
        finally:
            tune(before)

    ones = {"a": np.ones(3)}
    return [
        Call("EntropyPenalty", EntropyPenalty, {"penalty": 0.1, "tolerance": 0.2, "target": 0.5}),
        Call("GPT2", GPT2, {"config": config, "params": params, "ops": FAST}),
        Call("GPT2.init", GPT2.init, {"config": config, "seed": 0, "dtype": "float32"}),
        Call("GPT2.load", GPT2.load, {"path": folder / "model", "dtype": "float32"}),
        Call("GPT2.save", model.save, {"path": folder / "saved"}),
        Call("GPT2.logits", model.logits, {"ids": ids}),
        Call("GPT2.loss", model.loss, {"ids": ids, "targets": ids}),
        Call("GPT2.loss_and_grads", model.loss_and_grads,
             {"ids": ids, "targets": ids, "rng": np.random.default_rng(0), "threads": 1}),
        Call("GPT2Config", GPT2Config, dict(vars(config))),
        Call("GPT2Config.named", GPT2Config.named, {"name": "gpt2", "n_layer": 1}),
        Call("GPT2Config.from_dict", GPT2Config.from_dict,
             {"values": config.to_dict(), "ignore_unknown": False}),
        Call("GPT2Config.replace", config.replace, {"n_layer": 3, "resid_pdrop": 0.1}),
        Call("Tape.watch", lambda values: Tape().watch(values), {"values": np.ones(3)}),
        Call("Tape.backward", backward_of_a_tape, {
            "result": None, "dout": np.ones(3)}),
        Call("open_model", npgpt.open_model, {"path": folder / "run"}),
        Call("BPETokenizer.encode", bpe.encode, {"text": "a b", "special": False}),
        Call("BPETokenizer.decode", bpe.decode, {"ids": [1, 2]}),
        Call("BPETokenizer.safe_cut", bpe.safe_cut, {"text": "a b"}),
        Call("CharTokenizer", CharTokenizer, {"characters": "abc"}),
        Call("CharTokenizer.from_text", CharTokenizer.from_text, {"text": "abc"}),
        Call("CharTokenizer.encode", chars.encode, {"text": "the"}),
        Call("CharTokenizer.decode_bytes", chars.decode_bytes, {"ids": [1, 2]}),
        Call("CharTokenizer.safe_cut", chars.safe_cut, {"text": "the"}),
        Call("StreamDecoder", StreamDecoder, {"tokenizer": bpe}),
        Call("StreamDecoder.add", lambda ids: StreamDecoder(bpe).add(ids), {"ids": 1}),
        Call("tokenizer_from_dict", tokenizer_from_dict, {"record": chars.to_dict()}),
        Call("cache_folder", cache_folder, {"given": folder}),
        Call("load_corpus", load_corpus, {
            "name_or_path": text, "tokenizer": "char", "val_fraction": 0.1,
            "cache_dir": folder / "other", "report": None}),
        Call("weights.load", weights.load, {"path": folder / "model", "dtype": "float32"}),
        Call("weights.save", weights.save,
             {"path": folder / "hf", "config": config, "params": params}),
        Call("weights.save_book", weights.save_book,
             {"path": folder / "book", "config": book_config, "params": book_params}),
        Call("weights.save_llmc", weights.save_llmc,
             {"path": folder / "llmc.bin", "config": config, "params": params}),
        Call("weights.convert", weights.convert, {
            "src": folder / "model", "dst": folder / "converted", "to": "hf", "dtype": "float32"}),
        Call("LanguageModel", LanguageModel, {"config": config, "params": params, "ops": FAST}),
        Call("generate", model.generate, {
            "ids": [1, 2], "max_new_tokens": 2, "temperature": 1.0, "top_k": 3, "top_p": 0.9,
            "min_p": 0.1, "repetition_penalty": 1.1, "stop_ids": [3], "stop": "x", "decode": str,
            "speculate": False, "seed": 0, "samples": 1, "on_slide": None}),
        Call("complete", model.complete, {"ids": [1, 2], "max_new_tokens": 2, "on_token": None}),
        Call("stream", stream, {"ids": [1, 2], "max_new_tokens": 2, "samples": 1, "seed": 0}),
        Call("session", session, {"seed": 0, "on_slide": None, "ids": [1, 2], "max_new_tokens": 2,
                                  "temperature": 1.0}),
        Call("Sampling", Sampling, {"temperature": 1.0, "top_k": 3, "top_p": 0.9, "min_p": 0.1,
                                    "repetition_penalty": 1.1}),
        Call("StopGuard", StopGuard, {"strings": ["x"]}),
        Call("score_text", score_text, {
            "params": params, "config": config, "ids": [1, 2, 3], "window": 3, "stride": 2,
            "start_id": 1, "token_bytes": [1] * 11, "batch_size": 1, "workers": 1,
            "ops": TEXTBOOK, "on_progress": None}),
        Call("read_questions", lambda path: list(read_questions(path)), {"path": questions}),
        Call("score_questions", score_questions, {
            "params": params, "config": config, "questions": [Question("a", ("b", "c"), 0)],
            "encode": lambda text: [1], "ops": TEXTBOOK, "on_progress": None}),
        Call("read_passages", lambda path: list(read_passages(path)), {"path": passages}),
        Call("score_continuations", score_continuations, {
            "params": params, "config": config, "pairs": [([1], [2])], "ops": TEXTBOOK,
            "batch_size": 1, "on_progress": None}),
        Call("score_last_words", score_last_words, {
            "params": params, "config": config, "passages": ["a b"], "encode": lambda text: [1],
            "ops": TEXTBOOK, "batch_size": 1, "on_progress": None}),
        Call("trace", trace, {"params": params, "ids": ids, "targets": ids, "config": config}),
        Call("first_break", first_break, {"params": params, "ids": ids, "targets": ids,
                                          "config": config, "ops": TEXTBOOK}),
        Call("attention_entropy", attention_entropy, {"weights": np.full((2, 2), 0.5)}),
        Call("causal_bound", causal_bound, {"length": 3}),
        Call("quartiles", quartiles, {"entropies": [0.1, 0.2], "largest": 1.0}),
        Call("resolve", resolve, {"preset": "python-docs", "file": None, "flags": {}}),
        Call("verify", verify, {"given": folder / "model"}),
        Call("new_state", new_state, {"run": run, "corpus": corpus}),
        Call("train", train, {"run_folder": folder / "run", "state": state, "corpus": corpus}),
        Call("plot", lambda run: plot(run), {"run": folder / "run"}),
        Call("read_curves", read_curves, {"run": folder / "run"}),
        Call("load_checkpoint", load_checkpoint, {"path": folder / "run"}),
        Call("loss_and_grads", loss_and_grads, {
            "params": params, "ids": ids, "targets": ids, "config": config, "ops": FAST,
            "rng": None, "threads": 1, "shards": 1, "recompute": False}),
        Call("adamw_reference", lambda **given: adamw_reference(**copy.deepcopy(given)), {
            "params": ones, "grads": ones, "m": ones, "v": ones, "step": 1, "lr": 0.1,
            "betas": (0.9, 0.99), "eps": 1e-8, "decay_names": ["a"], "weight_decay": 0.1,
            "grad_scale": 1.0}),
        Call("tune", tune_for_now, {"threads": 2}),
        Call("check", lambda x: doctor.check(forward, backward, x), {"x": np.ones(3)}),
        Call("check_function", lambda x: doctor.check_function(
            lambda x: (x * x).sum(), lambda x: 2 * x, x), {"x": np.ones(3)}),
        Call("check_layer", lambda x: doctor.check_layer(Square(), x), {"x": np.ones(3)}),
        Call("check_loss", lambda x: doctor.check_loss(
            lambda x: ((x * x).sum(), 2 * x), x), {"x": np.ones(3)}),
        Call("check_scalar", lambda **given: doctor.check_scalar(
            lambda p: (p["a"] ** 2).sum() if "a" in p else 0.0, **given),
             {"params": ones, "grads": ones, "seed": 0}),
        Call("examine", doctor.examine,
             {"subject": Subject(forward, backward, (np.ones(3),), {}), "seed": 0}),
        Call("examine_file", doctor.examine_file, {"target": op_file, "shapes": {}, "seed": 0}),
        Call("compare_packs", packs.compare_packs,
             {"ours": folder / "pack", "theirs": folder / "pack"}),
        Call("listed", packs.listed, {"path": folder / "pack"}),
        Call("read_pack", packs.read_pack, {"path": folder / "pack"}),
        Call("reader", packs.reader, {"language": "c"}),
        Call("write_pack", packs.write_pack,
             {"folder": folder / "pack2", "config": packs.tiny_config(), "seed": 0}),
        Call("load_study", load_study, {"what": "small"}),
        Call("run_study", lambda study: run_study(folder, study, reporter=None), {"study": None}),
        Call("TorchGenerator", TorchGenerator, {"seed": 1}),
        Call("gpt2 of the book", gpt2,
             {"cfg": small_book, "seed": 1, "dtype": "float32", "ops": FAST}),
        Call("replay", lambda chapters: replay(chapters, lambda line: None), {"chapters": [3]}),
        Call("replay_section", lambda section: replay_section(section, lambda line: None),
             {"section": "3.5"}),
        Call("replay_training", replay_training, {"epochs": 1}),
    ]

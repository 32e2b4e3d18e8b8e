"""The words of error messages: what was given, on one line, and the name that was meant.

A name may be mistyped, or right in another project: ELSEWHERE has what nanoGPT, llm.c, gpt-2, the
book, llama.cpp and transformers call things.
"""

from __future__ import annotations

import difflib
from typing import Iterable


def one_line(text: str, longest: int | None = None) -> str:
    """A text from outside, such as a file or a server, as it may be printed.

    Line breaks and control characters, which could steer a terminal, become spaces; what is beyond
    `longest` characters is left out.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if longest is None or len(text) <= longest else f"{text[:longest - 3]}..."


def shown(value: object, longest: int = 60) -> str:
    """The repr of a value on one line, cut to `longest` characters."""
    try:
        return one_line(repr(value), longest)
    except Exception:       # the caller's own repr; an int of too many digits
        return f"a value of type {type(value).__name__}"


def did_you_mean(word: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """` (did you mean 'relu'?)` for the nearest of the known names; empty if none is near.

        raise ValueError(f"unknown activation {word!r}{did_you_mean(word, ACTIVATIONS)}")

    For another project's name of a known one it is ` (here 'n_positions')`. `cutoff` is how alike
    two names must be, as difflib measures it: 1 is equal.
    """
    known = list(known)
    names, remark = elsewhere(word, known)
    if names:
        return f" ({remark})" if remark else f" (here {' and '.join(map(repr, names))})"
    # a longer word is like none of them, and comparing it takes long
    text = word if isinstance(word, str) else shown(word)
    near = difflib.get_close_matches(text[:100], known, n=1, cutoff=cutoff)
    return f" (did you mean {near[0]!r}?)" if near else ""


def elsewhere(word: object, known: Iterable[str]) -> tuple[list[str], str]:
    """The known names for what other projects call `word`, [] if there are none, and a remark.

    Names may be options, --n-positions, on either side. Without a remark both mean the same.
    """
    ours, remark = ELSEWHERE.get(_plain(word), ("", ""))
    by_name = {_plain(name): name for name in known}
    names = [by_name[name] for name in ours.split() if name in by_name]
    return (names, remark) if len(names) == len(ours.split()) else ([], "")


def _plain(name: object) -> str:
    return name.lstrip("-").replace("-", "_").lower() if isinstance(name, str) else ""


def unknown(what: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is none of the known ones: the nearest of them, and all."""
    known = list(known)
    return ValueError(f"unknown {what} {shown(name)}{did_you_mean(name, known)}; "
                      f"expected one of {', '.join(known)}")


_CPU = ("threads", "npgpt computes on the CPU; leave it out")
_BEAMS = ("temperature", "there is no beam search; leave it out")
_LOG = ("max_steps", "every step is logged; leave it out")
_MODEL = ("model", "not an option: MODEL stands first")
_PROMPT = ("prompt", "not an option: PROMPT follows MODEL")
_TYPE = ("dtype", "dtype is float32 or float64")
# what others call it: our name or names, and a remark where it is not quite the same; where ours
# are not known, neither is the other's
ELSEWHERE = {
    # verbs of the command line
    "sample": ("generate", ""), "chat": ("generate", "generate --interactive"),
    "download": ("pull", ""), "export": ("convert", ""), "info": ("inspect", ""),
    "curves": ("plot", ""), "test": ("gradcheck", ""),
    "finetune": ("train", "train --from MODEL"),
    # the model: nanoGPT, the book, transformers
    "block_size": ("n_positions", ""), "context_length": ("n_positions", ""),
    "n_ctx": ("n_positions", ""), "max_position_embeddings": ("n_positions", ""),
    "emb_dim": ("n_embd", ""), "hidden_size": ("n_embd", ""), "d_model": ("n_embd", ""),
    "num_layers": ("n_layer", ""), "num_hidden_layers": ("n_layer", ""),
    "num_heads": ("n_head", ""), "num_attention_heads": ("n_head", ""),
    "intermediate_size": ("n_inner", ""), "hidden_act": ("activation_function", ""),
    "dropout": ("resid_pdrop embd_pdrop attn_pdrop", ""),
    "drop_rate": ("resid_pdrop embd_pdrop attn_pdrop", ""),
    "bias": ("qkv_bias frozen_biases", "qkv_bias and frozen_biases choose some of the biases"),
    # training: nanoGPT, llm.c, transformers
    "dataset": ("corpus", ""), "out_dir": ("out", ""), "output_dir": ("out", ""),
    "input_bin": ("corpus", "corpus is text: files of tokens are not read"),
    "resume_from_checkpoint": ("resume", ""),
    "lr": ("learning_rate", ""), "min_lr": ("min_learning_rate", ""),
    "learning_rate_decay_frac": ("min_learning_rate", "min_learning_rate is a rate, no fraction"),
    "lr_decay_iters": ("decay_steps", ""), "warmup_iters": ("warmup_steps", ""),
    "lr_scheduler_type": ("decay_steps", "rates warm up linearly and decay as a cosine"),
    "decay_lr": ("min_learning_rate", "a min_learning_rate of learning_rate switches decay off"),
    "max_iters": ("max_steps", ""), "num_iterations": ("max_steps", ""),
    "num_train_epochs": ("max_steps", "max_steps counts optimiser steps, not epochs"),
    "epochs": ("max_steps", "max_steps counts optimiser steps, not epochs"),
    "per_device_train_batch_size": ("batch_size", ""),
    "total_batch_size": ("grad_accumulation", "grad_accumulation times batch_size sequences"),
    "gradient_accumulation_steps": ("grad_accumulation", ""),
    "adam_beta1": ("beta1", ""), "adam_beta2": ("beta2", ""), "max_grad_norm": ("grad_clip", ""),
    "eval_interval": ("eval_every", ""), "eval_steps": ("eval_every", ""),
    "val_loss_every": ("eval_every", ""), "eval_iters": ("eval_batches", ""),
    "val_max_steps": ("eval_batches", ""), "save_steps": ("checkpoint_every", ""),
    "save_total_limit": ("keep_checkpoints", ""), "gradient_checkpointing": ("recompute", ""),
    "log_interval": _LOG, "logging_steps": _LOG, "wandb_log": _LOG,
    "always_save_checkpoint": ("checkpoint_every", "checkpoint_every says how often one is saved"),
    "device": _CPU, "backend": _CPU, "compile": _CPU, "fp16": _TYPE, "bf16": _TYPE,
    # llm.c's letters, which are answered and not read: other programs mean other things
    "i": ("corpus", "corpus is text: files of tokens are not read"), "o": ("out", ""),
    "b": ("batch_size", ""), "t": ("sequence_length", ""), "l": ("learning_rate", ""),
    "u": ("warmup_steps", ""), "x": ("max_steps", ""), "v": ("eval_every", ""),
    "m": ("eval_batches", ""), "s": ("sample_every", ""), "g": ("sample_tokens", ""),
    "c": ("weight_decay", ""), "y": ("resume", ""),
    # generation: gpt-2, nanoGPT, llama.cpp, transformers
    "nsamples": ("samples", ""), "num_samples": ("samples", ""),
    "num_return_sequences": ("samples", ""), "length": ("max_new_tokens", ""),
    "max_tokens": ("max_new_tokens", ""), "n_predict": ("max_new_tokens", ""),
    "max_length": ("max_new_tokens", "max_new_tokens does not count the prompt"),
    "temp": ("temperature", ""), "repeat_penalty": ("repetition_penalty", ""),
    "do_sample": ("temperature", "temperature 0 is greedy, and above 0 samples"),
    "num_beams": _BEAMS, "early_stopping": _BEAMS, "length_penalty": _BEAMS,
    "typical_p": ("min_p top_p", "min_p or top_p does the like"),
    "eos_token_id": ("stop_ids", ""), "stop_strings": ("stop", ""),
    "start": _PROMPT, "prompt": _PROMPT, "model": _MODEL, "model_name": _MODEL,
    "model_name_or_path": _MODEL, "pretrained": _MODEL,
}

"""Settings of a new run that do not go together, said before anything is read or computed."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from ..text import CORPORA
from .initial import LENGTH
from .settings import FINE_TUNING, LOW_RANK, PRESETS, Table, differences, resolve

# nanoGPT's other values of init_from, and what to write here
NANOGPTS = {
    "scratch": "leave it out; a new model is what a run begins with",
    "resume": "a run is continued by --resume RUN",
}


def check_asked(asked: Table, preset: str | None = None) -> str | None:
    """The preset that counts for the settings `asked`, by key; None is the default.

    Raises ValueError, with the flag at fault, for settings that mean nothing together.
    """
    begin, task = str(asked.get("init_from") or ""), str(asked.get("task") or "text")
    if begin in NANOGPTS and not Path(begin).exists():
        raise ValueError(f"--from {begin}: {NANOGPTS[begin]}")
    if preset in (FINE_TUNING, LOW_RANK) and not begin:
        raise ValueError(f"the preset {preset} needs --from, the model to begin with")
    if asked.get("lora_rank") and not begin:
        raise ValueError("--lora-rank needs --from, the model whose weights stay as they are")
    if task != "text" and not begin:
        raise ValueError(f"--task {task} is for a model that was trained before; name one "
                         f"with --from")
    if asked.get("labels") and task != "classify":
        raise ValueError("--labels belongs to --task classify")
    if preset is None and begin:
        preset = LOW_RANK if asked.get("lora_rank") else FINE_TUNING
    usual = PRESETS[preset]["model"] if preset in PRESETS else {}
    for key in ("lora_alpha", "lora_on"):
        if asked.get(key) and not {**usual, **asked}.get("lora_rank"):
            raise ValueError(f"--{key.replace('_', '-')} belongs to --lora-rank")
    return preset


def from_anywhere(corpus: str) -> str:
    """An absolute path, or a corpus's name: the run must find its text from any folder."""
    named = corpus in CORPORA or not Path(corpus).exists()
    return corpus if named else str(Path(corpus).resolve())


def tuning_defaults(width: int) -> str:
    """What the presets of fine-tuning set otherwise than the default one, in lines of `width`."""
    tuned, usual = resolve(FINE_TUNING).to_dict(), resolve().to_dict()
    # the model's architecture is that of the model given
    keys = [_flag(key, mine) for table, key, mine, _ in differences(tuned, usual)
            if table == "train"]
    low = [_flag(key, mine) for _, key, mine, _ in
           differences(resolve(LOW_RANK).to_dict(), tuned)]
    text = (f"The defaults are those of the preset {FINE_TUNING}: {', '.join(keys)}; GPT-2's "
            f"dropout of 0.1, and sequences of at most {LENGTH} tokens. With --lora-rank they are "
            f"those of {LOW_RANK}, which has {', '.join(low)}.")
    return fill(text, width, break_on_hyphens=False)


def _flag(key: str, value: object) -> str:
    return f"--{key.replace('_', '-')} {value}"

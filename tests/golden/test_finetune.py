"""Fine-tuning against transformers, torch and peft, from the file that make_finetune.py wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from npgpt import GPT2Config
from npgpt.fast.ops import FAST
from npgpt.ops import TEXTBOOK
from npgpt.text import CharTokenizer
from npgpt.training.step.adamw import adamw_step, decaying, zero_moments
from npgpt.training.step.gradients import loss_and_grads
from npgpt.training.tasks import load_examples

pytestmark = pytest.mark.smoke

FILE = Path(__file__).parent / "finetune.safetensors"
TENSORS = load_file(FILE)
with safe_open(FILE, "numpy") as opened:
    ABOUT: dict[str, Any] = json.loads(opened.metadata()["about"])
CONFIG = GPT2Config.from_dict({**ABOUT["config"], "resid_pdrop": 0.0, "embd_pdrop": 0.0,
                               "attn_pdrop": 0.0})
UPDATED = CONFIG.replace(lora_rank=ABOUT["rank"], lora_alpha=float(ABOUT["alpha"]),
                         lora_on=",".join(ABOUT["on"]))


def ours(prefix: str) -> dict[str, np.ndarray]:
    """The tensors under a prefix, by npgpt's names; what peft transposes, as npgpt has it."""
    found = {}
    for name, array in TENSORS.items():
        if not name.startswith(prefix):
            continue
        name = re.sub(r"^(base_model\.model\.)?(transformer\.)?", "", name[len(prefix):])
        name = name.replace(".base_layer.", ".").replace(".default.weight", "")
        found[name] = np.array(array.T if ".lora_" in name else array, order="C")
    return found


def examples(tmp_path: Path, task: str) -> tuple[np.ndarray, np.ndarray]:
    """ids and targets of all examples of the file, read as a run reads them."""
    path = tmp_path / "examples.jsonl"
    keys = ("prompt", "completion") if task == "instruct" else ("text", "label")
    path.write_text("".join(
        json.dumps(dict(zip(keys, pair))) + "\n"
        for pair in ABOUT["answers" if task == "instruct" else "labelled"]))
    corpus = load_examples(path, task, CharTokenizer(ABOUT["characters"]), CONFIG.n_positions, 0.5,
                           ("no", "yes"))
    table = np.concatenate([corpus.train, corpus.val])
    return table[:, 0], table[:, 1]


@pytest.mark.parametrize("ops", [TEXTBOOK, FAST], ids=["textbook", "fast"])
@pytest.mark.parametrize("what, task, config", [
    ("whole", "instruct", CONFIG), ("lora", "instruct", UPDATED),
    ("classes", "classify", CONFIG.replace(n_labels=2)),
])
def test_losses_and_trained_parameters_are_those_of_torch(tmp_path, what, task, config, ops):
    ids, targets = examples(tmp_path, task)
    params, ends = ours(f"{what}.start."), ours(f"{what}.end.")
    frozen = params.keys() - ends.keys()
    assert bool(frozen) == (what != "whole")
    trained = {name: params[name] for name in ends}
    mean, square = zero_moments(trained), zero_moments(trained)
    for step, wanted in enumerate(TENSORS[f"{what}.losses"], 1):
        loss, grads = loss_and_grads(params, ids, targets, config, ops=ops, frozen=frozen)
        assert loss == pytest.approx(wanted, rel=1e-10)
        adamw_step(trained, grads, mean, square, step=step, lr=ABOUT["lr"], betas=ABOUT["betas"],
                   eps=1e-8, decay_names=decaying(trained), weight_decay=ABOUT["decay"])
    for name, array in ends.items():
        # the gradient of the keys' bias is zero but for rounding, which Adam magnifies
        if not name.endswith("c_attn.bias"):
            np.testing.assert_allclose(trained[name], array, rtol=1e-6, atol=1e-8, err_msg=name)

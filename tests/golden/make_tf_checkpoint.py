"""Make a tiny checkpoint in OpenAI's form with TensorFlow itself, and the numbers it must hold.

    python tests/golden/make_tf_checkpoint.py          # needs tensorflow, and safetensors

The variables bear the names and shapes of openai/gpt-2's model; beside them lie what an optimiser
leaves (two slots, a step count), which a reader has to pass over.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

HERE = Path(__file__).parent
FOLDER = HERE / "openai_tf"
HPARAMS = {"n_vocab": 13, "n_ctx": 8, "n_embd": 6, "n_head": 2, "n_layer": 2}


def shapes() -> dict[str, tuple[int, ...]]:
    """TensorFlow's names and shapes."""
    c = HPARAMS["n_embd"]
    found: dict[str, tuple[int, ...]] = {
        "model/wpe": (HPARAMS["n_ctx"], c), "model/wte": (HPARAMS["n_vocab"], c),
        "model/ln_f/g": (c,), "model/ln_f/b": (c,),
    }
    linear = {"attn/c_attn": (c, 3 * c), "attn/c_proj": (c, c), "mlp/c_fc": (c, 4 * c),
              "mlp/c_proj": (4 * c, c)}
    for i in range(HPARAMS["n_layer"]):
        for norm in ("ln_1", "ln_2"):
            found[f"model/h{i}/{norm}/g"] = found[f"model/h{i}/{norm}/b"] = (c,)
        for name, (n_in, n_out) in linear.items():
            found[f"model/h{i}/{name}/w"] = (1, n_in, n_out)
            found[f"model/h{i}/{name}/b"] = (n_out,)
    return found


def main() -> None:
    """Write the checkpoint and `openai_tf.golden`."""
    rng = np.random.default_rng(0)
    values = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes().items()}
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        variables = [v1.Variable(value, name=name) for name, value in values.items()]
        variables.append(v1.Variable(np.zeros((13, 6), np.float32), name="model/wte/Adam"))
        variables.append(v1.Variable(np.float32(0.9), name="beta1_power"))
        variables.append(v1.Variable(np.int64(7), name="global_step"))
        session.run(v1.global_variables_initializer())
        v1.train.Saver(variables).save(
            session, str(FOLDER / "model.ckpt"), write_meta_graph=False, write_state=False
        )
    (FOLDER / "hparams.json").write_text(json.dumps(HPARAMS) + "\n")
    save_file(values, HERE / "openai_tf.golden")
    (HERE / "openai_tf.golden").chmod(0o644)
    print(*sorted(f"{file.name} {file.stat().st_size}" for file in FOLDER.iterdir()), sep="\n")


if __name__ == "__main__":
    main()

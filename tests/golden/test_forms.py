"""Every form that GPT-2's weights come in gives transformers' logits; make_folders.py made them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from npgpt import GPT2
from npgpt.fast.ops import FAST
from npgpt.ops import TEXTBOOK, Ops
from npgpt.weights import load

HERE = Path(__file__).parent / "folders"
FORMS = sorted(path.stem for path in HERE.glob("*.golden") if path.stem != "spellings")
SPELLINGS = {name.partition(".")[2]: logits
             for name, logits in load_file(HERE / "spellings.golden").items() if name != "ids"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ops", [TEXTBOOK, FAST], ids=["textbook", "fast"])
@pytest.mark.filterwarnings("ignore:.*score.weight left out")
def test_every_form_gives_the_logits_of_transformers(form: str, ops: Ops) -> None:
    expected = load_file(HERE / f"{form}.golden")
    model = GPT2(*load(HERE / form), ops=ops)
    gap = np.abs(model.logits(expected["ids"]) - expected["logits"]).max()
    assert gap < 1e-5 and np.abs(expected["logits"]).max() > 0.1
    # and so does the reader of generate, which sees a token at a time
    ids = expected["ids"][0]
    first = model.generate(ids[:3], 1, temperature=0)[-1]
    assert first == expected["logits"][0, 2].argmax()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_activation_gives_the_logits_of_transformers(
    tmp_path: Path, spelling: str
) -> None:
    shutil.copytree(HERE / "plain", tmp_path / "m")
    values = json.loads((tmp_path / "m" / "config.json").read_text())
    values["activation_function"] = spelling
    (tmp_path / "m" / "config.json").write_text(json.dumps(values))
    ids = load_file(HERE / "spellings.golden")["ids"]
    np.testing.assert_allclose(GPT2.load(tmp_path / "m").logits(ids), SPELLINGS[spelling],
                               atol=1e-5)


def test_what_is_trained_on_top_is_left_out_with_one_line() -> None:
    with pytest.warns(UserWarning, match="score.weight left out: a head for another task"):
        load(HERE / "classifier")

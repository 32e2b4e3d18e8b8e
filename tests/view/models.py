"""Small models, their tokenizers and traces, for the tests of the page."""

import numpy as np

from npgpt import GPT2Config
from npgpt.params import init_params
from npgpt.text import CharTokenizer
from npgpt.training.settings import TrainSettings
from npgpt.view.parameters import Optimizer
from npgpt.view.payload import Subject, Window, payload
from npgpt.view.tracing import traced

CHARACTERS = "abc </>!-\n"
TEXT = "ab</a> <!c-b"
# sizes all different
SMALL = GPT2Config(vocab_size=10, n_positions=16, n_embd=12, n_layer=2, n_head=3, n_inner=20)


def params_of(config, dtype=np.float64):
    """Parameters that make every head, gate and bias count."""
    rng = np.random.default_rng(0)
    return {name: (a + 0.3 * rng.standard_normal(a.shape)).astype(dtype)
            for name, a in init_params(config, dtype=np.float64).items()}


def subject(dtype=np.float64, **changes):
    """A small model as a Subject."""
    config = SMALL.replace(**changes)
    return Subject("small", "run", config, params_of(config, dtype), CharTokenizer(CHARACTERS),
                   Optimizer(TrainSettings()), 7)


def window(length=11):
    """The text's first tokens."""
    return Window.of(CharTokenizer(CHARACTERS).encode(TEXT), length, "as given")


def trace_of(**changes):
    """A small model's trace of the text."""
    model, text = subject(**changes), window()
    return traced(model.params, text.ids[None], text.targets[None], model.config)


def payload_of(exact=False, brief=False, **changes):
    """A small model's payload."""
    return payload(subject(**changes), window(), command="npgpt view small", exact=exact,
                   brief=brief)[0]

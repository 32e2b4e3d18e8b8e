"""The documents of the small tasks, made here: no download, and the same everywhere."""

import numpy as np

WORDS = ("the cat sat on a mat and looked at one dog who ran down every street in town while "
         "old men talked about rain, bread, money or love; nobody listened.").split()


def _texts(seed, count, least, most):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(least, most + 1))) for _ in range(count)]


def choice_rows():
    """Questions of four endings, some of one context."""
    contexts, endings = _texts(0, 8, 3, 12), _texts(1, 48, 1, 6)
    return [{"context": contexts[i // 2 if i < 4 else i % 8],
             "endings": endings[4 * i:4 * i + 4], "label": i % 4} for i in range(12)]


def passage_rows():
    """Passages whose last word is asked for; one is longer than the model's context."""
    return [{"text": text} for text in [*_texts(2, 9, 2, 20), *_texts(3, 1, 90, 90)]]


def page_rows():
    """Texts to be scored whole, three in one window and two in several."""
    return [{"page": text} for text in [*_texts(4, 3, 5, 20), *_texts(5, 2, 100, 150)]]


def prompt_rows():
    """Prompts to go on from."""
    return [{"prompt": text, "answer": "none"} for text in _texts(6, 5, 2, 25)]


def _split(rows):
    import datasets

    return {"test": datasets.Dataset.from_list(rows)}


def choices(**kwargs):
    """What npgpt_choices.yaml asks for."""
    return _split(choice_rows())


def passages(**kwargs):
    """What npgpt_last_word.yaml asks for."""
    return _split(passage_rows())


def pages(**kwargs):
    """What npgpt_pages.yaml asks for."""
    return _split(page_rows())


def prompts(**kwargs):
    """What npgpt_prompts.yaml asks for."""
    return _split(prompt_rows())

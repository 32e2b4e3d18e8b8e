"""The harness's numbers with npgpt, against its numbers with transformers.

harness_golden.json was written by make_harness_golden.py. npgpt's own scores are held against it
too; the adapter's tests need lm-evaluation-harness, and are skipped where it is not installed.
"""

import importlib.util
import json

import pytest

from npgpt.evaluation.choices import Question, score_questions
from npgpt.evaluation.last_word import score_last_words
from npgpt.evaluation.text import score_text
from npgpt.text import BPETokenizer, CharTokenizer

from ..generation.lively import LONG, lively
from .harness_model import harness_model
from .make_harness_golden import GOLDEN as GOLDEN_FILE
from .make_harness_golden import TASKS, answers
from .tasks import documents

GOLDEN = json.loads(GOLDEN_FILE.read_text())
INSTALLED = importlib.util.find_spec("lm_eval") is not None
needs_harness = pytest.mark.skipif(not INSTALLED, reason="lm-evaluation-harness is not installed")


@pytest.mark.skipif(INSTALLED, reason="lm-evaluation-harness is installed")
def test_without_the_harness_the_message_names_the_extra():
    with pytest.raises(ImportError, match=r"pip install 'npgpt\[harness\]'"):
        import npgpt.evaluation.harness  # noqa: F401


@pytest.fixture(scope="module")
def model():
    return harness_model()


BPE = BPETokenizer()


def test_multiple_choice_has_the_harness_accuracies(model):
    questions = [Question(row["context"], tuple(row["endings"]), row["label"])
                 for row in documents.choice_rows()]
    score = score_questions(model.params, model.config, questions, BPE.encode, ops=model.ops)
    expected = GOLDEN["metrics"]["npgpt_choices"]
    assert score.accuracy == expected["acc,none"]
    assert score.accuracy_by_characters == expected["acc_norm,none"]


def test_last_words_have_the_harness_accuracy_and_perplexity(model):
    texts = [row["text"] for row in documents.passage_rows()]
    score = score_last_words(model.params, model.config, texts, BPE.encode, ops=model.ops)
    expected = GOLDEN["metrics"]["npgpt_last_word"]
    assert score.accuracy == expected["acc,none"]
    assert score.perplexity == pytest.approx(expected["perplexity,none"], rel=1e-4)


def test_a_text_of_one_window_has_the_harness_log_likelihood(model):
    answers = GOLDEN["answers"]["npgpt_pages"]
    for row, answer in list(zip(documents.page_rows(), answers))[:3]:
        score = score_text(model.params, model.config, BPE.encode(row["page"]),
                           start_id=BPE.eot_id, ops=model.ops)
        assert [[-score.nats]] == [pytest.approx(answer[0], rel=1e-5)]


@pytest.fixture(scope="module")
def ours():
    from npgpt.evaluation.harness import Harness

    return answers(Harness(harness_model(), BPE, batch_size=3))


def close(a, b):
    """Equal texts and truths, and numbers that agree as float32 can."""
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == b if isinstance(a, str) else a == pytest.approx(b, rel=2e-5, abs=2e-5)


@needs_harness
@pytest.mark.filterwarnings("default")
def test_every_answer_is_the_one_that_transformers_gives(ours):
    found = json.loads(json.dumps(ours["answers"]))
    assert found.keys() == GOLDEN["answers"].keys()
    for task, expected in GOLDEN["answers"].items():
        assert close(found[task], expected), task


@needs_harness
@pytest.mark.filterwarnings("default")
def test_every_metric_is_the_one_that_the_harness_finds_with_transformers(ours):
    assert {task: set(metrics) for task, metrics in ours["metrics"].items()} == {
        task: set(metrics) for task, metrics in GOLDEN["metrics"].items()}
    for task, metrics in GOLDEN["metrics"].items():
        assert ours["metrics"][task] == pytest.approx(metrics, rel=1e-5), task


@needs_harness
@pytest.mark.filterwarnings("default")
def test_tasks_are_run_from_their_files_and_shown_in_80_columns():
    from npgpt.evaluation.harness import run_tasks

    shown = run_tasks(harness_model(), BPE, [str(TASKS[0]), str(TASKS[1])], limit=3)
    assert "npgpt_choices" in shown and "acc_norm" in shown and "perplexity" in shown
    assert max(map(len, shown.splitlines())) <= 80
    with pytest.raises(ValueError, match="unknown task: .*no_such_task"):
        run_tasks(harness_model(), BPE, ["no_such_task"])


class Asked:
    """A request as the harness makes it."""

    def __init__(self, *args):
        self.args = args


@needs_harness
def test_a_model_of_characters_is_scored_and_writes_too():
    from npgpt import GPT2
    from npgpt.evaluation.harness import Harness

    tokenizer = CharTokenizer("\n abcdefghijklmnopqrstuvwxyz.")
    lm = Harness(GPT2(LONG, lively(LONG)), tokenizer)
    text = "the cat sat on the mat. " * 5
    whole, = lm.loglikelihood_rolling([Asked(text)], disable_tqdm=True)
    assert -8 * len(text) < whole < -len(text)
    first, again = lm.generate_until(
        [Asked("the", {"until": ["a"], "max_gen_toks": 20}),
         Asked("the cat", {"until": ["a"], "max_gen_toks": 20, "do_sample": True,
                           "temperature": 1.0})], disable_tqdm=True)
    assert "a" not in first + again and len(first) <= 20
    with pytest.raises(ValueError, match="64 new tokens, which leave no room"):
        lm.generate_until([Asked("the", {"until": [], "max_gen_toks": 64})], disable_tqdm=True)

"""A run over ranks, from its beginning: what rank 0 has is given to the others, which follow it.

    rank 0       lead(ranks, state, corpus), then `loop.train` as in one process
    the others   follow(ranks)

Only rank 0 reads and writes the run. The text is read by all of them, each on its own machine.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ..evaluation.text import Stopped
from ..machine.ranks import Ended, Ranks
from ..machine.threads import divide_cores, get_threads, set_default
from ..params import parameter_shapes
from ..text import Corpus, tokenizer_from_dict
from .loop import evaluate, workers_for
from .settings import RunConfig, build
from .state import TrainingState
from .tasks import check_length, load_task
from .team import Team
from .update import Diverged, train_step

Status = Callable[[Exception], "int | None"]
"""The exit code of an error; None for a bug."""


def use_cores(ranks: Ranks, threads: int) -> None:
    """Compute with so many threads a rank; 0: the ranks of a machine share its cores."""
    if threads:
        set_default(threads)
    else:
        divide_cores(ranks.per_core)


def check_ranks(ranks: Ranks, run: RunConfig) -> None:
    """Raise ValueError where a run's batches cannot be split over so many ranks."""
    if run.train.batch_size < ranks.size:
        raise ValueError(f"{ranks.size} ranks for batches of {run.train.batch_size} sequences; "
                         f"expected a --batch-size of at least {ranks.size}, or fewer ranks")
    if run.model.get("entropy_penalty"):
        raise ValueError("the entropy penalty is a function of the whole batch, which ranks "
                         "cannot split; train with it in one process")


def lead(ranks: Ranks, state: TrainingState, corpus: Corpus, status: Status) -> None:
    """Give the other ranks a state and make it the team's; called by rank 0.

    Raises ValueError or OSError for what is wrong on another rank, with its name.
    """
    ranks.busy = True
    ranks.broadcast({
        "run": state.run.to_dict(), "tokenizer": state.tokenizer.to_dict(), "step": state.step,
        "trained": list(state.mean), "vocab_size": state.config.vocab_size,
    })
    with ranks.together(status):
        pass
    _check_same(ranks, corpus)
    _share(ranks, state)
    ranks.busy = False


def follow(ranks: Ranks, status: Status, asked: Callable[[], bool]) -> int:
    """Do what rank 0 announces, until it ends the job; returns the exit code. For all others.

    `asked` says whether this rank was asked to stop. Raises Ended where rank 0 knows already.
    """
    head = ranks.broadcast()
    if "end" in head:
        ranks.over = True
        return int(head["end"])
    run = build(head["run"])
    use_cores(ranks, run.train.threads)
    with ranks.together(status):
        corpus = load_task(run.data, tokenizer_from_dict(head["tokenizer"]), run.sequence_length)
        check_length(run, corpus)
    _check_same(ranks, corpus)
    config = run.model_config(head["vocab_size"])
    params = {name: np.zeros(shape, run.train.dtype)
              for name, shape in parameter_shapes(config).items()}
    none = {name: np.zeros(0) for name in head["trained"]}
    state = TrainingState(head["step"], config, params, none, none, run, corpus.tokenizer,
                          corpus.fingerprint)
    team = _share(ranks, state)
    team.asked = asked
    try:
        return _follow(team, state, corpus, asked)
    except Diverged:
        raise Ended(4) from None


def end(ranks: Ranks, code: int) -> None:
    """End the followers, which exit with this code; called by rank 0 where they wait for it."""
    ranks.over = True
    ranks.broadcast({"end": code})


def _follow(team: Team, state: TrainingState, corpus: Corpus, asked: Callable[[], bool]) -> int:
    with workers_for(state) as workers:
        while True:
            what: Any = team.ranks.broadcast()
            if "end" in what:
                team.ranks.over = True
                return int(what["end"])
            command, *settings = what["do"]
            if command == "step":
                train_step(state, corpus.train, None, workers)
            elif command == "moments":
                team.gather(state.mean if settings == ["m"] else state.square)
            else:
                n_batches, stoppable = settings
                try:
                    evaluate(state, corpus, n_batches,
                             (lambda seen: asked()) if stoppable else None)
                except Stopped:
                    pass


def _check_same(ranks: Ranks, corpus: Corpus) -> None:
    ranks.check_same({"the text's fingerprint": corpus.fingerprint[:12],
                      "the number of threads": get_threads()})


def _share(ranks: Ranks, state: TrainingState) -> Team:
    """Make a state the team's, with rank 0's parameters and moments."""
    team = Team(ranks, state.params, list(state.mean))
    if state.step:
        whole = (state.mean, state.square) if ranks.rank == 0 else (None, None)
        state.mean, state.square = (team.scatter(moments) for moments in whole)
    else:
        state.mean, state.square = team.zeros(), team.zeros()
    state.team = team
    return team

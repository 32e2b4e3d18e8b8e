"""npgpt train --mpi: every rank comes here; rank 0 runs the verb, the others follow it.

A mistake is reported once, by rank 0. Where one rank fails in the middle of what all do together,
it says so and ends the job, since the others would wait for it forever.
"""

from __future__ import annotations

import argparse
import platform
import sys
import traceback
from pathlib import Path
from typing import Callable

import numpy as np

from ..machine.ranks import Ended, Ranks, connect
from ..machine.threads import get_threads
from ..text import Corpus
from ..training.ranked import check_ranks, end, follow, lead, use_cores
from ..training.settings import RunConfig, read_toml
from ..training.state import TrainingState
from ..version import VERSION
from . import exit_code, one_line
from .console import interruption, note
from .options import flags


def over_ranks(
    args: argparse.Namespace, run: Callable[[argparse.Namespace, Ranks | None], int]
) -> int:
    """`run(args, ranks)` on rank 0, which the others follow; alone where there is one rank."""
    ranks = connect()
    if ranks.size == 1:
        note("--mpi: this is the only rank; mpiexec -n 4 npgpt train --mpi ... starts four")
        return run(args, None)
    try:
        ranks.watch()
        with ranks.together(exit_code):
            asked = _asked(args)
        ranks.check_same(asked)
        if ranks.rank:
            with interruption(quiet=True) as happened:
                return follow(ranks, exit_code, happened)
        code = run(args, ranks)
        end(ranks, code)
        return code
    except Ended:
        raise
    except BaseException as error:
        _leave(ranks, error)
        raise
    finally:
        ranks.close()


def _leave(ranks: Ranks, error: BaseException) -> None:
    """Before an error is reported: end the others quietly where they wait for us, else at once."""
    code = exit_code(error) if isinstance(error, Exception) else 130
    if ranks.over:
        return
    if ranks.rank == 0 and code is not None and not ranks.busy:
        end(ranks, code)
        return
    if code is None:
        traceback.print_exc()
    what = one_line(error) if isinstance(error, Exception) else "interrupted"
    note(what if ranks.rank == 0 else f"{ranks.names[ranks.rank]}: {what}")
    ranks.abort(code or 1)


def _asked(args: argparse.Namespace) -> dict[str, object]:
    """What must be the same on all ranks: versions, options, and the settings of a file."""
    facts: dict[str, object] = {"the version of npgpt": VERSION,
                                "the version of Python": platform.python_version(),
                                "the version of NumPy": np.__version__}
    facts |= {flags([name]): "not given" if value is None else str(value)
              for name, value in vars(args).items() if not callable(value)}
    config: Path | None = args.config
    tables = {} if config is None else read_toml(config)
    return facts | {f"{key} in {config}": value
                    for table in tables.values() for key, value in table.items()}


def prepare(ranks: Ranks, settings: RunConfig) -> None:
    """Check that the ranks can share a run's batches, and set rank 0's threads."""
    check_ranks(ranks, settings)
    use_cores(ranks, settings.train.threads)


def share(ranks: Ranks, state: TrainingState, corpus: Corpus) -> None:
    """Give a run to all ranks, and print how many there are."""
    lead(ranks, state, corpus, exit_code)
    n, hosts = get_threads(), len({*ranks.hosts})
    print(f"ranks      {ranks.size} on {hosts} machine{'s' if hosts > 1 else ''}, "
          f"{n} thread{'s' if n > 1 else ''} each")
    sys.stdout.flush()

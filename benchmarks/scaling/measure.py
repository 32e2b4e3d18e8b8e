"""What is measured: steps of jobs that take turns, collectives on links, steps between hosts."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any, Sequence

from npgpt.budget import budget
from npgpt.config import GPT2Config
from npgpt.machine.threads import using
from npgpt.training.step.rank_cost import rank_cost

from ..sizes import LABELS, SIZES
from . import hosts as virtual
from .jobs import Job, take_turns

# size -> rounds, steps in a turn
ROUNDS = {"recipe": (9, 20), "six": (7, 2), "gpt2-64": (5, 1)}
# bytes of a flat buffer
LENGTHS = [2**n for n in range(10, 28)]
# links between two hosts: Gb/s, None for no limit
LINKS: list[tuple[str, int, float | None]] = [
    ("shared memory", 2, None), ("two hosts, no limit", 2, None), ("two hosts, 1 Gb/s", 2, 1.0),
    ("two hosts, 0.25 Gb/s", 2, 0.25), ("four hosts, 0.25 Gb/s", 4, 0.25),
]
# a collective is repeated until it has taken about so long
SECONDS = 0.4
# steps between hosts: size, hosts, Gb/s, steps
BETWEEN = [("recipe", 2, 1.0, 20), ("recipe", 2, 0.25, 10), ("recipe", 4, 0.25, 5),
           ("six", 2, 1.0, 3), ("six", 2, 0.25, 2), ("gpt2-64", 2, 1.0, 1)]


def say(text: str) -> None:
    """Report what is going on."""
    print(text, file=sys.stderr, flush=True)


def steps(size: str, quick: bool) -> dict[str, Any]:
    """Steps of one size: strong and weak, over ranks and in one process, and oversubscribed."""
    values, batch, length = SIZES[size]
    rounds, count = (2, max(1, ROUNDS[size][1] // 4)) if quick else ROUNDS[size]
    config = GPT2Config.from_dict(values)
    found: dict[str, Any] = {
        "label": LABELS[size], "batch": batch, "length": length,
        "bytes": budget(config).parameter_bytes, "inspect": {}, "rounds": rounds,
    }
    groups: dict[str, dict[str, tuple[int, int, int]]] = {
        # sequences, threads, ranks; 0 ranks is one process without MPI
        "strong": {"one thread": (batch, 1, 0), "two threads": (batch, 2, 0),
                   "two ranks": (batch, 1, 2)},
        "weak": {"one thread": (batch, 1, 0), "two threads": (2 * batch, 2, 0),
                 "two ranks": (2 * batch, 1, 2)},
        "oversubscribed": {"two threads": (batch, 2, 0), "four ranks": (batch, 1, 4)},
    }
    for group, of_group in groups.items():
        say(f"{LABELS[size]}: {group}")
        with ExitStack() as stack:
            jobs = {}
            for name, (sequences, threads, ranks) in of_group.items():
                jobs[name] = Job(size, sequences, threads, ranks)
                stack.callback(jobs[name].close)
            found[group] = take_turns(jobs, rounds, count)
            for name, (sequences, _, ranks) in of_group.items():
                if ranks:
                    answers = jobs[name].ask("exchange", 2 if quick else 5)
                    found[group][name]["exchange"] = answers[0]
    for ranks in (1, 2, 4):
        with using(1):
            found["inspect"][ranks] = vars(rank_cost(config, batch, length, ranks))
    return found


def links(quick: bool, without_hosts: bool) -> list[dict[str, Any]]:
    """Reduce-scatter and gather over sizes, on each link."""
    found = []
    for name, ranks, gigabits in LINKS:
        if without_hosts and name != "shared memory":
            continue
        say(f"collectives: {name}")
        with ExitStack() as stack:
            enter: Sequence[Sequence[str]] = ()
            environment: dict[str, str] = {}
            if name != "shared memory":
                enter = stack.enter_context(virtual.hosts(ranks, gigabits))
                environment = virtual.ENVIRONMENT
            job = Job(None, 0, 1, ranks, enter, environment)
            stack.callback(job.close)
            times = []
            # what a limit stretches to seconds tells no more than what takes tenths of one
            longest = 2**22 if quick else LENGTHS[-1] if gigabits is None else 2**25 * gigabits
            for nbytes in (n for n in LENGTHS[::3 if quick else 1] if n <= longest):
                for kind in ("reduce_scatter", "gather"):
                    once = job.ask("collective", kind, nbytes, 1)[0]
                    count = max(2, min(200, int((0.05 if quick else SECONDS) / once)))
                    times.append((kind, ranks, nbytes,
                                  job.ask("collective", kind, nbytes, count)[0]))
        found.append({"name": name, "ranks": ranks, "gigabits": gigabits, "times": times})
    return found


def between_hosts(sizes: list[str], quick: bool) -> list[dict[str, Any]]:
    """Steps of ranks that are each on a host of its own."""
    found = []
    chosen = [one for one in BETWEEN if one[0] in sizes]
    for size, ranks, gigabits, count in chosen[:1] if quick else chosen:
        say(f"{LABELS[size]}: {ranks} hosts, {gigabits} Gb/s")
        with virtual.hosts(ranks, gigabits) as enter, ExitStack() as stack:
            job = Job(size, SIZES[size][1], 1, ranks, enter, virtual.ENVIRONMENT)
            stack.callback(job.close)
            [measured] = take_turns({"hosts": job}, 2 if size == "gpt2-64" else 3, count).values()
        found.append({"size": size, "ranks": ranks, "gigabits": gigabits, **measured})
    return found

"""Studies: which runs a question needs, from a TOML file; README.md in this folder explains one.

It has settings of every run, axes of which every combination is an arm, arms one by one, and pairs
of arms to compare. The first arm is the baseline. Everything is checked before anything runs.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from ..checked import checked
from ..documents import LONGEST_LINE, Json, parse_toml, read_text
from ..suggest import did_you_mean, one_line
from ..training.settings import RunConfig, build, resolve, table_fields
from .paper import ROWS

# a study of more would not end, nor would their list
MOST_ARMS = 10_000
CLAIMS = ("lower", "higher")

Settings = dict[str, dict[str, object]]
"""Tables of run settings as TOML gives them: table, key, value."""


@dataclass(frozen=True)
class Arm:
    """One variant: its name, what it changes of the base, and the paper's row, if any."""

    name: str
    changes: Settings
    paper: str | None = None

    @property
    def slug(self) -> str:
        """The name as part of a folder's name."""
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-.")


@dataclass(frozen=True)
class Comparison:
    """A pair of arms whose seeds are compared; `claim` is made of the first's perplexity."""

    arm: str
    against: str
    claim: str | None = None


@dataclass(frozen=True)
class Study:
    """A checked study. `runs` are its runs, seeds outermost."""

    name: str
    title: str
    question: str
    seeds: tuple[int, ...]
    base: Settings
    arms: tuple[Arm, ...]
    compare: tuple[Comparison, ...]
    text: str

    def runs(self) -> list[tuple[Arm, int]]:
        """Every (arm, seed), seeds outermost: a study that is stopped has complete seeds."""
        return [(arm, seed) for seed in self.seeds for arm in self.arms]

    def run_config(self, arm: Arm, seed: int) -> RunConfig:
        """The settings of one run. Threads are 1 unless the base says otherwise: the numbers
        must not depend on how many runs go at a time."""
        tables = resolve().to_dict()
        tables["train"].update({"threads": 1, "sample_every": 0})
        for changes in (self.base, arm.changes):
            for table, values in changes.items():
                tables[table].update(values)
        tables["train"]["seed"] = seed
        return build(tables)

    def arm(self, name: str) -> Arm:
        """The arm of that name or slug; ValueError suggests the nearest."""
        for arm in self.arms:
            if name in (arm.name, arm.slug):
                return arm
        names = [arm.name for arm in self.arms]
        raise ValueError(f"unknown arm {name!r}{did_you_mean(name, names)}; {self.name} has "
                         f"{'; '.join(names)}")


def shipped() -> dict[str, Path]:
    """The studies that come with npgpt, by name."""
    folder = Path(__file__).parent / "studies"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


@checked
def load_study(what: Path | str) -> Study:
    """The shipped study of that name, or the TOML file at that path.

    Raises ValueError, in one line that names the file, the key and what would fit.
    """
    known = shipped()
    path = known.get(str(what), Path(what))
    if not path.exists():
        raise ValueError(f"unknown study {what!r}{did_you_mean(what, known)}; expected one of "
                         f"{', '.join(known)}, or a TOML file")
    return read_study(path)


def read_study(path: Path) -> Study:
    """A study's file, checked; raises ValueError as `load_study` does."""
    text = read_text(path).replace("\r\n", "\n")
    content = parse_toml(text, path)
    try:
        return _parse(content, text)
    except ValueError as error:
        raise ValueError(f"{path}: {one_line(str(error), LONGEST_LINE)}") from None


def _parse(content: Json, text: str) -> Study:
    _only(content, ("study", "base", "axes", "arm", "paper", "compare"), "a study")
    head = _table(content, "study")
    _check(head, ("name", "title", "question"), ("seeds",), "[study]")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", head["name"]):
        raise ValueError(f"name={head['name']!r} names a folder: letters, digits and hyphens")
    seeds = head.get("seeds")
    if (not isinstance(seeds, list) or not seeds or len(set(map(str, seeds))) < len(seeds)
            or any(type(seed) is not int or seed < 0 for seed in seeds)):
        raise ValueError(f"seeds={seeds!r} must be a list of different integers, such as [1, 2, 3]")
    base = _settings(_table(content, "base"), "base", ("data", "model", "train"))
    arms = _arms(content)
    study = Study(head["name"], head["title"].strip(), " ".join(head["question"].split()),
                  tuple(seeds), base, arms, (), text)
    for arm in arms:
        try:
            run = study.run_config(arm, seeds[0])
            run.model_config(vocab_size=256)
        except (TypeError, ValueError) as error:
            raise ValueError(f"arm {arm.name!r}: {error}") from None
    return replace(study, compare=_comparisons(content, study))


def _arms(content: Json) -> tuple[Arm, ...]:
    paper = _table(content, "paper")
    arms = _combinations(_table(content, "axes"))
    for entry in _entries(content, "arm", ("name",), ("model", "train", "paper")):
        name = entry["name"].strip()
        changes = _settings({key: entry[key] for key in ("model", "train") if key in entry},
                            f"arm {name!r}:", ("model", "train"))
        arms.append(Arm(name, changes, entry.get("paper")))
    if not arms:
        raise ValueError("no arms: it needs [axes], or [[arm]] tables")
    folders: dict[str, str] = {}
    for arm in arms:
        if not arm.slug:
            raise ValueError(f"arm {arm.name!r} names a folder: it needs letters or digits")
        if arm.slug in folders:
            raise ValueError(f"arms {folders[arm.slug]!r} and {arm.name!r} would share the folder "
                             f"{arm.slug}; rename one of them")
        folders[arm.slug] = arm.name
    for name in paper:
        if name not in folders.values():
            raise ValueError(f"[paper] unknown arm {name!r}{did_you_mean(name, folders.values())}")
    arms = [replace(arm, paper=paper.get(arm.name, arm.paper)) for arm in arms]
    for arm in arms:
        # a list: what TOML gives for paper may be unhashable
        if arm.paper is not None and arm.paper not in list(ROWS):
            raise ValueError(f"arm {arm.name!r}: unknown row paper={arm.paper!r}; the paper's "
                             f"table has {'; '.join(ROWS)}")
    return tuple(arms)


def _combinations(axes: Json) -> list[Arm]:
    flat: dict[str, object] = {}
    for key, values in axes.items():
        # TOML reads model.norm without quotes as a table
        inner = values if isinstance(values, dict) else {"": values}
        flat |= {f"{key}.{name}".rstrip("."): value for name, value in inner.items()}
    options = []
    for key, values in flat.items():
        table, _, name = key.partition(".")
        if table not in ("model", "train") or not name:
            raise ValueError(f"[axes] {key!r} must be \"model.KEY\" or \"train.KEY\"")
        _settings({table: {name: None}}, "axes", ("model", "train"))
        if not isinstance(values, list) or not values:
            raise ValueError(f"[axes] {key} must be a list of at least one value")
        options.append([(table, name, value) for value in values])
    count = math.prod(map(len, options))
    if count > MOST_ARMS:
        raise ValueError(f"[axes] has {count:,} combinations; expected at most {MOST_ARMS:,}")
    arms = []
    for combination in itertools.product(*options) if options else ():
        changes: Settings = {}
        words = []
        for table, name, value in combination:
            changes.setdefault(table, {})[name] = value
            word = str(value).lower() if isinstance(value, bool) else value
            words.append(value if isinstance(value, str) else f"{name} {word}")
        arms.append(Arm(", ".join(words), changes))
    return arms


def _comparisons(content: Json, study: Study) -> tuple[Comparison, ...]:
    pairs = []
    for entry in _entries(content, "compare", ("arm", "against"), ("claim",)):
        first, second = (study.arm(entry[key]).name for key in ("arm", "against"))
        if first == second:
            raise ValueError(f"[[compare]] holds {first!r} against itself")
        claim = entry.get("claim")
        if claim is not None and claim not in CLAIMS:
            raise ValueError(f"[[compare]] claim={claim!r} must be {' or '.join(CLAIMS)}")
        pairs.append(Comparison(first, second, claim))
    first = study.arms[0].name
    return tuple(pairs) or tuple(Comparison(arm.name, first) for arm in study.arms[1:])


def _settings(tables: Json, where: str, allowed: tuple[str, ...]) -> Settings:
    """Tables of run settings; raises ValueError for an unknown key."""
    _only(tables, allowed, where)
    known = table_fields()
    for table, values in tables.items():
        if not isinstance(values, dict):
            raise ValueError(f"{where} {table} must be a table of settings")
        for key in values:
            if (table, key) == ("train", "seed"):
                raise ValueError("seeds belong in [study]: seeds = [1, 2, 3]")
            if (table, key) == ("train", "max_minutes"):
                raise ValueError("a run must be able to end: the time of a whole study is limited "
                                 "by npgpt lab run --max-minutes")
            if key not in known[table]:
                raise ValueError(f"unknown key {key!r} in {where} {table}"
                                 f"{did_you_mean(key, known[table])}")
    return {table: dict(values) for table, values in tables.items()}


def _table(content: Json, name: str) -> Json:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise ValueError(f"[{name}] must be a table")
    return found


def _entries(
    content: Json, name: str, texts: tuple[str, ...], others: tuple[str, ...]
) -> list[Json]:
    found = content.get(name, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{name} must be written as [[{name}]] tables")
    for entry in found:
        _check(entry, texts, others, f"[[{name}]]")
    return found


def _check(table: Json, texts: tuple[str, ...], others: tuple[str, ...], where: str) -> None:
    """A table has each of the `texts`, and nothing beside them and the `others`."""
    _only(table, (*texts, *others), where)
    for key in texts:
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise ValueError(f'{where} needs {key} = "..."')


def _only(table: Json, known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"unknown key {key!r} in {where}{did_you_mean(key, known)}; "
                             f"expected one of {', '.join(known)}")

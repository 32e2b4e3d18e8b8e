"""Studies: which runs a question needs, from a TOML file.

    [study]
    name = "relu-without-norm"              letters, digits and hyphens
    title, question                         for the report
    seeds = [1, 2, 3]

    [base.data], [base.model], [base.train]     settings of every run, as in a run's own TOML file

    [axes]                                  every combination is an arm
    "model.norm" = ["layernorm", "none"]
    "model.activation_function" = ["gelu", "relu"]

    [[arm]]                                 and arms one by one
    name = "none, slope learnt"
    model = { norm = "none", activation_function = "leaky_relu" }
    paper = "softmax + ReLU"                the row of the paper's table that it repeats

    [paper]                                 the same for arms that come from axes
    "none, gelu" = "softmax + GELU"

    [[compare]]                             pairs for the tests; without any: all against the first
    arm = "none, relu"
    against = "none, gelu"
    claim = "lower"                         what is claimed of arm's perplexity: lower or higher

The first arm is the baseline. Everything is checked before anything runs.
"""

from __future__ import annotations

import difflib
import itertools
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Mapping, NoReturn

from ..training.settings import RunConfig, build, resolve, table_fields
from .paper import ROWS

SHIPPED = Path(__file__).parent / "studies"
_TABLES = ("study", "base", "axes", "arm", "paper", "compare")
_TEXTS = ("name", "title", "question")
CLAIMS = ("lower", "higher")


@dataclass(frozen=True)
class Arm:
    """One variant: its name, what it changes of the base, and the paper's row, if any."""

    name: str
    changes: dict[str, dict[str, Any]]
    paper: str | None = None

    @property
    def slug(self) -> str:
        """The name as part of a folder's name."""
        return _slug(self.name)


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
    base: dict[str, dict[str, Any]]
    arms: tuple[Arm, ...]
    compare: tuple[Comparison, ...]
    text: str

    def runs(self) -> list[tuple[Arm, int]]:
        """Every (arm, seed), seeds outermost: a study that is stopped has whole seeds."""
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
        raise ValueError(f"{name!r} is no arm of {self.name}{_nearest(name, names)}; there are "
                         f"{'; '.join(names)}")


def run_name(arm: Arm, seed: int) -> str:
    """The name of a run's folder."""
    return f"{arm.slug}-seed{seed}"


def shipped() -> dict[str, Path]:
    """The studies that come with npgpt, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def load_study(what: str) -> Study:
    """The shipped study of that name, or the TOML file at that path.

    Raises ValueError, in one line that names the file, the key and what would fit.
    """
    known = shipped()
    if what in known:
        return read_study(known[what])
    path = Path(what)
    if path.is_file():
        return read_study(path)
    raise ValueError(f"no study or file {what!r}{_nearest(what, list(known))}; there are "
                     f"{', '.join(known)}, or pass a TOML file")


def read_study(path: Path) -> Study:
    """A study's file, checked; raises ValueError as `load_study` does."""
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text: byte {error.start} does not fit") from None
    try:
        return _parse(content, text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _parse(content: Mapping[str, Any], text: str) -> Study:
    _only(content, _TABLES, "a study")
    head = _table(content, "study")
    _only(head, (*_TEXTS, "seeds"), "[study]")
    for key in _TEXTS:
        if not isinstance(head.get(key), str) or not head[key].strip():
            raise ValueError(f"[study] needs {key} = \"...\"")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", head["name"]):
        raise ValueError(f"name={head['name']!r} names a folder: letters, digits and hyphens")
    seeds = head.get("seeds")
    if (not isinstance(seeds, list) or not seeds or len(set(map(str, seeds))) < len(seeds)
            or any(type(seed) is not int or seed < 0 for seed in seeds)):
        raise ValueError(f"seeds={seeds!r} must be a list of different whole numbers: [1, 2, 3]")
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


def _arms(content: Mapping[str, Any]) -> tuple[Arm, ...]:
    paper = _table(content, "paper")
    arms = _product(_table(content, "axes"))
    entries = _entries(content, "arm")
    for entry in entries:
        _only(entry, ("name", "model", "train", "paper"), "[[arm]]")
        if not isinstance(entry.get("name"), str) or not entry["name"].strip():
            raise ValueError('every [[arm]] needs name = "..."')
        name = entry["name"].strip()
        changes = _settings({key: entry[key] for key in ("model", "train") if key in entry},
                            f"arm {name!r}:", ("model", "train"))
        arms.append(Arm(name, changes, entry.get("paper")))
    if not arms:
        raise ValueError("no arms: it needs [axes], or [[arm]] tables")
    names = [arm.name for arm in arms]
    slugs = [arm.slug for arm in arms]
    for n, arm in enumerate(arms):
        if not arm.slug:
            raise ValueError(f"arm {arm.name!r} names a folder: it needs letters or digits")
        if arm.slug in slugs[:n]:
            raise ValueError(f"arms {names[slugs.index(arm.slug)]!r} and {arm.name!r} would "
                             f"share the folder {arm.slug}; name one of them otherwise")
    for name in paper:
        if name not in names:
            raise ValueError(f"[paper] {name!r} is no arm{_nearest(name, names)}")
    arms = [replace(arm, paper=paper.get(arm.name, arm.paper)) for arm in arms]
    for arm in arms:
        if arm.paper is not None and arm.paper not in ROWS:
            raise ValueError(f"arm {arm.name!r}: paper={arm.paper!r} is no row of the paper's "
                             f"table; there are {'; '.join(ROWS)}")
    return tuple(arms)


def _product(axes: Mapping[str, Any]) -> list[Arm]:
    flat: dict[str, Any] = {}
    for key, values in axes.items():
        # model.norm without quotes is a table to TOML
        inner = values.items() if isinstance(values, dict) else [(None, values)]
        flat.update({key if name is None else f"{key}.{name}": v for name, v in inner})
    if not flat:
        return []
    for key, values in flat.items():
        table, _, name = key.partition(".")
        if table not in ("model", "train") or not name:
            raise ValueError(f"[axes] {key!r} must be \"model.KEY\" or \"train.KEY\"")
        _settings({table: {name: None}}, "axes", ("model", "train"))
        if not isinstance(values, list) or not values:
            raise ValueError(f"[axes] {key} must be a list of values, and not an empty one")
    arms = []
    for combination in itertools.product(*flat.values()):
        changes: dict[str, dict[str, Any]] = {}
        words = []
        for key, value in zip(flat, combination):
            table, _, name = key.partition(".")
            changes.setdefault(table, {})[name] = value
            words.append(value if isinstance(value, str) else f"{name} {_word(value)}")
        arms.append(Arm(", ".join(words), changes))
    return arms


def _comparisons(content: Mapping[str, Any], study: Study) -> tuple[Comparison, ...]:
    pairs = []
    for entry in _entries(content, "compare"):
        _only(entry, ("arm", "against", "claim"), "[[compare]]")
        for key in ("arm", "against"):
            if not isinstance(entry.get(key), str):
                raise ValueError(f"every [[compare]] needs {key} = \"...\"")
        first, second = (study.arm(entry[key]).name for key in ("arm", "against"))
        if first == second:
            raise ValueError(f"[[compare]] holds {first!r} against itself")
        claim = entry.get("claim")
        if claim is not None and claim not in CLAIMS:
            raise ValueError(f"[[compare]] claim={claim!r} must be {' or '.join(CLAIMS)}")
        pairs.append(Comparison(first, second, claim))
    first = study.arms[0].name
    return tuple(pairs) or tuple(Comparison(arm.name, first) for arm in study.arms[1:])


def _settings(tables: Mapping[str, Any], where: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    """Tables of run settings whose keys are all known."""
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
                                 f"{_nearest(key, known[table])}")
    return {table: dict(values) for table, values in tables.items()}


def _table(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise ValueError(f"[{name}] must be a table")
    return found


def _entries(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = content.get(name, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{name} must be written as [[{name}]] tables")
    return found


def _only(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            _unknown(key, known, where)


def _unknown(key: str, known: tuple[str, ...], where: str) -> NoReturn:
    raise ValueError(f"unknown key {key!r} in {where}{_nearest(key, list(known))}; "
                     f"there are {', '.join(known)}")


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else ""

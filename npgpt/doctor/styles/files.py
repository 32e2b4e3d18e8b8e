"""Examine everything in somebody's own file that looks like a forward with a backward.

    # gradcheck: x=(2,3,8) weight=(8,) bias=(8,) eps=1e-5
    def layernorm_forward(x, weight, bias, *, eps): ...

    # gradcheck: n_in=3 n_out=4 x=(2,3)
    class Linear: ...

The comment belongs to the definition below it, of a function or of a class; of a class it gives the
constructor's arguments too. headers.py has its values. Nothing is left out in silence: what cannot
be examined gets a report that says so.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from ...gradcheck.pair import ContractError, describe
from ..evidence.measure import FULL
from ..evidence.report import Finding, Report
from ..evidence.subject import CallError, Subject, check_mapping, generator, users_code
from ..examine import examine
from .framework_targets import check_of, report_of, rules
from .headers import Header, make_inputs, plain, read_headers, read_values
from .layer import BACKWARDS, layer_subject
from .pairs import pair_subject

FORWARD = ("forward", "fwd")
BACKWARD = ("backward", "bwd", "backprop", "grad", "gradient", "derivative", "prime")
FURTHER = 3  # draws of the inputs of a pair whose gradients are right at the first


class UnreadableFile(OSError):
    """A file is there, but it does not hold Python."""


@dataclass
class _Target:
    """A pair, or a class of layers, with the `headers` that belong to it and the names of its
    `parts` in the file; or what one of a framework's checks takes, `framework`."""

    name: str
    functions: tuple[Callable[..., object], ...]
    parts: tuple[str, ...]
    framework: Callable[..., Report] | None = None
    headers: list[dict[str, object]] = field(default_factory=list)
    mistake: str = ""


def examine_file(
    target: str | Path, shapes: Mapping[str, object] | None = None, seed: int = 0,
    on_report: Callable[[Subject, Report], None] | None = None,
) -> list[Report]:
    """Examine every pair and layer in a Python file, or only one: 'FILE' or 'FILE:NAME'.

    `shapes` are the header's values as a dict, such as {"x": (2, 3, 8), "ids": "ids(2,3)<7", "eps":
    1e-5}; they go before those of the comment. The file is run, as an import would run it. There is
    a report for each, also for one that cannot be examined beside others. `on_report` is called
    with what was examined and its report.

    Raises ValueError where the file, a pair or the shapes are missing, UnreadableFile where the
    file is not Python.
    """
    if not isinstance(target, (str, Path)):
        raise ValueError(f"target must be a path, got {describe(target)}")
    if shapes is not None:
        check_mapping("shapes", shapes)
    generator(seed)
    path, name = _split(str(target))
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path} is not UTF-8 text: invalid byte at {error.start}") from None
    module = _load(path)
    targets = find_targets(module)
    lost = _assign(read_headers(text), targets, text)
    mistakes = [f"{path}: {message}" for message in lost] if name is None else []
    if name is not None:
        known = ", ".join(t.name for t in targets) or "none"
        targets = [t for t in targets if name in (t.name, *t.parts)]
        if not targets:
            raise ValueError(f"{path} has no {name}_forward with {name}_backward, and no class of "
                             f"that name; it has: {known}")
    if not targets:
        raise ValueError((*mistakes, (
            f"{path} has no pair such as linear_forward and linear_backward, and no class with "
            "forward and backward"))[0])
    reports = [Report(path.name, findings=[
        Finding("undecided", "", message)]) for message in mistakes]
    for one in targets:
        for number, values in enumerate(one.headers or [{}], start=1):
            title = one.name if len(one.headers) < 2 else f"{one.name} (header {number})"
            try:
                if one.mistake:
                    raise ContractError(one.mistake)
                given = {**values, **(shapes or {})}
                subject, report = _examined(one, title, given, seed)
            except ValueError as error:
                mistakes.append(f"{path}: {title}: {error}")
                reports.append(Report(title, findings=[Finding("undecided", "", mistakes[-1])]))
                continue
            reports.append(report)
            if subject is not None and on_report is not None:
                on_report(subject, report)
    if len(mistakes) == len(reports):
        raise ValueError(mistakes[0])
    return reports


def _examined(
    one: _Target, title: str, values: Mapping[str, object], seed: int
) -> tuple[Subject | None, Report]:
    """What was examined and its report; where all is right, at other inputs too: the first ones
    may have met one branch of forward alone."""
    subject, report = _examined_once(one, title, values, seed, True)
    if not report.ok or sum(math.prod(row.shape) for row in report.rows) > FULL:
        return subject, report
    for other in range(seed + 1, seed + 1 + FURTHER):
        later, its = _examined_once(one, title, values, other, False)
        if any(not row.ok and not row.undecided for row in its.rows):
            its.notes.append(
                f"The inputs of --seed {seed} do not show it, those of --seed {other} do: forward "
                "has a branch that not all inputs take.")
            return later, its
    return subject, report


def _examined_once(
    one: _Target, title: str, values: Mapping[str, object], seed: int, thorough: bool
) -> tuple[Subject | None, Report]:
    if one.framework:
        report = report_of(one.framework, one.functions[0], values, np.random.default_rng(seed))
        report.op = title
        return None, report
    subject, notes = _subject(one, values, seed)
    subject.op = title
    report = examine(subject, seed, thorough)
    report.notes += notes
    return subject, report


def _split(target: str) -> tuple[Path, str | None]:
    path, name = Path(target), None
    if not path.is_file():
        head, colon, tail = target.rpartition(":")
        if colon and tail.replace(".", "_").isidentifier() and Path(head).is_file():
            path, name = Path(head), tail
        else:
            raise ValueError(f"{target} is not a file; expected FILE.py or FILE.py:NAME")
    return path, name


def find_targets(module: ModuleType) -> list[_Target]:
    """Every pair and every class of layers that is defined in this very module, in its order."""
    own = {name: value for name, value in vars(module).items() if _is_own(value, module)}
    found = []
    for name, value in list(own.items()):
        if check := check_of(value):
            made_of = rules(value)
            parts = [f"{name}.forward", *(n for n, v in own.items() if v in made_of)]
            own = {n: v for n, v in own.items() if v not in (value, *made_of)}
            found.append(_Target(name, (value,), (name, *parts), check))
    classes = [value for value in own.values() if inspect.isclass(value)]
    found += _pairs({n: v for n, v in own.items() if not inspect.isclass(v)})
    for kind in classes:
        statics = {n: v.__func__ for n, v in vars(kind).items() if isinstance(v, staticmethod)}
        pairs = list(_pairs(statics, kind.__name__))
        if pairs:
            found += pairs
            continue
        methods = [n for n in ("forward", "__call__", *BACKWARDS)
                   if inspect.isfunction(getattr(kind, n, None))]
        # a base class has no layers of its own
        if len(methods) > 1 and methods[0] not in BACKWARDS and methods[-1] in BACKWARDS and not (
                any(kind in other.__mro__[1:] for other in classes)):
            name = kind.__name__
            found.append(_Target(name, (kind,), (name, *(f"{name}.{m}" for m in methods))))
    return found


def _is_own(value: object, module: ModuleType) -> bool:
    """Whether something callable was made in this module: what a partial wraps may be imported."""
    if isinstance(value, FunctionType) or inspect.isclass(value):
        return value.__module__ == module.__name__
    return callable(value) and not inspect.isbuiltin(value)


def _pairs(space: Mapping[str, Any], above: str = "") -> Iterator[_Target]:
    """The functions of a name that says forward, or nothing, with those that say backward."""
    for name, forward in space.items():
        tokens = name.split("_")
        places = [n for n, token in enumerate(tokens) if token in FORWARD]
        if places:
            others = ["_".join((*tokens[:places[0]], word, *tokens[places[0] + 1:]))
                      for word in BACKWARD]
            stem = "_".join(t for n, t in enumerate(tokens) if n != places[0])
        elif set(tokens) & set(BACKWARD):
            continue
        else:
            others = [form for word in BACKWARD for form in (f"{name}_{word}", f"{word}_{name}")]
            stem = name
        other = next((form for form in others if form in space), None)
        if other is not None:
            dot = f"{above}." if above else ""
            title = above if above and not stem else f"{dot}{stem or name}"
            parts = (f"{dot}{name}", f"{dot}{other}")
            yield _Target(title, (forward, space[other]), (above, *parts) if above else parts)


def _assign(headers: list[Header], targets: list[_Target], text: str) -> list[str]:
    """Give each header to the target whose definition follows it; what is wrong with the others."""
    lost = []
    definitions = sorted(_definitions(ast.parse(text)))
    before: tuple[str, _Target] | None = None
    for header in headers:
        following = next((name for line, name in definitions if line > header.line), None)
        one = next((t for t in targets if following in t.parts), None)
        if one is None:
            what = f"{following} is not part of a pair" if following else "no definition follows it"
            lost.append(f"the gradcheck header in line {header.line} is not examined: {what}")
            continue
        try:
            values = read_values(header.text)
        except ValueError as error:
            one.mistake = str(error)
            continue
        joined = before == (following, one) and one.headers
        if joined and not set(values) & set(one.headers[-1]):
            one.headers[-1].update(values)      # one header on several lines
        else:
            one.headers.append(values)
        before = str(following), one
    return lost


def _definitions(tree: ast.AST, above: str = "") -> Iterator[tuple[int, str]]:
    """(line, name) of functions, classes, and names that a lambda or a call is assigned to."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            line = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            yield line, above + node.name
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node, f"{above}{node.name}.")
        elif isinstance(node, ast.Assign) and isinstance(node.value, (ast.Lambda, ast.Call)):
            yield from ((node.lineno, above + t.id) for t in node.targets
                        if isinstance(t, ast.Name))
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _definitions(node, above)


def _subject(
    one: _Target, values: Mapping[str, object], seed: int
) -> tuple[Subject, list[str]]:
    """The Subject of a pair, or of a layer made from its class, and notes on it."""
    if len(one.functions) == 1:
        return _layer_subject(one.functions[0], values, seed)
    forward, backward = one.functions
    made = []
    for shapes_behind in (False, True):
        given = make_inputs(forward, values, np.random.default_rng(seed), shapes_behind)
        made.append(pair_subject(forward, backward, *given))
        if any(isinstance(value, tuple) for value in given[1].values()) and not _fits(made[-1]):
            continue
        return made[-1], []
    return next((subject for subject in made if _fits(subject)), made[0]), []


def _fits(subject: Subject) -> bool:
    """Whether backward gives as many gradients as there are inputs."""
    try:
        out = subject.run()[0]
        return len(subject.gradients(np.ones(out.shape))) == len(subject.inputs)
    except (CallError, ContractError):
        return False


def _layer_subject(
    kind: Any, values: Mapping[str, Any], seed: int
) -> tuple[Subject, list[str]]:
    rng = np.random.default_rng(seed)
    first = [p for p in inspect.signature(kind).parameters.values()]
    names = {p.name for p in first}
    missing = [p.name for p in first if p.default is p.empty and p.name not in values
               and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    forward = getattr(kind, "forward", kind.__call__)
    own = {name: value for name, value in values.items() if name in names}
    if missing:
        raise ValueError(f"no value for {missing[0]} of {kind.__name__}(); expected a line such as "
                         f"`# gradcheck: {missing[0]}=3 x=(2,3)` above the class")
    try:
        with users_code():
            layer = kind(**{name: plain(value, rng) for name, value in own.items()})
    except CallError as failed:
        raise ValueError(f"{kind.__name__}() raised {type(failed.error).__name__}: {failed}") from (
            None)
    rest = {name: value for name, value in values.items() if name not in names}
    inputs, settings = make_inputs(forward.__get__(layer), rest, rng)
    return layer_subject(layer, inputs, settings)


def _load(path: Path) -> ModuleType:
    name = f"_gradcheck_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file; expected a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # as `python FILE` does, for its neighbours
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UnreadableFile(
            f"{path} is not valid Python: {error.msg} (line {error.lineno})"
        ) from error
    except (Exception, SystemExit) as error:  # the user's own code runs here
        lines = [n for frame, n in traceback.walk_tb(error.__traceback__)
                 if frame.f_code.co_filename == str(path)]
        where = f" (line {lines[-1]})" if lines else ""
        raise ValueError(
            f"{path} cannot be imported: {type(error).__name__}: {error}{where}") from error
    finally:
        sys.path.pop(0)
    return module

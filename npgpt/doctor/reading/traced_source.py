"""Read a function by running it: the NumPy steps of one call, written down as a program.

Lambdas, closures, methods and what `exec` made have no source that could be read, but they do
compute with arrays. Handed arrays that write down what is done to them, a call leaves a straight
program of the same steps, in which each value bears the name that it has in the function itself and
each step its line. It is believed only if it gives the same as the function, at other inputs too.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import linecache
import types
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ...gradcheck.numeric import signs
from ..evidence.pair import fresh_copy, parameters
from ..evidence.subject import CallError, Program, Subject, users_code
from .source import Source, UserCode, read
from .traced_array import Ref, Step, Tape, TracedNumpy


def program(subject: Subject, name: str) -> Source | None:
    """The Source of a subject's "forward" or "backward": read, or else written down from a call."""
    found = read(getattr(subject, name), name == "backward") if subject.readable else None
    try:
        return found or _traced(subject, name)
    except CallError:
        return None


def readable(subject: Subject) -> Subject:
    """The subject itself; or, where no function that backward calls can be read, written out."""
    if any(map(read, subject.users)):
        return subject
    called = UserCode(subject.users)    # a lambda may call functions of a file
    called.watch(lambda: subject.gradients(np.ones(subject.run()[0].shape)))
    return subject if called.functions else written_out(subject)


def written_out(subject: Subject, most: int | None = None) -> Subject:
    """The same with a backward that does what the user's does, step by step, and has a source; the
    subject itself where its steps cannot be followed, or have more than `most` parts."""
    try:
        source = _traced(subject, "backward")
    except CallError:
        source = None
    if source is None or most is not None and most < sum(
            1 for _ in ast.walk(source.functions[source.name])):
        return subject
    backward = _written_out(source)
    other = Subject(subject.forward, backward, subject.inputs, subject.settings)
    other.names, other.by_place, other.op = subject.names, subject.by_place, subject.op
    other.floats, other.fixed_sizes = subject.floats, subject.fixed_sizes
    return other


def _written_out(source: Source) -> Callable[..., object]:
    """The function of a straight program, its steps on the lines that they have in the user's."""
    tree = source.functions[source.name]
    first = max(2, min((s.lineno for s in tree.body if s.lineno > 1), default=2))
    lines = [""] * (first - 2) + [f"def {source.name}({ast.unparse(tree.args)}):", ""]
    for statement in tree.body:
        lines += [""] * (statement.lineno - len(lines))
        lines[-1] += f"{';' * bool(lines[-1])} {ast.unparse(statement)}"
    text = "\n".join(lines) + "\n"
    file = f"<{source.name} as it runs, {zlib.crc32(text.encode()):x}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    exec(compile(text, file, "exec"), source.globals)
    return source.globals[source.name]  # type: ignore[no-any-return]


def _traced(subject: Subject, name: str) -> Source | None:
    """One call as a program, if it gives what the function gives here and at other inputs."""
    if name == "backward" and subject.program.backward == subject.program.forward:
        return None     # it only hands on what one function gave with its loss
    rng = np.random.default_rng(5)
    out, cache = subject.run()
    hints = [*zip(subject.names, subject.inputs), ("out", out)]
    if name == "forward":
        settings = {word: fresh_copy(value) for word, value in subject.settings.items()}
        source = _write(subject.forward, name, subject.names, subject.copies(), settings, [])
    else:
        own = [parameter.name for parameter in parameters(subject.backward)[:2]]
        names = own if len(own) == 2 else ["dout", "cache"]
        source = _write(
            subject.backward, name, names, [signs(out.shape, rng), cache], {}, hints)
    source = _renamed(source, subject.program, name)
    built = source.build()
    for one in (subject, subject.moved(0.3, rng)):
        with users_code(), np.errstate(all="ignore"):
            if name == "forward":
                given, true = built(*one.copies())[:1], one.run()[:1]
            else:
                dout, cache = signs(out.shape, rng), one.run()[1]
                given, true = built(dout.copy(), cache), one.call_backward(dout, cache)
            if not all(map(_equal, given, true)):
                return None
    return source


def _renamed(source: Source, program: Program, role: str) -> Source:
    """The same under the name that the user's own function has."""
    key = program.forward if role == "forward" else program.backward
    name = getattr(program.functions[key], "__name__", "")
    (tree,) = source.functions.values()
    tree.name = name if name.isidentifier() else key
    return Source(tree.name, {tree.name: tree}, source.globals, {tree.name: 1})


def _equal(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return np.shape(a) == np.shape(b) and bool(
        np.allclose(a, b, rtol=1e-10, atol=1e-13, equal_nan=True))


def _write(
    function: Callable[..., object], role: str, names: list[str], args: list[Any],
    words: dict[str, object], hints: list[tuple[str, Any]],
) -> Source:
    """The program of one call."""
    tape = Tape()
    given = [_leaves(arg, ast.Name(name, ast.Load()), tape, hints)
             for name, arg in zip(names, args)]
    with users_code(), np.errstate(all="ignore"):
        result = _rebound(function, tape, {})(*given, **words)
        if not isinstance(result, tuple):
            result = (result,)
        if role == "forward":  # its cache is of no use
            result = result[:1] + (None,)
        tree = _function(tape, role, names, tape.node(result))
    space = {"np": np, **tape.constants}
    return Source(role, {role: tree}, space, {role: 1})


def _leaves(value: Any, node: ast.expr, tape: Tape, hints: list[tuple[str, object]]) -> object:
    """An argument whose arrays are traced, down through tuples, dictionaries and objects."""
    if isinstance(value, (np.ndarray, np.floating)):
        step = Step(node, leaf=not isinstance(node, ast.Name))
        if isinstance(node, ast.Name):
            step.name = node.id
        tape.steps.append(step)
        for name, hint in hints:
            if not step.hint and hint is not None and _equal(hint, value):
                step.hint = name
        return tape.traced(value, step)
    if type(value) in (tuple, list):
        return type(value)(
            _leaves(part, ast.Subscript(node, ast.Constant(k), ast.Load()), tape, hints)
            for k, part in enumerate(value))
    if isinstance(value, dict):
        return {key: _leaves(part, ast.Subscript(node, ast.Constant(key), ast.Load()), tape, hints)
                for key, part in value.items()}
    if hasattr(value, "__dict__") and not callable(value):
        other = copy.copy(value)
        for key, part in vars(value).items():
            setattr(other, key, _leaves(
                part, ast.Attribute(node, key, ast.Load()), tape, hints))
        return other
    return value


def _rebound(function: object, tape: Tape, seen: dict[int, Any]) -> Any:
    """A function whose numpy makes traced arrays, and the functions around it that it calls."""
    if isinstance(function, types.ModuleType):
        return TracedNumpy(tape) if function is np else function
    if not isinstance(function, types.FunctionType) or id(function) in seen:
        return seen.get(id(function), function)
    key = id(function.__globals__)
    fresh = key not in seen
    space = seen.setdefault(key, dict(function.__globals__))
    cells = [types.CellType() for _ in function.__closure__ or ()]
    result = types.FunctionType(
        function.__code__, space, function.__name__, function.__defaults__, tuple(cells))
    result.__kwdefaults__ = function.__kwdefaults__
    seen[id(function)] = result
    for cell, old in zip(cells, function.__closure__ or ()):
        with contextlib.suppress(ValueError):  # an empty cell
            cell.cell_contents = _rebound(old.cell_contents, tape, seen)
    for name, value in list(space.items()) if fresh else ():
        if value is np or getattr(value, "__globals__", None) is function.__globals__:
            space[name] = _rebound(value, tape, seen)
    return result


def _is_free(step: Step, name: str, names: list[str]) -> bool:
    """Is this not numpy's name, nor another parameter's?"""
    return name != "np" and (name not in names or isinstance(step.node, ast.Name))


def _function(tape: Tape, role: str, names: list[str], returned: ast.expr) -> ast.FunctionDef:
    """The steps as a function: what has no name and is used once stands where it is used."""
    ends = [*tape.steps, Step(returned, max((step.line for step in tape.steps), default=1))]
    parts = [step.statement or step.node for step in ends]
    users = [[ref.step for ref in ast.walk(part) if isinstance(ref, Ref)] if part else []
             for part in parts]
    uses = Counter(step for each in users for step in each)
    place = {step: n for n, step in enumerate(ends)}
    changes = [n for n, step in enumerate(ends) if step.statement]
    last: dict[Step, int] = {}
    for n, each in enumerate(users):
        last.update(dict.fromkeys(each, n))
    taken: dict[str, Step] = {}
    for n, step in enumerate(tape.steps):
        across = any(place[step] < n < last.get(step, 0) for n in changes)
        if step.statement or not (step.name or step.leaf or uses[step] > 1 or across):
            step.name = ""
            continue
        base = name = step.name or step.hint or ("saved" if step.leaf else "step")
        number = 2
        while not _is_free(step, name, names) or taken.setdefault(name, step) is not step:
            name, number = f"{base}_{number}", number + 1
        step.name = name

    class Fill(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            if not isinstance(node, Ref):
                return self.generic_visit(node)
            if node.step.name:
                return ast.Name(node.step.name, ast.Load())
            assert node.step.node is not None
            return self.visit(node.step.node)

    body: list[ast.stmt] = []
    lines = []
    for step, part in zip(ends, parts):
        if part is None or not (step.statement or step.name or step is ends[-1]):
            continue
        filled = Fill().visit(part)
        if isinstance(filled, ast.expr):
            if isinstance(filled, ast.Name) and filled.id == step.name:
                continue  # a parameter
            filled = ast.Return(filled) if step is ends[-1] else ast.Assign(
                [ast.Name(step.name, ast.Store())], filled)
        for node in ast.walk(filled):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                node.target.ctx = ast.Store()
        body.append(filled)
        lines.append(step.line)
    arguments = ast.arguments([], [ast.arg(name) for name in names], kwonlyargs=[], kw_defaults=[],
                              defaults=[], kwarg=ast.arg("_settings"))
    tree = ast.FunctionDef(role, arguments, body, [])
    # written out and read again, so that each node is its own
    text = ast.unparse(ast.fix_missing_locations(tree))
    again = ast.parse(text).body[0]
    assert isinstance(again, ast.FunctionDef)
    for line, statement in zip(lines, again.body):
        for node in ast.walk(statement):
            if isinstance(node, (ast.expr, ast.stmt)):
                node.lineno = node.end_lineno = line
    return again

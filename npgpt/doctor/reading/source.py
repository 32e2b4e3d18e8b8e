"""Read the user's functions as syntax trees, whatever their style, and run them with a part
exchanged.

Which functions there are is seen from a run: every function outside the libraries that was called,
a method, a closure, a lambda or a helper of another file. Its tree comes from its file, a
notebook's cell or executed text, as far as `linecache` knows them, and is believed only if it
compiles to what runs. To run an edit, the functions get the edited code for the time of a call, and
their own again after it: so an edit works wherever the function is held, in a class, a table or a
partial.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import copy
import dis
import functools
import gc
import linecache
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..evidence.subject import CallError, users_code

LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
HERE = str(Path(__file__).parents[2])
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
Definition = ast.FunctionDef | ast.Lambda
HOLDERS = (types.FunctionType, types.MethodType, types.CellType, type, dict, list, tuple, set,
           staticmethod, classmethod, property, functools.partial)


@dataclass
class Slot:
    """A place in a syntax tree that holds a node: `parent.field` or `parent.field[index]`."""

    parent: ast.AST
    field: str
    index: int | None

    def get(self) -> Any:
        """The node in this place."""
        value = getattr(self.parent, self.field)
        return value if self.index is None else value[self.index]

    def put(self, node: object) -> None:
        """Put a node in this place; what has no line in the file gets that of the node before."""
        old = self.get()
        for part in ast.walk(node) if isinstance(node, ast.AST) else ():
            if not hasattr(part, "lineno") and hasattr(old, "lineno"):
                ast.copy_location(part, old)
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass
class Function:
    """A function as a tree: its `node` in the tree of its file, the `code` that runs, the class
    that it stands in, and the `objects` that are this function; `values` are its local ones at its
    last return."""

    node: Definition
    code: types.CodeType
    owner: str = ""
    objects: list[types.FunctionType] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)
    kept: types.CodeType | None = None
    parameters: list[Any] | None = None

    @property
    def name(self) -> str:
        """The name that it has in its file."""
        return getattr(self.node, "name", "the lambda")

    @property
    def globals(self) -> dict[str, Any]:
        """The namespace that it runs in."""
        return self.objects[0].__globals__ if self.objects else {}

    def line(self, node: ast.AST) -> int:
        """The line of a node in its file."""
        return getattr(node, "lineno", self.node.lineno)

    def compiled(self, held: bool = True) -> types.CodeType:
        """The code of the tree as it now is; CallError where it makes no function.

        It has the closure's names that the original had, also where it no longer uses them.
        """
        node, free = copy.copy(self.node), self.code.co_freevars
        if held and free:  # never runs, but counts as a use
            names = ast.Tuple([ast.Name(name, ast.Load()) for name in free], ast.Load())
            if isinstance(node, ast.Lambda):
                node.body = ast.IfExp(ast.Constant(1), node.body, names)
            else:
                node.body = [*node.body, ast.If(ast.Constant(0), [ast.Expr(names)], [])]
                ast.fix_missing_locations(node.body[-1])
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
        inside: ast.stmt = ast.Expr(node) if isinstance(node, ast.Lambda) else node
        if self.owner:  # for names such as self.__x, and for super()
            inside = ast.ClassDef(self.owner, [], [], [inside], [])
        arguments = ast.arguments(
            [], [ast.arg(name) for name in free if name != "__class__"], None, [], [], None, [])
        # a function that calls itself by its own name finds it where the original does
        itself = [] if free or isinstance(node, ast.Lambda) else [
            ast.Global([node.name], lineno=1, col_offset=0)]
        outer = ast.FunctionDef("_", arguments, [*itself, inside], [], lineno=1, col_offset=0)
        for new in (inside, *arguments.args):
            if not hasattr(new, "lineno"):
                ast.copy_location(new, self.node)
        if isinstance(node, ast.Lambda) and isinstance(self.node, ast.Lambda) and held and free:
            ast.fix_missing_locations(ast.copy_location(node.body, self.node.body))
        module = ast.Module([outer], [])
        flags = self.code.co_flags & __future__.annotations.compiler_flag
        code: types.CodeType
        with users_code():
            code = compile(module, self.code.co_filename, "exec", flags, dont_inherit=True)
            while code.co_name != self.code.co_name or code.co_filename == code.co_name:
                code = next(c for c in code.co_consts if isinstance(c, types.CodeType)
                            and c.co_name in ("_", self.owner, self.code.co_name))
        return code

    def as_it_runs(self) -> bool:
        """Does the tree make the code that runs? (A file may have changed since.)"""
        try:
            made = self.compiled(held=False)
        except CallError:
            return False
        return _outline(made) == _outline(self.code)


def _outline(code: types.CodeType) -> list[object]:
    """What two codes of one source have in common: Python calls `np.sum` in another way where it
    sees that np is imported."""
    signs = [i.argrepr for i in dis.get_instructions(code) if i.opname in (
        "BINARY_OP", "COMPARE_OP")]
    constants = [c for c in code.co_consts if not isinstance(c, types.CodeType)]
    return [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, signs,
            repr(constants)]


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


def _definitions(tree: ast.AST, owner: str = "") -> Iterator[tuple[Definition, str]]:
    """Every function of a file, with the class that it stands in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            yield node, owner
        inner = node.name if isinstance(node, ast.ClassDef) else "" if isinstance(
            node, (ast.FunctionDef, ast.Lambda)) else owner
        yield from _definitions(node, inner)


def function_of(code: types.CodeType) -> Function | None:
    """The tree of a function's code, or None where there is none to read."""
    tree = _parsed("".join(linecache.getlines(code.co_filename)))
    for node, owner in _definitions(tree) if tree is not None else ():
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        if first == code.co_firstlineno and getattr(node, "name", "<lambda>") == code.co_name:
            function = Function(node, code, owner)
            if _covers(node, code) and function.as_it_runs():
                return function
    return None


def _covers(node: Definition, code: types.CodeType) -> bool:
    """Do a lambda's instructions lie inside it? (A line may hold several.)"""
    if isinstance(node, ast.FunctionDef):
        return True
    body = node.body
    places = [p for p in code.co_positions() if p[0] and p[1] and p[2] is not None and p[3]]
    return all((line, column) >= (body.lineno, body.col_offset)
               and (end, to) <= (body.end_lineno, body.end_col_offset)
               for line, end, column, to in places[1:])


@dataclass
class Source:
    """Trees of functions, first the function `name`, with the namespace they run in and the first
    line of each in its file; `function` is what was read, if it was read."""

    name: str
    functions: dict[str, Any]
    globals: dict[str, Any]
    lines: dict[str, int]
    function: Function | None = None
    bound: object = None

    def build(self, **extra: object) -> Callable[..., Any]:
        """The function of the tree as it now is; `extra` names are added to its namespace.
        CallError where it makes no function."""
        space = dict(self.globals, **extra)
        if self.function is None:
            module = ast.Module(list(self.functions.values()), [])
            with users_code():
                exec(compile(ast.fix_missing_locations(module), "<edited>", "exec"), space)
            return space[self.name]  # type: ignore[no-any-return]
        old = self.function.objects[0]
        built = types.FunctionType(self.function.compiled(), space, old.__name__, old.__defaults__,
                                   old.__closure__)
        built.__kwdefaults__ = old.__kwdefaults__
        return types.MethodType(built, self.bound) if self.bound is not None else built

    def line(self, function: str, node: ast.AST) -> int:
        """The line of a node in its file."""
        return self.lines[function] + getattr(node, "lineno", 1) - 1


def read(function: Callable[..., object], helpers: bool = True) -> Source | None:
    """The Source of a Python function, lambda, closure or method, or None if there is none to read.
    """
    bound = function.__self__ if isinstance(function, types.MethodType) else None
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        return None
    found = function_of(function.__code__)
    if found is None:
        return None
    found = Function(copy.deepcopy(found.node), found.code, found.owner, [function])
    return Source(found.name, {found.name: found.node}, found.globals, {found.name: 1}, found,
                  bound)


class UserCode:
    """The user's functions that some calls ran, the last called first."""

    def __init__(self, users: Iterable[Callable[..., object]] = ()) -> None:
        self.functions: list[Function] = []
        self._users = tuple(users)
        self._files = {getattr(getattr(getattr(f, "__func__", f), "__code__", None),
                               "co_filename", "") for f in self._users}

    def watch(self, run: Callable[[], object]) -> Any:
        """What `run` gives; the functions that it called are added before those known already.

        CallError where it raises; they are added all the same.
        """
        seen: dict[types.CodeType, dict[str, object]] = {}

        def profile(frame: types.FrameType, event: str, _: object) -> None:
            if event == "call":
                seen.setdefault(frame.f_code, {})
            elif event == "return" and frame.f_code in seen:
                seen[frame.f_code] = dict(frame.f_locals)

        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            return run()
        finally:
            sys.setprofile(before if callable(before) else None)    # cProfile's is no function
            self._add({code: values for code, values in seen.items()
                       if self._is_users(code.co_filename)})

    def _is_users(self, file: str) -> bool:
        if file in self._files:
            return True
        # another environment's libraries may be on the path too
        return not (file.startswith((*LIBRARIES, HERE, "<frozen"))
                    or {"site-packages", "dist-packages"} & set(Path(file).parts))

    def _add(self, seen: dict[types.CodeType, dict[str, object]]) -> None:
        known = {code: f for f in self.functions for code in (f.code, f.kept) if code}
        for code, values in seen.items():
            if code in known:
                known[code].values = values
        codes = [code for code in seen if code not in known]
        inside = {c for code in [*codes, *known] for c in _nested(code)}
        found = [f for code in codes if code not in inside
                 and (f := function_of(code)) is not None]
        # a closure whose maker could not be read stands for itself
        own = {c for code in [*(f.code for f in found), *known] for c in _nested(code)}
        found += [f for code in codes if code in inside - own
                  and (f := function_of(code)) is not None]
        found.sort(key=lambda f: -codes.index(f.code))
        holders = _holders({f.code for f in found}, self._users)
        for f in found:
            f.values, f.node = seen[f.code], copy.deepcopy(f.node)
            f.objects = [h for h in holders if h.__code__ is f.code]
        self.functions = [f for f in found if f.objects] + self.functions

    def keep(self, function: Function) -> None:
        """The function's tree as it now is counts for all that follows."""
        function.kept = function.compiled()

    @contextlib.contextmanager
    def edited(self, function: Function | None = None, **names: object) -> Iterator[None]:
        """With the code of the function's tree as it now is, and `names` that it may use; CallError
        where it makes no function."""
        codes = [(f, f.compiled() if f is function else f.kept) for f in self.functions
                 if f is function or f.kept is not None]
        spaces = {id(o.__globals__): o.__globals__ for f, _ in codes for o in f.objects}.values()
        try:
            for space in spaces:
                space.update(names)
            for f, code in codes:
                for o in f.objects:
                    o.__code__ = code  # type: ignore[assignment]
            yield
        finally:
            for f, _ in codes:
                for o in f.objects:
                    o.__code__ = f.code
            for space in spaces:
                for name in names:
                    space.pop(name, None)


def _holders(
    codes: set[types.CodeType], users: Iterable[object] = ()
) -> list[types.FunctionType]:
    """The functions that run these codes."""
    found = [h for h in (gc.get_referrers(*codes) if codes else ())
             if isinstance(h, types.FunctionType) and h.__code__ in codes]
    # CPython 3.13 without the GIL hides from gc what was there before the first thread, though
    # perhaps not a copy of it
    hidden = codes if FREE_THREADED else codes - {h.__code__ for h in found}
    return found + [h for h in _in_modules(hidden, users) if h not in found] if hidden else found


def _in_modules(
    codes: set[types.CodeType], users: Iterable[object] = ()
) -> list[types.FunctionType]:
    """The functions that run these codes, by what the modules of their files hold, and `users`."""
    files = {code.co_filename for code in codes}
    todo: list[object] = [vars(module) for module in list(sys.modules.values())
                          if getattr(module, "__file__", None) in files] + [list(users)]
    found, seen = [], {id(part) for part in todo}
    while todo:
        for part in gc.get_referents(todo.pop()):
            # functions hold their module's names, which are another module's here
            if id(part) in seen or not isinstance(part, HOLDERS) or (
                    type(part) is dict and "__builtins__" in part):
                continue
            seen.add(id(part))
            todo.append(part)
            if isinstance(part, types.FunctionType) and part.__code__ in codes:
                found.append(part)
    return found


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield part
            yield from _nested(part)


def slots(tree: ast.AST) -> Iterator[Slot]:
    """Every place in a tree that holds a node, parents before children."""
    for name, value in ast.iter_fields(tree):
        if isinstance(value, ast.AST):
            yield Slot(tree, name, None)
            yield from slots(value)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield Slot(tree, name, index)
                    yield from slots(item)


def shortened(node: ast.AST) -> str:
    """A node as source, on one line of at most 64 characters."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 64 else text[:61] + "..."


def cuts_a_batch(function: Callable[..., object]) -> bool:
    """Does its source take a part of an array along the first axis, as in x[:-1] or x[1:]?"""
    source = read(function)
    if source is None:
        return False
    for node in ast.walk(source.functions[source.name]):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            part = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts \
                else node.slice
            if isinstance(part, ast.Slice) and (part.lower or part.upper):
                return True
    return False

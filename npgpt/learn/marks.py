"""Where the learner writes: the marks in an exercise, what stands there at first, and its sign.

A solution and its stub are one source: between the marks stands the solution, and the learner gets
`raise NotBegun(...)` there.
"""

from __future__ import annotations

import re

MARK = "# ---- your code:"
BEGIN = f"{MARK} begins here ----"
END = f"{MARK} ends here ----"
_MARKER = re.compile(r'raise NotBegun\("(.*)"\)')
_DEFINITION = re.compile(r"\s*(?:def|class)\s+(\w+)")


class NotBegun(SystemExit):
    """This part of the exercise is not written yet: its words say which.

    A SystemExit, so that a file run by itself prints the words and stops without a traceback, and
    that no `except Exception` takes it for a mistake.
    """

    def __init__(self, words: str) -> None:
        super().__init__(f"not begun: {words}")
        self.words = words


def stub_of(source: str) -> str:
    """The learner's file: each region between marks is replaced by a raised NotBegun.

    Its words are those of a comment directly above the mark, else the name of the function around.
    Raises ValueError for marks that do not come in pairs.
    """
    out: list[str] = []
    within, name = False, ""
    for number, line in enumerate(source.splitlines(), start=1):
        mark = line.strip()
        if mark in (BEGIN, END) and within == (mark == BEGIN):
            raise ValueError(f"line {number}: {mark!r} has no partner")
        if mark == BEGIN:
            within = True
            above = out[-1].strip() if out else ""
            words = above.removeprefix("#").strip() if above.startswith("#") else name
            indent = line[:len(line) - len(line.lstrip())]
            out += [line, f'{indent}raise NotBegun("{words}")']
        elif mark == END:
            within = False
            out.append(line)
        elif not within:
            definition = _DEFINITION.match(line)
            name = definition[1] if definition else name
            out.append(line)
    if within:
        raise ValueError(f"the last {BEGIN!r} has no {END!r}")
    return "\n".join(out) + "\n"


def regions(source: str) -> list[tuple[int, int]]:
    """The lines between marks that a file has, as (first, last), counted from 1."""
    lines = [line.strip() for line in source.splitlines()]
    begins = [n + 2 for n, line in enumerate(lines) if line == BEGIN]
    ends = [n for n, line in enumerate(lines) if line == END]
    return [*zip(begins, ends)]


def written(source: str) -> list[str]:
    """The lines between the marks, without blanks around them."""
    lines = source.splitlines()
    return [text for first, last in regions(source) for line in lines[first - 1:last]
            if (text := line.strip())]


def untouched(source: str) -> str:
    """Where to begin, as `not_begun` says it, if each region still holds nothing but its marker;
    else ""."""
    found = [_MARKER.fullmatch(line) for line in written(source)]
    if not found or not all(found) or len(found) != len(regions(source)):
        return ""
    assert found[0] is not None
    return not_begun(found[0][1], source)


def not_begun(words: str, source: str) -> str:
    """Which part is not begun, and its lines."""
    lines = source.splitlines()
    for first, last in regions(source):
        if any(f'NotBegun("{words}")' in line for line in lines[first - 1:last]):
            where = f"line {first}" if first == last else f"lines {first}-{last}"
            return f"not begun: {words}; write at {where}, between the marks"
    return f"not begun: {words}"

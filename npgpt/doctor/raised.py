"""Where in the user's code an exception arose: the line, the expression, the shapes in it."""

from __future__ import annotations

from traceback import walk_tb

from .source import HERE, LIBRARIES, failure


def described(error: Exception) -> str:
    """Such as: ValueError: matmul: Input operand 1 has a mismatch; line 7 of linear_backward:
    `dout @ W`: (2, 4) @ (3, 4)."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")
    found = failure(error)
    if found is not None:
        return f"{text}; {found[2]}"
    places = [f"; line {line} of {frame.f_code.co_name}"
              for frame, line in walk_tb(error.__traceback__)
              if not frame.f_code.co_filename.startswith((HERE, *LIBRARIES))]
    return text + (places[-1] if places else "")

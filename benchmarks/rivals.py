"""Other people's programs that npgpt is measured beside: fetched at one commit each, and built.

    python -m benchmarks.rivals FOLDER                  clones and builds all of them, minutes
    python -m benchmarks.rivals FOLDER --only llm.c micrograd
    python -m benchmarks.rivals FOLDER --source 'PATH/{owner}+{name}'     from copies of your own

What stands in the folder already is not fetched or built again. It takes git, a C and a C++
compiler, make and cmake. llm.c's batch and length are constants of its source: a program for each.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from .children import run_child

GITHUB = "https://github.com/{owner}/{name}"


class Rival(NamedTuple):
    """A repository, the commit that is measured, and what of its files is needed."""

    owner: str
    name: str
    commit: str
    paths: tuple[str, ...] = (".",)


RIVALS = {
    "numpygrad": Rival("njkrichardson", "numpygrad", "12d48e6"),
    "micrograd": Rival("karpathy", "micrograd", "c911406"),
    "llm.c": Rival("karpathy", "llm.c", "f1e2ace"),
    # its models' vocabularies are large, and no program needs them
    "llama.cpp": Rival("ggerganov", "llama.cpp", "c392e50", (".", ":!models")),
}
LLAMA_OPTIONS = ("-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_CURL=OFF",
                 "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_SERVER=OFF")


def fetch(name: str, folder: Path, source: str = GITHUB) -> Path:
    """The rival's files at its commit, in a folder of its name; RuntimeError if git fails."""
    rival, into = RIVALS[name], folder / name
    if not (into / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run_child(["git", "clone", "--quiet", "--no-checkout",
                   source.format(owner=rival.owner, name=rival.name), str(into)])
    if not any(path.name != ".git" for path in into.iterdir()):
        run_child(["git", "-C", str(into), "checkout", "--quiet", rival.commit, "--", *rival.paths])
    return into


def build_llama(folder: Path, source: str = GITHUB) -> Path:
    """llama.cpp's program llama-bench; RuntimeError if it cannot be built."""
    tree = fetch("llama.cpp", folder, source)
    program = tree / "build" / "bin" / "llama-bench"
    if not program.exists():
        run_child(["cmake", "-S", str(tree), "-B", str(tree / "build"), *LLAMA_OPTIONS])
        run_child(["cmake", "--build", str(tree / "build"), "--target", "llama-bench",
                   "-j", str(os.cpu_count() or 1)])
    return program


def build_llmc(folder: Path, batch: int, length: int, source: str = GITHUB) -> Path:
    """llm.c's program train_gpt2 for one batch and length; RuntimeError if it cannot be built."""
    tree = fetch("llm.c", folder, source)
    program = folder / f"train_gpt2-{batch}x{length}"
    if not program.exists():
        path = tree / "train_gpt2.c"
        original = path.read_text(encoding="utf-8")
        code = original
        for constant, value in (("B", batch), ("T", length)):
            code, found = re.subn(rf"\bint {constant} = \d+;", f"int {constant} = {value};", code)
            if found != 1:
                raise RuntimeError(f"{path}: expected one line int {constant} = ..., found {found}")
        try:
            path.write_text(code, encoding="utf-8")
            # its own Makefile knows the flags of each system
            run_child(["make", "-B", "train_gpt2"], tree)
            (tree / "train_gpt2").replace(program)
        finally:
            path.write_text(original, encoding="utf-8")
    return program


def main() -> int:
    """Fetch and build; 1 if any of them cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rivals", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=RIVALS, default=list(RIVALS), metavar="RIVAL",
                        help=", ".join(RIVALS))
    parser.add_argument("--source", default=GITHUB, metavar="PATTERN",
                        help=f"where to clone from (default {GITHUB})")
    args = parser.parse_args()
    code = 0
    for name in args.only:
        try:
            print(f"{name}: {_had(name, args.folder, args.source)}", flush=True)
        except RuntimeError as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            code = 1
    return code


def _had(name: str, folder: Path, source: str) -> Path:
    if name == "llm.c":
        return build_llmc(folder, 4, 64, source)
    if name == "llama.cpp":
        return build_llama(folder, source)
    return fetch(name, folder, source)


if __name__ == "__main__":
    sys.exit(main())

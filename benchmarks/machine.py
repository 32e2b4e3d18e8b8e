"""Where and when a figure was measured: processor, cores, versions, threads, commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sysconfig
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from npgpt.machine.threads import get_threads
from npgpt.version import VERSION

# what keeps OpenBLAS, NumPy, PyTorch and its oneDNN and MKL from instructions of this processor
INSTRUCTIONS = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "ATEN_CPU_CAPABILITY",
                "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, load, versions of Python, BLAS and packages, threads; ready for JSON.

    `instructions` holds the environment variables that keep the libraries from some of them.
    """
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "commit": _commit(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "instructions": {name: os.environ[name] for name in INSTRUCTIONS if os.environ.get(name)},
        "python": platform.python_version() + (
            " free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""),
        "npgpt": VERSION,
        "blas": _blas(),
        "threads": get_threads(),
        **{name: _version(name) for name in ("numpy", "torch", "transformers")},
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _blas() -> str | None:
    """The BLAS that NumPy computes with, such as OpenBLAS 0.3.31 (SkylakeX)."""
    import numpy  # noqa: F401  threadpool_info finds only what is loaded
    from threadpoolctl import threadpool_info

    for found in threadpool_info():
        if found["user_api"] == "blas":
            kind = f" ({found['architecture']})" if found.get("architecture") else ""
            return f"{found['internal_api']} {found.get('version')}{kind}"
    return None


def _commit() -> str | None:
    """The checkout's commit, with a + if files have changed since; None outside a checkout."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(Path(__file__).parent), *arguments], text=True,
                              capture_output=True, check=True).stdout.strip()

    try:
        # results and pages are what a measurement changes
        changed = git("status", "--porcelain", "--", "..", ":!results", ":!*.md", ":!../*.md")
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

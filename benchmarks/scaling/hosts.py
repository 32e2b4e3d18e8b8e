"""Machines that are not there: network namespaces, linked by cards of limited bandwidth.

Each "host" has one network card, and all cards are plugged into one switch (a bridge; two hosts are
linked directly). The kernel's token bucket limits what a card sends. Needs root and Linux, and the
programs `ip` and `tc` (Debian's package iproute2).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import Iterator

# every rank takes its own card, even where they could share memory
ENVIRONMENT = {"MPIR_CVAR_NOLOCAL": "1", "MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp",
               "FI_TCP_IFACE": "veth0"}
# of a frame of 1514 bytes, 1448 are the program's; the card's limit counts all
PAYLOAD = 1448 / 1514
# what may leave at once, ahead of the limit
BURST_SECONDS = 0.001


def why_not() -> str:
    """What keeps this machine from having hosts, "" if nothing does."""
    if not (hasattr(os, "geteuid") and os.geteuid() == 0):
        return "network namespaces need root"
    for program in ("ip", "tc"):
        if shutil.which(program) is None:
            return f"there is no program {program} (Debian's package iproute2)"
    try:
        with hosts(2, 1.0):
            return ""
    except RuntimeError as error:
        return str(error)


@contextmanager
def hosts(count: int, gigabits: float | None) -> Iterator[list[list[str]]]:
    """So many hosts whose cards send at most so much a second; None is no limit.

    Yields for each the command that enters it. Raises RuntimeError where the kernel forbids it.
    """
    # what another process has, or has left behind, is in nobody's way
    prefix = f"npgpt-{os.getpid()}"
    names = [f"{prefix}-{n}" for n in range(count)]
    switch = f"{prefix}-switch"
    every = names if count == 2 else [*names, switch]
    try:
        for name in every:
            _run("ip", "netns", "add", name)
        if count == 2:
            _run("ip", "link", "add", "veth0", "netns", names[0], "type", "veth", "peer",
                 "name", "veth0", "netns", names[1])
        else:
            _run("ip", "-n", switch, "link", "add", "bridge0", "type", "bridge")
            _run("ip", "-n", switch, "link", "set", "bridge0", "up")
        for n, name in enumerate(names):
            if count != 2:
                _run("ip", "link", "add", "veth0", "netns", name, "type", "veth", "peer", "name",
                     f"port{n}", "netns", switch)
                _run("ip", "-n", switch, "link", "set", f"port{n}", "master", "bridge0", "up")
            # MPI would take an address of IPv6 that is not ready yet
            _run("ip", "-n", name, "link", "set", "veth0", "addrgenmode", "none")
            _run("ip", "-n", name, "addr", "add", f"10.77.0.{n + 1}/24", "dev", "veth0")
            _run("ip", "-n", name, "link", "set", "veth0", "up")
            if gigabits is not None:
                burst = max(16_000, int(gigabits * 1e9 / 8 * BURST_SECONDS))
                _run("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "veth0", "root",
                     "tbf", "rate", f"{gigabits * 1e6:.0f}kbit", "burst", str(burst), "latency",
                     "50ms")
        _wait_for_links(names)
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in every:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _wait_for_links(names: list[str]) -> None:
    deadline = time.monotonic() + 5.0
    for name in names:
        while "LOWER_UP" not in _run("ip", "-n", name, "link", "show", "veth0"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name}: the link does not come up")
            time.sleep(0.05)
    # listening on an address that has just come may still fail
    time.sleep(1.0)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{' '.join(command)}: {last}")
    return done.stdout

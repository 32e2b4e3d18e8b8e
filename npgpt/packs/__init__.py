"""Conformance packs: everything a small GPT-2 computes, by name, for people who port it.

    write_pack("my-pack", tiny_config())              # parameters, activations, gradients, ...
    print(compare_packs("my-pack", "their-pack"))     # the first tensor that differs, and why
"""

from .compare import Comparison, compare_packs, listed
from .readers import reader
from .write import read_pack, tiny_config, write_pack

__all__ = ["Comparison", "compare_packs", "listed", "read_pack", "reader", "tiny_config",
           "write_pack"]

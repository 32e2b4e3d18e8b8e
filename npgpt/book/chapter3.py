"""Chapter 3, attention: from dot products to several causal heads, on six small inputs."""

from __future__ import annotations

from typing import Iterator

import numpy as np

from ..layers.contract import Array
from ..ops import TEXTBOOK as ops
from .figures import Figure, Parts, at
from .generator import TorchGenerator

# six tokens, each embedded in three numbers
INPUTS = np.array([
    [0.43, 0.15, 0.89], [0.55, 0.87, 0.66], [0.57, 0.85, 0.64],
    [0.22, 0.58, 0.33], [0.77, 0.25, 0.10], [0.05, 0.80, 0.55],
], np.float32)


def _without_weights() -> Iterator[Figure]:
    figure = at("3.3.1")
    query = INPUTS[1]
    scores = INPUTS @ query
    yield figure("scores of input 2", "0.9544 1.4950 1.4754 0.8434 0.7070 1.0865", scores)
    yield figure("divided by their sum", "0.1455 0.2278 0.2249 0.1285 0.1077 0.1656",
                 scores / scores.sum())
    weights = ops.softmax(scores)
    yield figure("weights of input 2", "0.1385 0.2379 0.2333 0.1240 0.1082 0.1581", weights)
    yield figure("context of input 2", "0.4419 0.6515 0.5683", weights @ INPUTS)
    figure = at("3.3.2")
    all_scores = INPUTS @ INPUTS.T
    yield figure("all scores", """
        0.9995 0.9544 0.9422 0.4753 0.4576 0.6310
        0.9544 1.4950 1.4754 0.8434 0.7070 1.0865
        0.9422 1.4754 1.4570 0.8296 0.7154 1.0605
        0.4753 0.8434 0.8296 0.4937 0.3474 0.6565
        0.4576 0.7070 0.7154 0.3474 0.6654 0.2935
        0.6310 1.0865 1.0605 0.6565 0.2935 0.9450""", all_scores)
    all_weights = ops.softmax(all_scores)
    yield figure("all weights", """
        0.2098 0.2006 0.1981 0.1242 0.1220 0.1452
        0.1385 0.2379 0.2333 0.1240 0.1082 0.1581
        0.1390 0.2369 0.2326 0.1242 0.1108 0.1565
        0.1435 0.2074 0.2046 0.1462 0.1263 0.1720
        0.1526 0.1958 0.1975 0.1367 0.1879 0.1295
        0.1385 0.2184 0.2128 0.1420 0.0988 0.1896""", all_weights)
    yield figure("sums of the weights", "1.0000 1.0000 1.0000 1.0000 1.0000 1.0000",
                 all_weights.sum(axis=-1))
    yield figure("all contexts", """
        0.4421 0.5931 0.5790
        0.4419 0.6515 0.5683
        0.4431 0.6496 0.5671
        0.4304 0.6298 0.5510
        0.4671 0.5910 0.5266
        0.4177 0.6503 0.5645""", all_weights @ INPUTS)


def _with_weights() -> Iterator[Figure]:
    figure, rng = at("3.4.1"), TorchGenerator(123)
    q, k, v = (INPUTS @ rng.rand(3, 2) for _ in range(3))
    yield figure("query of input 2", "0.4306 1.4551", q[1])
    yield figure("score of inputs 2 and 2", "1.8524", q[1] @ k[1])
    scores = k @ q[1]
    yield figure("its scores", "1.2705 1.8524 1.8111 1.0795 0.5577 1.5440", scores)
    weights = ops.softmax(scores / np.sqrt(np.float32(2)))
    yield figure("its weights", "0.1500 0.2264 0.2199 0.1311 0.0906 0.1820", weights)
    yield figure("its context", "0.3061 0.8210", weights @ v)
    figure = at("3.4.2", "listing 3.1")
    yield figure("contexts, uniform matrices", """
        0.2996 0.8053
        0.3061 0.8210
        0.3058 0.8203
        0.2948 0.7939
        0.2927 0.7891
        0.2990 0.8040""", _weights(q, k) @ v)
    figure = at("3.4.2", "listing 3.2")
    q, k, v = _projected(TorchGenerator(789))
    yield figure("contexts, linear layers", """
        -0.0739 0.0713
        -0.0748 0.0703
        -0.0749 0.0702
        -0.0760 0.0685
        -0.0763 0.0679
        -0.0754 0.0693""", _weights(q, k) @ v)


def _causal() -> Iterator[Figure]:
    figure = at("3.5.1")
    q, k, v = _projected(TorchGenerator(789))
    weights = _weights(q, k)
    yield figure("weights, linear layers", """
        0.1921 0.1646 0.1652 0.1550 0.1721 0.1510
        0.2041 0.1659 0.1662 0.1496 0.1665 0.1477
        0.2036 0.1659 0.1662 0.1498 0.1664 0.1480
        0.1869 0.1667 0.1668 0.1571 0.1661 0.1564
        0.1830 0.1669 0.1670 0.1588 0.1658 0.1585
        0.1935 0.1663 0.1666 0.1542 0.1666 0.1529""", weights)
    yield figure("without the future", """
        0.1921 0.0000 0.0000 0.0000 0.0000 0.0000
        0.2041 0.1659 0.0000 0.0000 0.0000 0.0000
        0.2036 0.1659 0.1662 0.0000 0.0000 0.0000
        0.1869 0.1667 0.1668 0.1571 0.0000 0.0000
        0.1830 0.1669 0.1670 0.1588 0.1658 0.0000
        0.1935 0.1663 0.1666 0.1542 0.1666 0.1529""", np.tril(weights))
    causal = """
        1.0000 0.0000 0.0000 0.0000 0.0000 0.0000
        0.5517 0.4483 0.0000 0.0000 0.0000 0.0000
        0.3800 0.3097 0.3103 0.0000 0.0000 0.0000
        0.2758 0.2460 0.2462 0.2319 0.0000 0.0000
        0.2175 0.1983 0.1984 0.1888 0.1971 0.0000
        0.1935 0.1663 0.1666 0.1542 0.1666 0.1529"""
    visible = np.tril(weights)
    yield figure("divided by their sums", causal, visible / visible.sum(axis=-1, keepdims=True))
    yield figure("scores, the future masked", """
        0.2899 -inf -inf -inf -inf -inf
        0.4656 0.1723 -inf -inf -inf -inf
        0.4594 0.1703 0.1731 -inf -inf -inf
        0.2642 0.1024 0.1036 0.0186 -inf -inf
        0.2183 0.0874 0.0882 0.0177 0.0786 -inf
        0.3408 0.1270 0.1290 0.0198 0.1290 0.0078""",
                 np.where(np.tri(6, dtype=bool), q @ k.T, -np.inf))
    # attention over one-hot values gives the weights themselves
    weights = ops.causal_attention(q, k, np.eye(6, dtype=np.float32))
    yield figure("their softmax", causal, weights)
    figure = at("3.5.2")
    yield figure("dropout of ones, rate 0.5", """
        2. 2. 0. 2. 2. 0.
        0. 0. 0. 2. 0. 2.
        2. 2. 2. 2. 0. 2.
        0. 2. 2. 0. 0. 2.
        0. 2. 0. 2. 0. 2.
        0. 2. 2. 2. 2. 0.""",
                 ops.dropout(np.ones((6, 6), np.float32), rate=0.5, rng=TorchGenerator(123)))
    yield figure("dropout of the weights", """
        2.0000 0.0000 0.0000 0.0000 0.0000 0.0000
        0.0000 0.0000 0.0000 0.0000 0.0000 0.0000
        0.7599 0.6194 0.6206 0.0000 0.0000 0.0000
        0.0000 0.4921 0.4925 0.0000 0.0000 0.0000
        0.0000 0.3966 0.0000 0.3775 0.0000 0.0000
        0.0000 0.3327 0.3331 0.3084 0.3331 0.0000""",
                 ops.dropout(weights, rate=0.5, rng=TorchGenerator(123)))
    figure = at("3.5.3", "listing 3.3")
    q, k, v = (np.stack([part, part]) for part in _projected(TorchGenerator(123)))
    yield figure("causal contexts, two equal texts", _twice("""
        -0.4519 0.2216
        -0.5874 0.0058
        -0.6300 -0.0632
        -0.5675 -0.0843
        -0.5526 -0.0981
        -0.5299 -0.1081"""), ops.causal_attention(q, k, v))


def _several_heads() -> Iterator[Figure]:
    figure, rng = at("3.6.1", "listing 3.4"), TorchGenerator(123)
    heads = [ops.causal_attention(*_projected(rng)) for _ in range(2)]
    side_by_side = np.concatenate(heads, axis=-1)
    yield figure("two heads side by side", _twice("""
        -0.4519 0.2216 0.4772 0.1063
        -0.5874 0.0058 0.5891 0.3257
        -0.6300 -0.0632 0.6202 0.3860
        -0.5675 -0.0843 0.5478 0.3589
        -0.5526 -0.0981 0.5321 0.3428
        -0.5299 -0.1081 0.5077 0.3493"""), np.stack([side_by_side, side_by_side]))
    figure, rng = at("3.6.2", "listing 3.5"), TorchGenerator(123)
    qkv = np.concatenate(_projected(rng), axis=-1)[None].repeat(2, axis=0)      # (2, 6, 6)
    mixed = ops.multi_head_attention(qkv, n_head=2)
    yield figure("two heads of one matrix", _twice("""
        0.3190 0.4858
        0.2943 0.3897
        0.2856 0.3593
        0.2693 0.3873
        0.2639 0.3928
        0.2575 0.4028"""), ops.linear(mixed, *rng.linear(2, 2)))
    figure = at("3.6.2")
    heads_of_four = np.array([
        [[0.2745, 0.6584, 0.2775, 0.8573], [0.8993, 0.0390, 0.9268, 0.7388],
         [0.7179, 0.7058, 0.9156, 0.4340]],
        [[0.0772, 0.3565, 0.1479, 0.5331], [0.4066, 0.2318, 0.4545, 0.9737],
         [0.4606, 0.5159, 0.4220, 0.5786]],
    ], np.float32)
    yield figure("scores of two heads", """
        1.3208 1.1631 1.2879
        1.1631 2.2150 1.8424
        1.2879 1.8424 2.0402
        0.4391 0.7003 0.5903
        0.7003 1.3737 1.0620
        0.5903 1.0620 0.9912""", heads_of_four @ heads_of_four.swapaxes(-1, -2))


def _projected(rng: TorchGenerator) -> tuple[Array, Array, Array]:
    """Query, key and value of INPUTS, each (6, 2), by linear layers without bias."""
    q, k, v = (ops.linear(INPUTS, *rng.linear(3, 2, bias=False)) for _ in range(3))
    return q, k, v


def _weights(q: Array, k: Array) -> Array:
    weights: Array = ops.softmax(q @ k.T / np.sqrt(np.float32(q.shape[-1])))
    return weights


def _twice(printed: str) -> str:
    return f"{printed}\n{printed}"


PARTS: Parts = {
    "3.3": _without_weights, "3.4": _with_weights, "3.5": _causal, "3.6": _several_heads,
}
"""Every number that the chapter prints."""

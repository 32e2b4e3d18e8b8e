"""The same layers, quicker: kernels under the names of `npgpt.layers`, and the set FAST of them.

    from npgpt.fast.ops import FAST
    model = GPT2(config, params, ops=FAST)

A file here is named like the layer that it speeds up, and is proven equal to it. README.md in this
folder says by which rules, and how to add one. Fast ops take float32 and float64; complex steps
belong to the textbook.
"""

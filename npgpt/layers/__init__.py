"""The textbook: every layer of GPT-2 as an explicit NumPy forward and backward function.

One file a layer: the mathematics first, then forward, then backward. All keep one contract:

    x_forward(*arrays, **settings)  -> (out, cache)
    x_backward(dout, cache)         -> one gradient per array, None for integer ids

Nothing is exported from here on purpose: `npgpt.layers.gelu` is the module with the derivation,
`TEXTBOOK.gelu` of `npgpt.ops` is the op that a tape records.
"""

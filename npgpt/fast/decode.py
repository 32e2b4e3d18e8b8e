"""Reading a few tokens at a time: matrix-vector products over weights that stream from memory.

In work: the reader for decoding, one token or a few rows at a time.
"""

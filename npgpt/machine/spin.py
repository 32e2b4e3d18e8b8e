"""How long OpenBLAS's threads wait in a spin when they are out of work; set before NumPy loads it.

By itself that is 2^26 cycles, some 25 ms: nothing is quicker for product after product, as for one
token. But while they spin, our own threads share the cores with them, and whatever comes next, a
portion of several tokens or a prompt, takes up to twice as long. 2^22 cycles, some 1.5 ms, still
bridge the gaps within a token. Measured on 124M: one token 20.6 ms against 21.6, a portion of two
38.7 against 69.5, speculating 15.9 a token against 19.5.

A value in the environment stays. Where NumPy was loaded before, this comes too late and harms
nothing.
"""

import os

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "22")

import subprocess
import sys

import pytest

CODE = """
import resource, sys
import numpy as np
from npgpt.machine.malloc import keep_freed_memory

assert keep_freed_memory() and keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    arrays = [np.ones(700_000, np.float32) for _ in range(20)]
    return sum(float(a[-1]) for a in arrays)

work()
before = faults()
for _ in range(10):
    work()
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is asked")
def test_memory_that_was_freed_is_used_again_without_page_faults():
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    if "AssertionError" in result.stderr:
        pytest.skip("this C library has no mallopt")
    # 56 MB in 20 arrays, ten times over: 13 000 pages each time if they went back to the kernel
    assert int(result.stdout) < 1000

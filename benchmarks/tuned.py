"""Import this before anything that loads NumPy: the process is tuned as the command line's is."""

from npgpt.machine import tune

tune()

"""`python -m npgpt` is the same as `npgpt`."""

import sys

from .cli import entry

if __name__ == "__main__":
    sys.exit(entry())

"""`python -m npgpt` is the same as `npgpt`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m simulator`: the same as the command `simulator`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

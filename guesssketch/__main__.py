"""``python -m guesssketch``."""

import sys

from guesssketch.cli import run

if __name__ == "__main__":
    sys.exit(run())

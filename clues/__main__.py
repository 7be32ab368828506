"""``python -m clues`` is ``clues``."""

import sys

from clues.cli import main

sys.exit(main())

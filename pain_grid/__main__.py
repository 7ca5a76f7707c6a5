"""The command `pain-grid`, also as `python -m pain_grid`."""

import sys

from pain_grid.commands import main

sys.exit(main())

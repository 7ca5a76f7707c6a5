"""The command `python -m grid.tracking`."""

import sys

from grid.tracking.sync import main

sys.exit(main())

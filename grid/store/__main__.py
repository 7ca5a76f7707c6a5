"""The command `python -m grid.store`."""

import sys

from grid.removal.forget import main

sys.exit(main())

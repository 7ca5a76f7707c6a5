"""The command `python -m grid.monitor`."""

import sys

from grid.monitor.prometheus import main

sys.exit(main())

"""The command `python -m dataprep.check`."""

import sys

from dataprep.check.command import main

sys.exit(main())

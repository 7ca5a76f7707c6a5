"""The command `python -m dataprep.manifest`."""

import sys

from dataprep.manifest.command import main

sys.exit(main())

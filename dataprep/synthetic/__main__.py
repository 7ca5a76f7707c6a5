"""The command `python -m dataprep.synthetic`."""

import sys

from dataprep.synthetic.dataset import main

sys.exit(main())

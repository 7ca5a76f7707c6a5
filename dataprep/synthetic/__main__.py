"""The command `python -m dataprep.synthetic`."""

from dataprep.synthetic.dataset import main

main()

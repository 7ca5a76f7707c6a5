"""The command `pain-grid`: a subcommand for each `python -m` form of the four packages."""

"""The grid: what is wanted, planned, worked on, scored, mirrored and shown. `python -m grid.launch` is the one command."""

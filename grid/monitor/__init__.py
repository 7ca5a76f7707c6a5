"""How far a run is: progress on the terminal, status from the result folder, figures for Prometheus. `python -m grid.monitor`."""

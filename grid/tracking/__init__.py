"""MLflow as a mirror of the result folder. `python -m grid.tracking`.

MLflow is imported here and nowhere else; the store and the tables stay the truth.
"""

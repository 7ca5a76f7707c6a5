"""Data sets that are described by a table: `manifest.csv`, a row per trial, and `dataset.toml`, how its files are read.

Here is what dataset.toml may say (`layout`), how files of every kind become columns of numbers (`text`, `formats`), how a trial
is cut out of them (`signals`), how the table becomes trials (`table`) and how both files are drafted (`draft`). The reader that
the project sees is dataprep/datasets/manifest.py.
"""

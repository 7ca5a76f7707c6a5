"""The work of a worker: prepare a recording, fit, predict, run one trial of a search.

Pure functions of a specification and prepared arrays; who calls them, where and when is decided in grid/execute.
"""

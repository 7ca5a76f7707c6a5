"""The plan of an experiment on a data set: recordings, training and test sets, fits, searches and predictions, with keys.

Nothing here decodes, trains or starts anything; neither Ray nor MLflow is imported.
"""

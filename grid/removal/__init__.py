"""Removing a subject from stores, result folders and MLflow, and searching for what is left of it.

Above the store and the mirror, since it removes from both.
"""

"""Frozen trunks: face crops in, one feature vector a frame out; their published weights."""

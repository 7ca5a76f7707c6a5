"""From stored predictions to scores, tables and statistics, and what made them.

Held-out labels meet predictions here and nowhere before.
"""

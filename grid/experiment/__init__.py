"""What is wanted: experiment files, the rows and cells of the grid, scenarios and search spaces.

Reads TOML and names. Knows no recording, no key and no stored artefact.
"""

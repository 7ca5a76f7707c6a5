"""The artefact store: identity, files, layout, leases of drivers, locks and content hashes. `python -m grid.store forget`.

Knows what an artefact is called and that it is whole; knows nothing of subjects, rows or networks.
"""

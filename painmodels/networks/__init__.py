"""The sub-networks, one file each: a module that exports `NETWORK` adds one (painmodels/registry.py)."""

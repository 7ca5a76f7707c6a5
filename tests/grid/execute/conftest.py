"""One Ray for the tests of this folder that do not need one of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

STORE_MB = 100


@pytest.fixture(scope="package")
def small_ray() -> Iterator[None]:
    """Ray with the smallest useful object store. A run that is started beside it works on it, and leaves it running."""
    from grid.execute.ray_executor import Cluster, ray  # what it sets in the environment is read where Ray is imported

    with pytest.MonkeyPatch.context() as patch:
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, object_store_memory=STORE_MB * 1024**2, log_to_driver=False
        )
        patch.setattr(Cluster, "close", lambda self: None)
        yield
        ray.shutdown()

"""The runs of one MLflow experiment, found by their key's tag before they are made: writing again changes nothing."""

from __future__ import annotations

import time
from threading import Lock

import numpy as np
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient

from grid.keys import digest

BATCH = {"metrics": 1000, "params": 100, "tags": 100}
"""What one call may carry."""
KEY_TAG, CONTENT_TAG = "grid.key", "grid.content"


class Runs:
    """The experiment `name`, made if it is not there, with its artefacts at `place` (None: where the server says).

    `count` says how many runs were made, updated and found as they should be. Every method may raise MlflowException.
    """

    def __init__(self, client: MlflowClient, name: str, place: str | None) -> None:
        self.client = client
        self.counting = Lock()
        found = client.get_experiment_by_name(name)
        if found is None:
            self.experiment = client.create_experiment(name, artifact_location=place)
        else:
            self.experiment = found.experiment_id
        self.known = {r.data.tags[KEY_TAG]: r for r in self._runs() if KEY_TAG in r.data.tags}
        self.count = {"made": 0, "updated": 0, "unchanged": 0}

    def _runs(self) -> list[Run]:
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs([self.experiment], max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _tell(self, what: str) -> None:
        with self.counting:
            self.count[what] += 1

    def write(self, key: str, tags: dict, params: dict, metrics: list[tuple[str, float, int]], *, failed: bool) -> str:
        """The run with this key, holding exactly this; made, completed or left as it is."""
        metrics = [m for m in metrics if np.isfinite(m[1])]
        status = "FAILED" if failed else "FINISHED"
        # A later version of the code that finds the same results does not touch them: they keep the version that made them.
        same = [{k: v for k, v in pairs.items() if k != "code_version"} for pairs in (tags, params)]
        content = digest([same, [[n, repr(v), s] for n, v, s in metrics], status])
        run = self.known.get(key)
        if run is not None and run.data.tags.get(CONTENT_TAG) == content and run.info.status == status:
            self._tell("unchanged")
            return run.info.run_id
        now = int(time.time() * 1000)
        if run is None:
            name = tags["mlflow.runName"]
            run = self.client.create_run(self.experiment, start_time=now, run_name=name, tags={**tags, KEY_TAG: key})
            self._tell("made")
        else:
            self._tell("updated")
        run_id = run.info.run_id
        points = [Metric(n, v, now, s) for n, v, s in metrics]
        pairs = [Param(n, v) for n, v in params.items()] if not run.data.params else []
        size = BATCH["metrics"] - len(pairs) - len(tags) - 1
        chunks = [points[i : i + size] for i in range(0, len(points), size)] or [[]]
        for i, chunk in enumerate(chunks):
            # The mark of completeness comes last: a run cut short by a crash lacks it and is written again.
            marks = {**(tags if i == 0 else {}), **({CONTENT_TAG: content} if i == len(chunks) - 1 else {})}
            self.client.log_batch(run_id, chunk, pairs if i == 0 else [], [RunTag(k, v) for k, v in marks.items()])
        self.client.set_terminated(run_id, status)
        return run_id

"""The runs of one MLflow experiment, found by their key's tag before they are made: writing again changes nothing.

A write that was cut short is completed without a point twice: points carry the time at which their run was made, and the
database refuses the same point a second time. A request that failed is tried again, since a busy server may be slow to answer
and one that was restarted is back in seconds; a run is looked for before it is made again, because the request may have been
carried out although its answer was lost.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from threading import Lock
from typing import TypeVar

import numpy as np
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from dataprep.records import SYNTHETIC
from grid.store.identity import digest

BATCH = {"metrics": 1000, "params": 100, "tags": 100}
"""What one call may carry; 1000 in all."""
KEY_TAG, CONTENT_TAG = "grid.key", "grid.content"
WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Between tries of a write, give or take half. A server takes about ten seconds to come back."""
REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_PARAMETER_VALUE", "ENDPOINT_NOT_FOUND")
"""Answers that another try would not change."""
T = TypeVar("T")


def retry(work: Callable[[], T], waits_s: tuple[float, ...] = WAITS_S) -> T:
    """The result of `work`, tried again after each of the waits. Raises the last MlflowException, or at once one that stays."""
    for wait_s in waits_s:
        try:
            return work()
        except MlflowException as error:
            if error.error_code in REFUSED:
                raise
        time.sleep(wait_s * random.uniform(0.5, 1.5))  # many writers that failed together should not come back together
    return work()


class Runs:
    """The experiment `name`, made if it is not there, with its artefacts at `place` (None: where the server says).

    `count` says how many runs were made, updated and found as they should be. Every method may raise MlflowException. Safe with
    several threads, as long as no two write the same key.
    """

    def __init__(self, client: MlflowClient, name: str, place: str | None) -> None:
        self.client, self.name = client, name
        self.counting = Lock()
        self.experiment: str = retry(lambda: self._experiment(name, place), WAITS_S[:1])
        self.known: dict[str, Run] = {}
        self.count = {"made": 0, "updated": 0, "unchanged": 0}
        self.tried_again = False
        retry(self._learn)

    def _experiment(self, name: str, place: str | None) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return self.client.create_experiment(name, artifact_location=place)
            except MlflowException as error:
                found = self.client.get_experiment_by_name(name)  # made by another writer meanwhile
                if found is None:
                    raise error
        return found.experiment_id

    def _learn(self, only: str = "") -> None:
        """Existing runs by key. If a lost answer left several runs of one key, the complete one is kept."""
        every = [r for r in self._listed(only) if KEY_TAG in r.data.tags]
        for run in sorted(every, key=lambda r: (CONTENT_TAG not in r.data.tags, r.info.start_time, r.info.run_id)):
            key = run.data.tags[KEY_TAG]
            kept = self.known.setdefault(key, run)
            if kept.info.run_id == run.info.run_id:
                self.known[key] = run
            else:
                self.client.delete_run(run.info.run_id)

    def _listed(self, key: str) -> Iterator[Run]:
        token = None
        wanted = f"tags.`{KEY_TAG}` = '{key}'" if key else ""
        while True:
            page = self.client.search_runs([self.experiment], wanted, max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def describe(self, text: str) -> None:
        """Set the description on the experiment's page, in Markdown."""
        if self.client.get_experiment(self.experiment).tags.get("mlflow.note.content") != text:
            self.client.set_experiment_tag(self.experiment, "mlflow.note.content", text)

    def settle(self) -> None:
        """After all writes: remove runs that were made twice because an answer came too late."""
        if self.tried_again:
            retry(self._learn)

    def write(self, key: str, tags: dict, params: dict, metrics: list[tuple[str, float, int]], *, failed: bool) -> str:
        """The run with this key, holding exactly this; made, completed or left as it is. Gives its id.

        `metrics` are names, values and steps; the points of one name stand together, their last step last. The name of a run on
        synthetic data says so.
        """
        first = True
        if tags.get("data") == SYNTHETIC:
            tags = {**tags, "mlflow.runName": f"{tags['mlflow.runName']} · {SYNTHETIC}"}

        def once() -> str:
            nonlocal first
            if not first:
                self.tried_again = True
                self._learn(key)
            first = False
            return self._write(key, tags, params, metrics, failed=failed)

        return retry(once)

    def _tell(self, what: str) -> None:
        with self.counting:
            self.count[what] += 1

    def _write(self, key: str, tags: dict, params: dict, metrics: list[tuple[str, float, int]], *, failed: bool) -> str:
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
        made = run is None
        if run is None:
            name = tags["mlflow.runName"]
            run = self.client.create_run(self.experiment, start_time=now, run_name=name, tags={**tags, KEY_TAG: key})
        run_id, complete = run.info.run_id, CONTENT_TAG in run.data.tags
        points = _missing(run, metrics, now, complete=complete)
        if complete:  # not any more: should this write be cut short, the next one must know
            self.client.delete_tag(run_id, CONTENT_TAG)
        pairs = [Param(n, v) for n, v in params.items() if n not in run.data.params]
        marks = [RunTag(k, v) for k, v in tags.items()]
        while pairs or marks or points:
            some, others = pairs[: BATCH["params"]], marks[: BATCH["tags"]]
            size = BATCH["metrics"] - len(some) - len(others)
            self.client.log_batch(run_id, points[:size], some, others)
            points, pairs, marks = points[size:], pairs[len(some) :], marks[len(others) :]
        # The mark of completeness comes last: a run cut short by a crash lacks it and is written again.
        self.client.set_tag(run_id, CONTENT_TAG, content)
        self.client.set_terminated(run_id, status)
        self._tell("made" if made else "updated")
        return run_id


def _missing(run: Run, metrics: list[tuple[str, float, int]], now_ms: int, *, complete: bool) -> list[Metric]:
    """The points that a run lacks, or may lack. A value that changed is newer than the run, all others as old as it is."""
    times, last = Counter(n for n, _, _ in metrics), {n: v for n, v, _ in metrics}
    have = run.data.metrics
    points = []
    for name, value, step in metrics:
        sure = complete or times[name] == 1  # a curve may have been cut short at a value that equals its last
        if sure and name in have and have[name] == last[name]:
            continue
        points.append(Metric(name, value, now_ms if sure and name in have else run.info.start_time, step))
    return points

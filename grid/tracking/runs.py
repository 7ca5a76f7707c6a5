"""The runs of one MLflow experiment, found by their key's tag before they are made: writing again changes nothing.

A write that was cut short is completed without a point twice: points carry the time at which their run was made, and the
database refuses the same point a second time. A request that failed is tried again, since a busy server may be slow to answer
and one that was restarted is back in seconds; a run is looked for before it is made again, because the request may have been
carried out although its answer was lost.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
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
KEY_TAG, CONTENT_TAG, LAYOUT_TAG = "grid.key", "grid.content", "grid.layout"
LAYOUT = "2"
"""Of names and times: a run of an older layout is made again, since neither can be changed. 2: settings.…, times of work."""
PLAIN = "workflowType=machine_learning"
"""In an address of MLflow 3: of trained models, not of language models; what a browser opens with otherwise."""
VIEW_TAG, VIEWED = "mlflow.sharedViewState.rows", f"{PLAIN}&viewStateShareKey=rows"
"""A view of the table of runs that an address asks for: the rows, the best first, with the columns that tell them apart."""
VIEW = {
    "searchFilter": "tags.kind = 'row'",
    "orderByKey": "metrics.`accuracy`",
    "orderByAsc": False,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "selectedColumns": [
        *("params.`modality`", "params.`scenario`", "metrics.`accuracy`", "metrics.`accuracy_low`"),
        *("metrics.`accuracy_high`", "tags.`claim`", "tags.`learned`", "attributes.`Duration`"),
    ],
}
WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Between tries of a write, give or take half. A server takes about ten seconds to come back."""
REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_PARAMETER_VALUE", "ENDPOINT_NOT_FOUND")
"""Answers that another try would not change."""
T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """What a run holds. `metrics` are names, values and steps; the points of one name stand together, their last step last.

    `span`: start and end of the work in ms, where they are known. `files`: artefacts by name; they are written when the rest
    has changed. `{run_id}` in a tag becomes the run's id.
    """

    key: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[tuple[str, float, int]]
    failed: bool = False
    span: tuple[int, int] | None = None
    files: dict[str, bytes] | Callable[[], dict[str, bytes]] = field(default_factory=dict)


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


FOLDER_TAG = "grid.folder"
"""On an experiment: machine and result folder that its overview, and the means of its rows, were written from last."""


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

    def describe(self, text: str = "") -> None:
        """Set the description on the experiment's page, in Markdown; and its kind, so that the page opens with the runs."""
        tags = {"mlflow.experimentKind": "custom_model_development", VIEW_TAG: json.dumps(VIEW)}
        tags |= {"mlflow.note.content": text} if text else {}
        there = self.client.get_experiment(self.experiment).tags
        for name, value in tags.items():
            if there.get(name) != value:
                self.client.set_experiment_tag(self.experiment, name, value)

    def written_by(self, folder: str) -> str | None:
        """Note which result folder writes here now; gives the one that did before, if it was another."""
        before = self.client.get_experiment(self.experiment).tags.get(FOLDER_TAG)
        if before != folder:
            self.client.set_experiment_tag(self.experiment, FOLDER_TAG, folder)
        return before if before != folder else None

    def settle(self) -> None:
        """After all writes: remove runs that were made twice because an answer came too late."""
        if self.tried_again:
            retry(self._learn)

    def write(self, entry: Entry) -> str:
        """The run with this key, holding exactly this; made, completed or left as it is. Gives its id.

        The name of a run on synthetic data says so.
        """
        first = True
        if entry.tags.get("data") == SYNTHETIC:
            entry = replace(entry, tags={**entry.tags, "mlflow.runName": f"{entry.tags['mlflow.runName']} · {SYNTHETIC}"})

        def once() -> str:
            nonlocal first
            if not first:
                self.tried_again = True
                self._learn(entry.key)
            first = False
            return self._write(entry)

        return retry(once)

    def _tell(self, what: str) -> None:
        with self.counting:
            self.count[what] += 1

    def _write(self, entry: Entry) -> str:
        metrics = [m for m in entry.metrics if np.isfinite(m[1])]
        status = "FAILED" if entry.failed else "FINISHED"
        # A later version of the code that finds the same results does not touch them: they keep the version that made them.
        same = [{k: v for k, v in pairs.items() if not k.endswith("code_version")} for pairs in (entry.tags, entry.params)]
        content = digest([same, [[n, repr(v), s] for n, v, s in metrics], status])
        run = self.known.get(entry.key)
        if run is not None and run.data.tags.get(LAYOUT_TAG) != LAYOUT:
            self.client.delete_run(run.info.run_id)
            run = None
        if run is not None and run.data.tags.get(CONTENT_TAG) == content and run.info.status == status:
            self._tell("unchanged")
            return run.info.run_id
        now = int(time.time() * 1000)
        start, end = entry.span or (now, now)
        made = run is None
        if run is None:
            name, marks = entry.tags["mlflow.runName"], {KEY_TAG: entry.key, LAYOUT_TAG: LAYOUT}
            run = self.client.create_run(self.experiment, start_time=start, run_name=name, tags={**entry.tags, **marks})
        run_id, complete = run.info.run_id, CONTENT_TAG in run.data.tags
        points = _missing(run, metrics, now, complete=complete)
        if complete:  # not any more: should this write be cut short, the next one must know
            self.client.delete_tag(run_id, CONTENT_TAG)
        pairs = [Param(n, v) for n, v in entry.params.items() if n not in run.data.params]
        self._log(run_id, points, pairs, [RunTag(k, v.replace("{run_id}", run_id)) for k, v in entry.tags.items()])
        self._attach(run_id, entry.files() if callable(entry.files) else entry.files)
        # The mark of completeness comes last: a run cut short by a crash lacks it and is written again.
        self.client.set_tag(run_id, CONTENT_TAG, content)
        self.client.set_terminated(run_id, status, end_time=end)
        self._tell("made" if made else "updated")
        return run_id

    def _log(self, run_id: str, points: list[Metric], pairs: list[Param], marks: list[RunTag]) -> None:
        while pairs or marks or points:
            some, others = pairs[: BATCH["params"]], marks[: BATCH["tags"]]
            size = BATCH["metrics"] - len(some) - len(others)
            self.client.log_batch(run_id, points[:size], some, others)
            points, pairs, marks = points[size:], pairs[len(some) :], marks[len(others) :]

    def _attach(self, run_id: str, files: dict[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
                self.client.log_artifact(run_id, str(Path(folder) / name))


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

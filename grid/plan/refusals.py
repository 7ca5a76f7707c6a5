"""Why a row cannot be computed on a data set at all, whichever fold it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dataprep.records import DataSet
from grid.experiment.cells import Row, channel_of
from grid.plan.nodes import Node
from painmodels.methods.adaptation import cannot
from painmodels.tasks import Task


def refusal(
    row: Row,
    nodes: Collection[Node],
    *,
    dataset: DataSet,
    known: Mapping[str, Mapping[str, str]],
    learns: Task,
    steps: tuple[int, int],
    adapt: str = "",
) -> str:
    """The first reason, in words; empty if there is none. `known`: the keys of recordings, and of what controls see.

    `adapt`: how the row is to be adapted to the tested people.
    """
    for signal in row.signals:
        if channel_of(signal, dataset.channels) not in dataset.channels:
            return f"the data set {dataset.name} has no {signal} signal{dataset.lacking.get(signal, '')}"
    for column in row.columns:
        if not known.get(column):
            return f"the data set {dataset.name} says nothing of the {row.control} of a trial"
    if any(n.settings.classes != learns.n_classes for n in nodes):
        this = f"{learns.kind} ({', '.join(learns.names)})"
        return f"the method {row.method} tells two classes apart and does no other task; this one is {this}"
    reasons = (reason for n in nodes if (reason := n.why_not(dataset, steps)))
    return next(reasons, cannot(row.name, [n.trained for n in nodes], adapt) if adapt else "")

"""Tasks: what is learnt of a trial. Every module of this folder that exports `TASK` adds one (painmodels/tasks/task.py).

An experiment names its task in [task]; networks are told it by their settings (painmodels/registry.py), and nothing else in the
project knows what a prediction holds, how it is scored or what a report shows of it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from dataprep.records import InputError
from painmodels.tasks.task import Task


@cache
def tasks() -> dict[str, type[Task]]:
    """All tasks by kind."""
    found: dict[str, type[Task]] = {}
    for info in pkgutil.iter_modules(__path__):
        kind = getattr(importlib.import_module(f"{__name__}.{info.name}"), "TASK", None)
        if kind is not None:
            found[kind.kind] = kind
    return found


def kind_of(kind: str, n_classes: int) -> str:
    """The kind that is meant where none is named: `binary` for two classes, `multiclass` for more."""
    return kind or ("binary" if n_classes == 2 else "multiclass")


def task(kind: str, names: tuple[str, ...], **options: Any) -> Task:
    """The task of that kind on these classes. Raises InputError for an unknown kind and for what it cannot be made of."""
    name = kind_of(kind, len(names))
    if name not in tasks():
        raise InputError(f"no task is called {name!r}; there are: {', '.join(sorted(tasks()))}")
    known = {f.name for f in fields(tasks()[name])}
    given = {key: value for key, value in options.items() if value}
    if unknown := sorted(given.keys() - known):
        raise InputError(f"task.{unknown[0]}: found {given[unknown[0]]!r}; the task {name} has no such setting")
    return tasks()[name](names, **given)


@cache
def unnamed(kind: str, n_classes: int) -> Task:
    """A task of so many classes (0: of numbers) whose names are not known: enough for training."""
    return tasks()[kind_of(kind, n_classes)](tuple(map(str, range(max(n_classes, 2)))))


PAIN = unnamed("", 2)
"""The task where none is named."""


def task_of_run(run: Mapping[str, Any]) -> Task:
    """The task of a run, from the content of its run.json; runs of older versions name its classes alone, or nothing."""
    experiment = run.get("experiment")
    told_of = experiment.get("task") if isinstance(experiment, Mapping) else None
    table = dict(told_of) if isinstance(told_of, Mapping) else {}
    names = tuple(map(str, table.get("classes", ())))
    data = run.get("data")
    told = data.get("class_names") if isinstance(data, Mapping) else None
    if not names:
        names = tuple(map(str, told)) if isinstance(told, list) and len(told) >= 2 else ("no pain", "pain")
    return task_of_table(table, names)


def task_of_table(table: Mapping[str, Any], names: tuple[str, ...]) -> Task:
    """The task of a table [task] as JSON has it, on these classes."""
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items() if key not in ("kind", "classes")}
    return task(str(table.get("kind", "")), names, **options)

"""Pictures of predictions: one window with its signals and faces, or a long recording over time. T steps, C channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from painmodels.use.model_files import of_no_pain
from painmodels.use.over_time import Event
from painmodels.use.predictions import Estimate, Prediction
from painmodels.use.predictor import Predictor

FACES = 8
RED, BLUE, GREY = "#b2182b", "#2166ac", "#636363"


@dataclass(frozen=True)
class OverTime:
    """What is drawn of a long recording: estimates in order, and the events above the threshold."""

    estimates: Sequence[Estimate]
    events: Sequence[Event]
    threshold: float


def _figure(rows: Sequence[float], *, title: str, note: str) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        len(rows), 1, figsize=(9, 0.9 + sum(rows)), squeeze=False, layout="constrained", gridspec_kw={"height_ratios": rows}
    )
    figure.suptitle(title, fontsize=10)
    figure.supxlabel(note, fontsize=8, color=GREY)
    return figure, axes[:, 0]


def _note(model: Predictor) -> str:
    said = "research software, not a medical device"
    told = of_no_pain(model.about).rstrip(".")
    return f"{told[0].lower()}{told[1:]}; {said}" if told else said


def _faces(axis: Any, crops: Sequence[np.ndarray], times_s: Sequence[float], span_s: tuple[float, float]) -> None:
    """Of eight equal parts of the time, the crop that is nearest to its middle; none where there is none."""
    width_s = (span_s[1] - span_s[0]) / FACES
    axis.set(yticks=[], xticks=[])
    axis.set_ylabel("face", rotation=0, ha="right", va="center")
    for left in span_s[0] + width_s * np.arange(FACES):
        k = int(np.argmin(np.abs(np.asarray(times_s) - (left + width_s / 2))))
        if abs(times_s[k] - (left + width_s / 2)) <= width_s / 2 + 0.5:
            axis.imshow(crops[k], extent=(left + 0.03 * width_s, left + 0.97 * width_s, 0, 1), aspect="auto")
    axis.set(xlim=span_s, ylim=(0, 1))


def plot(
    model: Predictor,
    found: Prediction,
    path: Path,
    *,
    names: Sequence[str],
    signals_TC: np.ndarray | None = None,
    crops: Sequence[np.ndarray] = (),
) -> None:
    """Draw one window: the strength of pain, faces, the score of each frame, the attention's weight, and signals on the clock.

    `names` are the files; `crops` one a step.
    """
    strength = model.learns.strength
    drawn: list[tuple[str, np.ndarray, np.ndarray]] = []
    for name, values_T in (("by frame", found.frames_T), ("attention", found.attention_T)):
        if values_T is not None:
            drawn.append((name, found.times_s_T, values_T))
    if signals_TC is not None:
        t_T = np.arange(len(signals_TC)) / model.clock_hz
        drawn += [(channel, t_T, signals_TC[:, c]) for c, channel in enumerate(model.channels)]
    rows = [0.45, *([1.1] if len(crops) else []), *[1.1] * len(drawn)]
    called = "" if model.learns.thresholded else f", called {found.called()}"
    title = f"{', '.join(names)}\n{model.about['cell']}: {strength.title} {found.strength:.2f}{called}"
    figure, axes = _figure(rows, title=title, note=f"seconds after the start; {_note(model)}")
    axes[0].barh(0, found.strength - strength.span[0], left=strength.span[0], color=RED)
    axes[0].set(xlim=strength.span, yticks=[])
    axes[0].set_ylabel("p" if model.learns.thresholded else "value", rotation=0, ha="right", va="center")
    rest, span_s = list(axes[1:]), (0.0, model.window_s)
    if len(crops):
        _faces(rest.pop(0), crops, [k / model.clock_hz for k in range(len(crops))], span_s)
    for axis, (name, t_T, values_T) in zip(rest, drawn, strict=True):
        axis.plot(t_T, values_T, color=BLUE)
        axis.set(xlim=span_s)
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        if name == "by frame":
            axis.set_ylim(*strength.span)
    figure.savefig(path, dpi=120)
    _close(figure)


def plot_over_time(
    model: Predictor,
    over: OverTime,
    path: Path,
    *,
    names: Sequence[str],
    signals: Sequence[tuple[str, np.ndarray, np.ndarray]] = (),
    faces: Sequence[tuple[float, np.ndarray]] = (),
) -> None:
    """Draw a long recording: the strength of pain over time with its threshold and events, faces, and signals.

    `signals`: name, times and values; `faces`: time and crop. Where there is no estimate, the line is broken and grey.
    """
    found, strength = over.estimates, model.learns.strength
    end_s = found[-1].time_s
    rows = [2.2, *([1.1] if faces else []), *[1.1] * len(signals)]
    title = f"{', '.join(names)}\n{model.about['cell']}: {strength.title} in windows of {model.window_s:g} s, by their ends"
    figure, axes = _figure(rows, title=title, note=f"seconds after the start; {_note(model)}")
    p_N = np.array([np.nan if e.strength is None else e.strength for e in found])
    t_N = np.array([e.time_s for e in found])
    axes[0].plot(t_N, p_N, color=RED, marker=".")
    axes[0].axhline(over.threshold, color=GREY, linestyle=":")
    for event in over.events:
        axes[0].axvspan(event.start_s, event.end_s, color=RED, alpha=0.12, linewidth=0)
    low, high = strength.span
    gone_N = np.isnan(p_N)
    axes[0].plot(t_N[gone_N], np.full(gone_N.sum(), low), "x", color=GREY)
    axes[0].set(xlim=(0, end_s), ylim=(low - 0.02 * (high - low), high))
    axes[0].set_ylabel("p" if model.learns.thresholded else "value", rotation=0, ha="right", va="center")
    rest = list(axes[1:])
    if faces:
        _faces(rest.pop(0), [crop for _, crop in faces], [time_s for time_s, _ in faces], (0.0, end_s))
    for axis, (name, times_s, values) in zip(rest, signals, strict=True):
        step = max(1, len(values) // 5000)
        axis.plot(times_s[::step], values[::step], color=BLUE, linewidth=0.8)
        axis.set(xlim=(0, end_s))
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    figure.savefig(path, dpi=120)
    _close(figure)


def _close(figure: Any) -> None:
    from matplotlib import pyplot

    pyplot.close(figure)

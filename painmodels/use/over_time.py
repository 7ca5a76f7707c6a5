"""A long recording, window after window: the strength of pain over time, and the events above a threshold.

    found = over_time(model, video="v.mp4", signals="x_bio.csv", hop_s=1.0)     # an Estimate every second of the recording
    for event in events(found, threshold=0.5, window_s=model.window_s): …

Windows are as long as the trials of the training, and end at `window_s`, `window_s + hop_s` … after the start. Each one is judged
as a recording of that length would be: signals are cut to it before they are filtered and scaled. The face is followed through
the whole video once; where it is lost, or no frame came, the windows that hold the gap have a reason and no value, and it is
looked for again. A recording of minutes is meant: 20 MB of features a minute are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dataprep.faces import CHUNK, FaceSettings, together
from dataprep.records import InputError
from dataprep.signals.clock import on_clock
from dataprep.video.decode import Video, open_video
from painmodels.training.loop import one_thread
from painmodels.use.arrays import signals_on_clock, window_samples
from painmodels.use.judgeable import NoEstimate
from painmodels.use.live_face import LiveFace, Seen
from painmodels.use.predictions import Estimate
from painmodels.use.predictor import Predictor
from painmodels.use.reading import File


@dataclass(frozen=True)
class Event:
    """Windows in a row whose strength (painmodels.tasks.used) is above a threshold.

    It lasts from the start of the first of them, `start_s`, to the end of the last, `end_s`; the window with the highest value,
    `peak`, ends at `peak_s`.
    """

    start_s: float
    end_s: float
    windows: int
    peak: float
    peak_s: float


def over_time(
    model: Predictor,
    *,
    video: File | None = None,
    signals: File | None = None,
    hop_s: float = 1.0,
    show: Callable[[float, np.ndarray], None] = lambda time_s, crop: None,
) -> list[Estimate]:
    """An estimate for every window of a recording, in order; `hop_s` is brought to whole steps of the clock.

    `show` is called with time and crop about once a second. An input that ends before another leaves a reason. Raises
    RecordingError for a bad file, InputError where one lacks and for a recording that ends before the first window does.
    """
    model.check_given(video=video is not None, signals=signals is not None)
    if not hop_s > 0:
        raise InputError(f"hop_s: found {hop_s}, expected seconds, more than 0")
    hop = max(1, round(hop_s * model.clock_hz))
    window = (model.clock_hz, model.n_steps)
    with one_thread():
        read = model.native_signals(signals) if model.uses_signals and signals is not None else {}
        lacking = [c for c in model.inputs if c not in read]
        if lacking:
            raise InputError(f"{signals}: found channels {', '.join(read)}, expected {', '.join(lacking)} among them")
        video_TF, seen_T = of_video(model, video, show=show) if model.uses_video and video is not None else (None, None)
        ends_s = {f"channel {c}": len(read[c][0]) / read[c][1] for c in model.inputs}
        if seen_T is not None:
            ends_s["the video"] = (len(seen_T) - 1) / model.clock_hz  # its last step holds the one before
        known = [None if video_TF is None else m.each_step(video_TF) for m in model.members]
        out = []
        for end in range(model.n_steps, int(max(ends_s.values()) * model.clock_hz + 1e-6) + 2, hop):
            time_s = end / model.clock_hz
            ended = [(name, end_s) for name, end_s in ends_s.items() if end_s < time_s - 1 / model.clock_hz - 1e-6]
            if len(ended) == len(ends_s):
                break
            if ended:
                out.append(Estimate(time_s, None, f"{ended[0][0]} ended at {ended[0][1]:.2f} s", model.learns.columns))
                continue
            part = slice(end - model.n_steps, end)
            try:
                samples = {}
                for c in model.inputs:
                    values, rate_hz = read[c]
                    first, last = window_samples(end, rate_hz=rate_hz, window=window)
                    samples[c] = (values[first:last], rate_hz)
                signals_TC = (
                    signals_on_clock(samples, model.recorded, window=window, steps=model.signal_steps) if samples else None
                )
                parts = [None if x is None else {name: v[part] for name, v in x.items()} for x in known]
                found = model.of_steps(parts, None if seen_T is None else seen_T[part], signals_TC)
                out.append(Estimate(time_s, found))
            except NoEstimate as reason:
                out.append(Estimate(time_s, None, str(reason), model.learns.columns))
    if not out:
        ended_s = max(ends_s.values())
        raise InputError(f"the recording ended at {ended_s:.2f} s, before the first window of {model.window_s:.2f} s")
    return out


def of_video(
    model: Predictor, video: File, *, show: Callable[[float, np.ndarray], None] = lambda time_s, crop: None
) -> tuple[np.ndarray, np.ndarray]:
    """What a row takes of all steps of a video, (T, F), 0 where there is no face; and where there is one, (T,) bool.

    After the last frame one more step holds it, as `predict` does with the one frame that may be missing.
    """
    take, of = model.columns_of(), model.members[0].columns
    found: list[np.ndarray] = []
    waiting: list[Seen] = []
    seen: list[bool] = []

    def release() -> None:
        if waiting:
            found.append(take(together(waiting, model.face_settings)))
            waiting.clear()

    opened = open_video(str(video), decoder=model.face_settings.decoder, stream=model.face_settings.stream)
    for face in faces_over_time(opened, model.face_settings, clock_hz=model.clock_hz, frames=of.frames):
        seen.append(face is not None)
        if face is not None:
            waiting.append(face)
            if len(seen) % round(model.clock_hz) == 1:
                show((len(seen) - 1) / model.clock_hz, face[0])
        if len(waiting) == CHUNK:
            release()
    release()
    seen_T = np.array([*seen, False])
    video_TF = np.zeros((len(seen_T), of.width), of.dtype)
    if found:
        video_TF[seen_T] = np.concatenate(found)
    if seen and seen[-1]:
        video_TF[-1] = video_TF[-2]
    return video_TF, seen_T


def faces_over_time(video: Video, settings: FaceSettings, *, clock_hz: float, frames: bool = False) -> Iterator[Seen | None]:
    """The face of every step, or None where it is lost, or no frame came, for too long; `frames`: with the whole pictures."""
    face = LiveFace(settings, rate_hz=clock_hz, name=str(video.path), frames=frames)
    for step in on_clock(video, clock_hz=clock_hz):
        yield from face(step)
    yield from face.rest()


def events(estimates: Sequence[Estimate], *, threshold: float, window_s: float) -> list[Event]:
    """The events above a threshold, in order; a window without an estimate ends one."""
    out: list[Event] = []
    run: list[tuple[float, float]] = []
    for estimate in [*estimates, Estimate(0.0, None)]:
        p = estimate.strength
        if p is not None and p > threshold:
            run.append((estimate.time_s, p))
        elif run:
            peak_s, peak = max(run, key=lambda x: x[1])
            out.append(Event(start_s=run[0][0] - window_s, end_s=run[-1][0], windows=len(run), peak=peak, peak_s=peak_s))
            run = []
    return out

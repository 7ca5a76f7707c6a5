"""Recordings of trials as a part takes them: stacked, and cut to the window that is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dataprep.recordings import recording
from dataprep.signals.derived import rate_of
from grid.experiment.cells import channel_of, is_signal
from grid.plan.nodes import OWN_RATE
from grid.plan.specs import Fit
from grid.work.blocks import Blocks
from painmodels.methods.graph import Recordings
from painmodels.training.normalise import Limits, normalised


class Windows:
    """Reads recordings out of blocks."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self._n_frames: dict[str, int] = {}  # of the trials whose video was read

    def recordings(self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...]) -> Recordings:
        """What an estimator sees of these trials, in the window that is used and in the data set's units."""
        part = job.part
        taken = {i.recording for i in part.inputs}
        signals: dict[str, np.ndarray] = {}
        if "signals" in taken:
            x_NTC = self.signals(job, ids)
            signals = {word: x_NTC[..., i] for i, word in enumerate(w for w in part.words if w != "video")}
        rate_hz = next((rate_of(word) for word in part.words if rate_of(word)), part.clock_hz)
        if rate_hz != part.clock_hz:
            taken -= {OWN_RATE}
            signals = self.of_channels(OWN_RATE, job, ids)
        made: dict[str, Any] = {}
        for name in taken - {"signals", "faces", "subject", "control"}:
            made[name] = self.of_channels(name, job, ids) if recording(name).of_channel else self.of_video(name, job, ids)
        faces = self.of_video("faces", job, ids) if "faces" in taken else None
        of_whom = subjects if "subject" in taken else ()
        return Recordings(
            n=len(ids),
            rate_hz=rate_hz,
            signals=signals,
            faces=faces,
            subjects=of_whom,
            controls=tuple(part.controls[t] for t in ids) if "control" in taken else (),
            made=made,
            rates_hz=part.rates_hz,
        )

    def signals(self, job: Fit, ids: tuple[str, ...]) -> np.ndarray:
        first, last = job.steps
        return np.stack([x[first:last, list(job.part.channels)] for x in self.blocks.signals(ids)])

    def of_channels(self, name: str, job: Fit, ids: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Word -> what is made of its channel, (N, …), of the window that is used."""
        blocks, along, part = self.blocks.of_channels(name, ids), recording(name).along, job.part
        found = {}
        for word in filter(is_signal, part.words):
            x_N = np.stack([block[channel_of(word, block)] for block in blocks])
            rate_hz = {"steps": part.clock_hz, "samples": part.rates_hz.get(word, 0.0)}.get(along, 0.0)
            first, last = (round(step / part.clock_hz * rate_hz) for step in job.steps)
            found[word] = x_N[:, first:last] if along else x_N
        return found

    def of_network(
        self, name: str, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...], limits: Limits | None
    ) -> tuple[np.ndarray, Limits | None]:
        """`signals`, or what is made of each channel, as an input of a network, (N, T, C), scaled; and what was fitted."""
        if name == "signals":
            x_NTC, rate_hz = self.signals(job, ids), job.part.clock_hz
        else:
            x_NTC, rate_hz = joined(self.of_channels(name, job, ids), recording(name).along), rate_of(job.part.words[0])
        if not job.normalise:
            return x_NTC, limits
        return normalised(x_NTC, how=job.normalise, subjects=subjects, fitted=limits, rate_hz=rate_hz)

    def of_video(self, name: str, job: Fit, ids: tuple[str, ...]) -> np.ndarray:
        """One of the recordings that are made of the video, (N, T, …), of the steps that are used."""
        kind, (first, last) = recording(name), job.steps
        if name == "mask" and self._n_frames.keys() >= set(ids):  # known from what was read before: no file is opened
            return np.stack([np.arange(first, last) < self._n_frames[t] for t in ids])
        if kind.of_track:
            tracks = self.blocks.tracks(ids)
            self._n_frames.update({t: track.n_frames for t, track in zip(ids, tracks, strict=True)})
            blocks = [kind.of_track(track) for track in tracks]
        else:
            blocks = self.blocks.of_video(name, ids)
            self._n_frames.update({t: len(x) for t, x in zip(ids, blocks, strict=True)})
        if not kind.along:
            return np.stack(blocks)
        # a step without a frame shows the last one again
        return np.stack([x[np.arange(first, last).clip(max=len(x) - 1)] for x in blocks])


def joined(of_words: Mapping[str, np.ndarray], along: str) -> np.ndarray:
    """What is made of several channels as one input of a network: one value a step or sample becomes a column of (N, T, C)."""
    arrays = [x[..., None] if along and x.ndim == 2 else x for x in of_words.values()]
    return np.concatenate(arrays, axis=-1)

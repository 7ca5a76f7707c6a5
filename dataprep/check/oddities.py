"""Oddities of usable recordings: a channel freezes or spikes, a face lies on its side or upside down.

Each oddity has a kind and a sentence that says where it is and for how long. Nothing here changes what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataprep.video.face_tracking import FaceTrack

FROZEN_S, FROZEN_SHARE = 1.0, 0.2  # at least as long, and as much of the recording: sensors of few bits repeat a value
SPIKE_S = 0.006  # a spike is shorter: half of the fastest wave of a heart beat
SPIKE_SPAN, SPIKE_OUTLIER = 0.5, 10.0  # in parts of the channel's usual span; and of its usual departure from its neighbours
TILT_DEG, TURN = (
    30.0,
    0.45,
)  # of the line of the eyes or that from eyes to mouth; of the nose from the eyes' middle, in distances of the eyes: about 35°
LASTING_S = 0.2

Oddity = tuple[str, str]


def of_channel(values: np.ndarray, rate_hz: float) -> Iterator[Oddity]:
    """Oddities of one channel's (n,) finite samples."""
    from scipy.ndimage import median_filter  # 60 MB that no worker on videos needs

    x = np.asarray(values, dtype=np.float64)
    if len(x) < 8 or not np.isfinite(x).all() or not np.ptp(x):
        return
    low, high = np.quantile(x, [0.01, 0.99])
    span = float(high - low) or float(np.ptp(x))
    still = np.abs(np.diff(x)) <= 1e-6 * span
    start, length = longest_run(still)
    if length and (length + 1) / rate_hz >= max(FROZEN_S, FROZEN_SHARE * len(x) / rate_hz):
        where = f"from {start / rate_hz:.2f} s to {(start + length) / rate_hz:.2f} s"
        yield "frozen", f"stays at {x[start]:g} for {(length + 1) / rate_hz:.2f} s ({where})"
    width = 2 * max(2, round(SPIKE_S * rate_hz)) + 1
    off = np.abs(x - median_filter(x, size=width, mode="nearest"))
    usual = max(float(np.quantile(off, 0.98)), 0.01 * span)
    at = np.flatnonzero((off > SPIKE_SPAN * span) & (off > SPIKE_OUTLIER * usual))
    if at.size:
        times = ", ".join(f"{t / rate_hz:.3f}" for t in _first_of_each(at)[:5])
        n = len(_first_of_each(at))
        yield (
            "spikes",
            f"has {n} spike{'s' if n > 1 else ''} of up to {off[at].max() / span:.1f} times its span (at {times} s)",
        )


def of_track(track: FaceTrack, rate_hz: float) -> Iterator[Oddity]:
    """Oddities of a face by its landmarks (T, 5, 2): right eye, left eye, nose, corners of the mouth; y down."""
    eyes, nose, mouth = track.landmarks_T52[:, :2], track.landmarks_T52[:, 2], track.landmarks_T52[:, 3:].mean(axis=1)
    seen = track.scores_T > 0
    line, middle = eyes[:, 1] - eyes[:, 0], eyes.mean(axis=1)
    upside_down = seen & (middle[:, 1] > mouth[:, 1])
    down = mouth - middle
    # Landmarks of a face on its side are drawn towards those of an upright one: the larger of two estimates.
    by_eyes, by_mouth = np.arctan2(line[:, 1], line[:, 0]), np.arctan2(-down[:, 0], down[:, 1])
    tilt_deg = np.degrees(np.maximum(np.abs(by_eyes), np.abs(by_mouth)))
    distance = np.linalg.norm(line, axis=1).clip(1e-6)
    along = ((nose - middle) * line).sum(axis=1) / distance**2
    tilted = seen & ~upside_down & (tilt_deg > TILT_DEG)
    aside = seen & ~upside_down & ~tilted & (np.abs(along) > TURN)
    for kind, flags, sentence in (
        ("upside-down", upside_down, "has its eyes below its mouth"),
        (
            "tilted",
            tilted,
            f"is tilted by more than {TILT_DEG:g}°, at most by {tilt_deg[tilted].max(initial=0):.0f}°,",
        ),
        ("turned", aside, "is turned to one side by more than about 35°"),
    ):
        start, length = longest_run(flags)
        if length >= max(1, round(LASTING_S * rate_hz)):
            where = f"the longest from {start / rate_hz:.2f} s to {(start + length) / rate_hz:.2f} s"
            yield kind, f"the face {sentence} for {int(flags.sum()) / rate_hz:.2f} of {len(track) / rate_hz:.2f} s ({where})"


def longest_run(flags: np.ndarray) -> tuple[int, int]:
    """Start and length of the longest run of True; (0, 0) for none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    if not lengths.size:
        return 0, 0
    best = int(lengths.argmax())
    return int(starts[best]), int(lengths[best])


def _first_of_each(at: np.ndarray) -> np.ndarray:
    return at[np.concatenate([[True], np.diff(at) > 3])]

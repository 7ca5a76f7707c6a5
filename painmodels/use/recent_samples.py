"""The recent samples of a running recording: what came of each channel, what is missing, and the window that ends at a step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dataprep.records import InputError
from dataprep.signals.resampling import n_samples
from painmodels.use.arrays import check_rate, signals_on_clock, window_samples


class RecentSamples:
    """`values`: recorded channel -> the samples that are kept, those that later windows may need; `rates_hz`: of each.

    `recorded`: channel of the model -> the recorded channel that it is made of. `clock_hz` and `n_steps` are the window.
    """

    def __init__(self, recorded: Mapping[str, str], rates_hz: Mapping[str, float], *, clock_hz: float, n_steps: int) -> None:
        self.recorded, self.channels = dict(recorded), tuple(dict.fromkeys(recorded.values()))
        self.rates_hz, self.clock_hz, self.n_steps = dict(rates_hz), clock_hz, n_steps
        missing = [c for c in self.channels if c not in self.rates_hz]
        if missing:
            raise InputError(f"rates_hz: found {sorted(self.rates_hz)}, expected a rate for {', '.join(missing)}")
        for channel, rate_hz in self.rates_hz.items():
            check_rate(rate_hz, channel=channel, clock_hz=clock_hz)
        self.values = {c: np.empty(0) for c in self.channels}
        self.dropped = dict.fromkeys(self.channels, 0)  # samples before the first one kept

    def add(self, values: Mapping[str, np.ndarray], *, at_s: float | None = None) -> None:
        """The next samples of some channels, (n,) each; `at_s`: the time of the first, before which some may be missing."""
        for channel, given in values.items():
            if channel not in self.values:
                raise InputError(
                    f"samples: found channel {channel!r}, expected some of {', '.join(self.channels) or 'none'}"
                )
            new = np.asarray(given, dtype=np.float64)
            if new.ndim != 1:
                raise InputError(f"samples: channel {channel}: found shape {new.shape}, expected one row of values")
            if at_s is not None:
                self._skip_to(channel, at_s)
            self.values[channel] = np.concatenate([self.values[channel], new])

    def _skip_to(self, channel: str, at_s: float) -> None:
        """Fill with unknown values up to the sample at this time."""
        rate_hz, kept = self.rates_hz[channel], self.values[channel]
        arrived = self.arrived(channel)
        gap = round(at_s * rate_hz) - arrived if np.isfinite(at_s) else -2
        if gap < -1:
            last_s = arrived / rate_hz
            raise InputError(
                f"samples: channel {channel}: found at_s = {at_s}, expected {last_s:.3f} or later: time goes on"
            )
        most = n_samples(rate_hz=rate_hz, clock_hz=self.clock_hz, n_steps=self.n_steps)
        if gap > most:  # no window reaches further back
            self.dropped[channel] += len(kept) + gap - most
            kept, gap = np.empty(0), most
        self.values[channel] = np.concatenate([kept, np.full(max(0, gap), np.nan)])

    def arrived(self, channel: str) -> int:
        """How many samples came, since the start."""
        return self.dropped[channel] + len(self.values[channel])

    @property
    def come_s(self) -> list[float]:
        """Until when each channel came, in s since the start."""
        return [self.arrived(c) / self.rates_hz[c] for c in self.channels]

    def wanted(self, channel: str, end: int) -> tuple[int, int]:
        """First and one-past-last sample of the window that ends before step `end`, counted from the start of the stream."""
        return window_samples(end, rate_hz=self.rates_hz[channel], window=(self.clock_hz, self.n_steps))

    def lacking(self, end: int) -> str:
        """The channel whose part of that window is not there yet, in words; empty if all of it is."""
        for c, come_s in zip(self.channels, self.come_s, strict=True):
            if self.arrived(c) < self.wanted(c, end)[1]:
                return f"channel {c}: no sample came after {come_s:.2f} s"
        return ""

    def on_clock(self, end: int, *, steps: tuple[int, int]) -> np.ndarray | None:
        """That window, (n_steps, C), of which `steps` are used; None without channels. Raises NoEstimate for what cannot be
        judged."""
        samples = {}
        for channel in self.channels:
            first, last = (i - self.dropped[channel] for i in self.wanted(channel, end))
            samples[channel] = (self.values[channel][first:last], self.rates_hz[channel])
        return (
            signals_on_clock(samples, self.recorded, window=(self.clock_hz, self.n_steps), steps=steps) if samples else None
        )

    def forget(self, end: int) -> None:
        """Drop the samples that no window that ends at `end` or later needs."""
        for c in self.channels:
            old = min(max(0, self.wanted(c, end)[0] - self.dropped[c]), len(self.values[c]))
            self.values[c] = self.values[c][old:]
            self.dropped[c] += old

"""Signals on the clock: what happens at a moment stays there, what is too fast is removed, what is broken is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dataprep.records import RecordingError
from dataprep.signals.files import NoValueError, read_table
from dataprep.signals.resampling import to_clock

BIOVID = {"rate_hz": 512.0, "clock_hz": 25.0, "n_steps": 138}
TIME_S = np.arange(2816) / 512


def test_a_biovid_trial_becomes_138_float32_steps():
    x = to_clock(np.ones(2816), **BIOVID)
    assert x.shape == (138,)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, 1.0, atol=1e-6)


def test_slow_waves_keep_their_value_at_every_moment():
    wave = np.sin(2 * np.pi * 1.3 * TIME_S + 0.4) + 0.5 * TIME_S
    clock_s = np.arange(138) / 25
    kept, wanted = to_clock(wave, **BIOVID), np.sin(2 * np.pi * 1.3 * clock_s + 0.4) + 0.5 * clock_s
    np.testing.assert_allclose(kept[1:-1], wanted[1:-1], atol=5e-3)
    np.testing.assert_allclose(kept, wanted, atol=1e-2)  # nobody knows how the wave goes on beyond the ends


@pytest.mark.parametrize("hz", [16, 20, 24.5, 50, 60, 100, 200])
def test_waves_above_the_nyquist_frequency_do_not_fold_back(hz):
    inner = to_clock(np.sin(2 * np.pi * hz * TIME_S), **BIOVID)[10:-10]
    assert np.abs(inner).max() < 0.06


def test_the_pass_band_is_kept():
    assert np.abs(to_clock(np.sin(2 * np.pi * 6 * TIME_S), **BIOVID)).max() > 0.95


@pytest.mark.parametrize("at_s", [0.8, 2.0, 4.4])
def test_a_step_and_an_impulse_stay_at_their_time(at_s):
    step = to_clock((at_s <= TIME_S).astype(float), **BIOVID)
    clock_s = np.arange(138) / 25
    near = np.abs(clock_s - at_s) < 0.05
    assert np.interp(0.5, step[near], clock_s[near]) == pytest.approx(at_s, abs=0.005)  # it passes the middle on time
    impulse = np.exp(-0.5 * ((TIME_S - at_s) / 0.05) ** 2)
    assert clock_s[to_clock(impulse, **BIOVID).argmax()] == pytest.approx(at_s)


def test_the_ends_of_a_signal_are_filtered_as_its_middle_is() -> None:
    """The first and last step of an EMG vary as the others do, not as its samples: a trial's range is not that of two samples."""
    made = np.random.default_rng(0)
    x_NT = np.stack([to_clock(made.normal(size=2816), rate_hz=512, clock_hz=25, n_steps=138) for _ in range(200)])
    inside = x_NT[:, 20:-20].std()
    for end in (x_NT[:, 0], x_NT[:, -1]):
        assert 0.5 * inside < end.std() < 2.5 * inside


def test_nothing_is_filtered_when_the_rates_are_the_same_or_the_signal_is_slower():
    x = np.array([0, 5, 0, -5, 0.0])
    np.testing.assert_array_equal(to_clock(x, rate_hz=4, clock_hz=4, n_steps=5), x.astype(np.float32))
    np.testing.assert_array_equal(to_clock(x, rate_hz=4, clock_hz=8, n_steps=4), np.float32([0, 2.5, 5, 2.5]))


def test_a_signal_one_step_short_holds_its_last_value_and_a_shorter_one_is_refused():
    np.testing.assert_array_equal(to_clock(np.arange(9.0), rate_hz=4, clock_hz=4, n_steps=10)[-2:], [8, 8])
    one_step_short = int(136 / 25 * 512) + 2
    assert np.isfinite(to_clock(np.ones(one_step_short), **BIOVID)).all()
    with pytest.raises(RecordingError, match=r"found 2700 rows, expected at least 2807"):
        to_clock(np.ones(2700), **BIOVID)
    with pytest.raises(RecordingError, match="found 8 rows, expected at least 10"):
        to_clock(np.arange(8.0), rate_hz=4, clock_hz=4, n_steps=10)
    with pytest.raises(RecordingError, match="found 0 rows"):
        to_clock(np.array([]), rate_hz=4, clock_hz=4, n_steps=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_values_that_are_not_finite_are_counted_and_placed(value):
    x = np.ones(2816)
    x[[17, 300]] = value
    with pytest.raises(RecordingError, match=r"2 values that are not finite .* row 17"):
        to_clock(x, **BIOVID)


@given(arrays(np.float64, st.integers(0, 60)), st.floats() | st.floats(0.01, 1000), st.integers(-1, 40))
@settings(max_examples=150, deadline=None)
def test_any_numbers_give_finite_steps_or_a_data_error(x, rate_hz, n_steps):
    refusal, y = "", None
    try:
        y = to_clock(x, rate_hz=rate_hz, clock_hz=5.0, n_steps=n_steps)
    except RecordingError as e:
        refusal = str(e)
    assert "found" in refusal if y is None else (y.shape == (n_steps,) and np.isfinite(y).all())


@pytest.mark.parametrize("ends", [b"\r", b"\r\n", b"\n"])
def test_line_ends_of_any_system_are_read(tmp_path: Path, ends: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(ends.join([b"time\tgsr", b"0\t1.5", b"1\t2.5", b""]))
    table = read_table(tmp_path / "a.csv", columns=("time", "gsr"))
    np.testing.assert_array_equal(table["gsr"], [1.5, 2.5])


@pytest.mark.parametrize("field", ["", "NA", "N/A", "null", "#N/A", " ", "-"])
def test_fields_without_a_value_are_a_fault_of_their_own_with_their_place(tmp_path: Path, field: str) -> None:
    (tmp_path / "a.csv").write_text(f"time\tgsr\tnote\n0\t1.5\tx\n1\t{field}\tx\n2\t{field}\tx\n")
    with pytest.raises(NoValueError, match=r"found 2 fields without a value \(the first is .* in row 2, column 'gsr'\)"):
        read_table(tmp_path / "a.csv", columns=("time", "gsr"))


def test_other_columns_may_lack_values(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time\tgsr\tnote\n0\t1.5\t\n1\t2.5\tNA\n")
    assert len(read_table(tmp_path / "a.csv", columns=("time", "gsr"))["gsr"]) == 2

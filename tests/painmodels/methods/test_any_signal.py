"""Every method sees a signal that nobody has named before."""

import numpy as np
import pytest

from dataprep.records import InputError
from grid.experiment.cells import row
from painmodels.methods import methods
from painmodels.methods.graph import Recordings
from painmodels.methods.tables import feature_table, on_features

SEE_SIGNALS = sorted(name for name, entry in methods().items() if "eda" in entry.on and name != "hybrid")


@pytest.mark.parametrize("name", SEE_SIGNALS)
def test_a_channel_of_any_name_is_a_word_of_rows(name: str) -> None:
    beside = "+video" if methods()[name].joins else ""
    found = row(f"grip_force{beside}:{name}")
    assert (found.name, found.signals, found.method) == (f"grip_force{beside}:{name}", ("grip_force",), name)
    if methods()[name].several and not beside:
        assert row(f"grip_force+eda:{name}").name == f"eda+grip_force:{name}"


def test_a_method_without_signals_says_what_it_sees() -> None:
    with pytest.raises(InputError, match="it sees eda and every other signal"):
        row("frame:argmax")


def test_features_of_a_signal_of_which_nothing_is_known() -> None:
    t_T = np.arange(100) / 25
    ramp, wave = np.tile(t_T, (3, 1)), np.tile(np.sin(2 * np.pi * t_T), (3, 1))
    seen = Recordings(3, 25.0, {"eda": ramp, "grip_force": wave})
    table = feature_table(seen)
    assert np.isfinite(table).all()
    alone = feature_table(Recordings(3, 25.0, {"grip_force": wave}))
    np.testing.assert_array_equal(table[:, -alone.shape[1] :], alone)
    slower = feature_table(Recordings(1, 25.0, {"grip_force": np.sin(np.pi * t_T)[None]}))
    assert not np.allclose(alone[:1], slower)
    left = feature_table(Recordings(3, 25.0, {"eda_left": ramp}))  # a second channel of a known signal
    np.testing.assert_array_equal(left, feature_table(Recordings(3, 25.0, {"eda": ramp})))


def test_beside_a_signal_that_needs_its_own_rate_the_unknown_one_is_taken_on_the_clock() -> None:
    (part,) = on_features(None)(("emg", "grip_force"), None)  # type: ignore[arg-type]
    assert part.recordings == ("domain", "signals")
    domain = {"emg": np.ones((3, 100, 13), np.float32), "grip_force": np.full((3, 100, 13), np.nan)}
    wave = np.tile(np.sin(np.arange(100.0)), (3, 1))
    seen = Recordings(3, 25.0, {"emg": wave, "grip_force": wave}, made={"domain": domain})
    table = feature_table(seen)
    assert table.shape[1] == 9 + feature_table(Recordings(3, 25.0, {"grip_force": wave})).shape[1]
    assert np.isfinite(table).all()
    (part,) = on_features(None)(("emg", "ecg"), None)  # type: ignore[arg-type]
    assert part.recordings == ("domain",)

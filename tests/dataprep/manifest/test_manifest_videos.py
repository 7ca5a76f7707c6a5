"""A long video of a person holds several trials: each is cut out at its start, and told where the video is too short."""

from pathlib import Path

import numpy as np
import pytest

from dataprep.check.recordings import measure
from dataprep.datasets import recognise
from dataprep.faces import FaceSettings, prepare_video
from grid.plan.preparation import video_job
from tests.dataprep.video.makers import Kind, face, write

SETTINGS = """name = "long"
[window]
length_s = 0.4
[classes]
order = ["none", "pain"]
"""
ROWS = "trial,subject,label,video,start_s,end_s\na,p1,none,p1.mp4,0,0.4\nb,p1,pain,p1.mp4,0.4,0.8\nc,p1,pain,p1.mp4,7.5,8\n"


def lab(root: Path, rows: str = ROWS, more: str = "") -> Path:
    root.mkdir()
    write(root / "p1.mp4", Kind(options={"g": "5"}), face())
    (root / "manifest.csv").write_text(rows)
    (root / "dataset.toml").write_text(SETTINGS + more)
    return root


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    root = lab(tmp_path_factory.mktemp("x") / "lab")
    data = recognise(root)
    return data, data.read_trials(root)[0]


def test_the_trials_of_a_long_video_are_its_parts(cut):
    data, trials = cut
    assert [t.video_start_s for t in trials] == [0.0, 0.4, 7.5]
    found = []
    for trial in trials[:2]:
        crops: list[np.ndarray] = []
        prepare_video(trial.video, FaceSettings(), n_steps=data.n_steps, on_crops=crops.extend, part=trial.video_part)
        assert len(crops) == 10
        found += crops
    whole: list[np.ndarray] = []
    prepare_video(trials[0].video, FaceSettings(), n_steps=20, on_crops=whole.extend)
    assert np.abs(np.stack(found).astype(int) - np.stack(whole)).mean() < 8  # boxes are smoothed over each trial by itself
    assert np.abs(found[0].astype(int) - found[15]).mean() > np.abs(found[15].astype(int) - whole[15]).mean()


def test_the_check_tells_row_and_column_of_a_trial_that_the_video_does_not_have(cut):
    data, trials = cut
    good, beyond = (measure(t, data, FaceSettings()) for t in trials[1:])
    assert [f.kind for f in good.findings if f.kind in ("length", "unreadable")] == []
    reason = beyond.findings[0].reason
    assert "p1.mp4: found 0.80 s of video, expected a trial of 0.4 s at 7.5 s" in reason
    assert "manifest.csv: row 4, column 'start_s'" in reason


def test_the_keys_of_a_trial_contain_where_it_is_cut(cut):
    data, trials = cut
    jobs = [video_job(t, "mark", settings=FaceSettings(), trunk=None, dataset=data) for t in trials]
    assert len({job.track.key for job in jobs}) == 3


def test_a_video_of_its_own_for_each_trial_and_one_that_begins_later(tmp_path):
    own = recognise(root := lab(tmp_path / "own", more="[files]\nvideo_per_trial = true\n"))
    assert [t.video_part for t in own.read_trials(root)[0]] == [None] * 3
    rows = "trial,subject,label,video,onset_s,video_at_s\na,p1,pain,p1.mp4,100.4,100\nb,p1,pain,p1.mp4,99,100\n"
    root = lab(tmp_path / "late", rows)
    (root / "dataset.toml").write_text(SETTINGS.replace("length_s", 'begin = "onset"\nlength_s'))
    trials, defects = recognise(root).read_trials(root)
    assert [t.video_start_s for t in trials] == [pytest.approx(0.4)]
    assert "row 3, column 'onset_s': found 99 s, which is 1 s before the video begins" in defects[0].reason

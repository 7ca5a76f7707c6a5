"""A folder of pictures as a video: what it shows and when, and what is said of folders that are none or not whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dataprep.datasets import recognise
from dataprep.faces import FaceSettings, follow
from dataprep.manifest.command import main
from dataprep.manifest.layout import Files
from dataprep.records import RecordingError, VideoPart
from dataprep.video.decode import open_video, steps
from grid.store.content_hashes import fingerprints
from tests.dataprep.datasets.trees import unbc


def pictures(
    folder: Path, numbers: range | list[int], *, name: str = "f{:03d}.png", size: tuple[int, int] = (32, 24)
) -> Path:
    """A picture for each number, whose blue is the number."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in numbers:
        x = np.full((size[1], size[0], 3), 200, np.uint8)
        x[..., 0] = n
        cv2.imwrite(str(folder / name.format(n)), x)
    return folder


def shown(folder: Path, n_steps: int, **how: float | VideoPart) -> list[int]:
    """The number of the picture at each step of a clock of 25 Hz."""
    video = open_video(folder, fills_s=n_steps / 25, **how)  # type: ignore[arg-type]
    return [int(f.planes[0][0, 0, 2]) for f in steps(video, clock_hz=25.0, n_steps=n_steps)]


def test_the_stated_rate_says_which_picture_is_shown_at_a_step(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", range(1, 41))
    assert shown(folder, 20, frames_hz=25.0) == list(range(1, 21))
    assert shown(folder, 20, frames_hz=50.0) == list(range(1, 41, 2))
    assert shown(folder, 20, frames_hz=0.0) == list(range(1, 41, 2))  # all of them fill the trial
    assert shown(folder, 80, frames_hz=0.0) == [n for n in range(1, 41) for _ in (0, 1)]
    (folder / "Thumbs.db").touch()
    (folder / "._f001.png").touch()
    (folder / "f001_facs.txt").touch()
    assert shown(folder, 5, frames_hz=25.0) == [1, 2, 3, 4, 5]
    with pytest.raises(RecordingError, match="40 pictures whose rate nobody says"):
        open_video(folder)


def test_numbers_are_ordered_as_numbers_and_a_missing_one_leaves_a_gap(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", [8, 9, 10, 12, 13], name="f{}.png")
    video = open_video(folder, frames_hz=25.0)
    assert video.said == ("1 of 6 pictures are missing by their numbers, the first after f10.png",)
    assert shown(folder, 6, frames_hz=25.0) == [8, 9, 10, 10, 12, 13]  # one is held, as of any video
    (folder / "f12.png").unlink()
    with pytest.raises(RecordingError, match="found no frame between"):
        shown(folder, 6, frames_hz=25.0)
    assert open_video(pictures(tmp_path / "b", [0, 5, 10]), frames_hz=25.0).said == ()  # every fifth


def test_a_trial_of_a_long_folder_begins_at_its_picture(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", range(1, 41))
    assert shown(folder, 10, frames_hz=25.0, part=VideoPart(0.8)) == list(range(21, 31))
    assert shown(folder, 4, frames_hz=12.5, part=VideoPart(0.84)) == [11, 12, 12, 13]
    with pytest.raises(RecordingError, match=r"40 pictures of 1.6 s, expected a trial at 1.6 s \(row 3\)"):
        open_video(folder, frames_hz=25.0, part=VideoPart(1.6, " (row 3)"))
    with pytest.raises(RecordingError, match="last as long as a trial"):
        open_video(folder, frames_hz=0.0, fills_s=1.0, part=VideoPart(0.8))


def test_a_manifest_names_a_folder_of_pictures_as_a_video(tmp_path: Path) -> None:
    unbc(tmp_path / "faces", people={"042-ll042": [5]}, frames=30, faces=True)
    folder = tmp_path / "faces" / "Images" / "042-ll042"
    (tmp_path / "manifest.csv").write_text("trial,subject,label,video\na,p1,pain,faces/Images/042-ll042/ll042t0aaff\n")
    settings = 'name = "lab"\n[window]\nlength_s = 1.2\n[classes]\norder = ["none", "pain"]\n'
    (tmp_path / "dataset.toml").write_text(settings)
    data = recognise(tmp_path)
    assert data.description["files"].keys() == Files().model_dump().keys() - {"outside", "video_per_trial", "frames_hz"}
    (trial,) = data.read_trials(tmp_path)[0]
    assert trial.video == str(folder / "ll042t0aaff")
    with pytest.raises(RecordingError, match=r"whose rate nobody says, expected .*frames_hz under \[files\]"):
        follow(trial.video, FaceSettings(), n_steps=30, frames_hz=trial.frames_hz)
    (tmp_path / "dataset.toml").write_text(settings + "[files]\nframes_hz = 25\n")
    assert recognise(tmp_path).read_trials(tmp_path)[0][0].frames_hz == 25
    assert len(follow(trial.video, FaceSettings(), n_steps=30, frames_hz=25.0).to_the_end()) == 30


def test_folders_of_pictures_are_drafted_as_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for person in ("p1", "p2"):
        for label in ("rest", "pain"):
            pictures(tmp_path / person / label, range(1, 51))
    assert main([str(tmp_path)]) == 0
    assert "how many pictures a second the folders hold. FILL IT IN" in capsys.readouterr().out
    data = recognise(tmp_path)
    trials, defects = data.read_trials(tmp_path)
    assert defects == ()
    assert [(t.subject, t.class_name, t.video, t.frames_hz) for t in trials][:2] == [
        ("p1", "pain", str(tmp_path / "p1" / "pain"), 25.0),
        ("p1", "rest", str(tmp_path / "p1" / "rest"), 25.0),
    ]
    assert data.n_steps == 50


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: (f / "face.png").write_bytes((f / "f001.png").read_bytes()), "'face.png', expected a number"),
        (lambda f: pictures(f, [1], name="g{:03d}.png"), "pictures of 2 series"),
        (lambda f: pictures(f, [1], name="f{:02d}.png"), "the number 1 twice"),
        (lambda f: pictures(f, [2], size=(24, 32)), "f002.png: is 24x32, the first 32x24"),
        (lambda f: (f / "f002.png").write_bytes((f / "f002.png").read_bytes()[:60]), "f002.png: the picture was cut off"),
        (lambda f: (f / "f002.png").write_bytes(b""), "f002.png: the file is empty"),
        (lambda f: cv2.imwrite(str(f / "f002.png"), np.full((24, 32), 900, np.uint16)), "16-bit values of at most 900"),
        (lambda f: cv2.imwrite(str(f / "f002.png"), np.zeros((24, 32, 4), np.uint8)), "see-through"),
        (lambda f: [p.unlink() for p in f.iterdir()], "a folder without pictures"),
    ],
)
def test_what_cannot_be_used_is_told_by_name(tmp_path: Path, spoil, told: str) -> None:
    folder = pictures(tmp_path / "a", [1, 2, 3])
    spoil(folder)
    with pytest.raises(RecordingError, match=told):
        shown(folder, 3, frames_hz=25.0)


def test_grey_and_16_bit_pictures_and_another_size_of_the_same_shape_are_shown(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", [1, 2, 3, 4])
    cv2.imwrite(str(folder / "f002.png"), np.full((24, 32), 100, np.uint8))
    cv2.imwrite(str(folder / "f003.png"), np.full((24, 32, 3), 257 * 100, np.uint16))
    pictures(folder, [4], size=(64, 48))
    frames = list(steps(open_video(folder, frames_hz=25.0), n_steps=4))
    assert [(f.width, f.height) for f in frames] == [(32, 24)] * 4
    assert [f.window((0, 0, 32, 24), width=2, height=2)[0, 0].tolist() for f in frames[1:3]] == [[100] * 3] * 2


def test_the_content_of_all_pictures_and_their_names_identify_a_folder(tmp_path: Path) -> None:
    folder, memory = pictures(tmp_path / "a", [1, 2]), tmp_path / "memory.json"
    mark = fingerprints([str(folder)], memory)[str(folder)]
    assert mark.startswith("pictures-")
    twin = pictures(tmp_path / "b", [1, 2])
    (twin / ".DS_Store").touch()
    assert fingerprints([str(twin)], memory)[str(twin)] == mark
    (twin / "f002.png").rename(twin / "f003.png")
    pictures(folder, [3])
    assert mark not in fingerprints([str(folder), str(twin)], memory).values()
    assert fingerprints([str(tmp_path)], memory) == {}  # no pictures in it

"""Faces followed and cut out: against the detector on every full frame, through gaps, among several people, and the CLI."""

from __future__ import annotations

import dataclasses
import gc
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from skimage import data

from dataprep import faces
from dataprep.faces import FaceSettings, FaceTrack, prepare_video
from dataprep.records import InputError, RecordingError
from dataprep.video.contact_sheet import ContactSheet
from dataprep.video.decode import DECODERS, Frame, open_video, steps
from dataprep.video.face_tracking import FaceLostError, Follower
from dataprep.video.retinaface import Face, overlap

CLIPS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "videos"
FACE = data.astronaut()[:300, 80:380]
SETTINGS = FaceSettings()
Places = Callable[[int], list[tuple[int, int, int]]]


def write(path: Path, n: int, places: Places, *, width: int = 640, height: int = 480, light: float = 1.0) -> Path:
    """A clip with the face pasted at every (x, y, side) that `places(t)` lists."""
    rng = np.random.default_rng(0)
    background = cv2.GaussianBlur(rng.integers(0, 255, (height, width, 3), np.uint8), (0, 0), 9)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for t in range(n):
            picture = background.copy()
            for x, y, side in places(t):
                picture[y : y + side, x : x + side] = cv2.resize(FACE, (side, side), interpolation=cv2.INTER_AREA)
            lit = (picture * light + 60 * (1 - light)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(lit, format="rgb24")))
        container.mux(stream.encode())
    return path


def swaying(t: int) -> list[tuple[int, int, int]]:
    return [(round(170 + 90 * np.sin(t / 9)), round(90 + 40 * np.sin(t / 6)), 280)]


def nodding_quickly(t: int) -> list[tuple[int, int, int]]:
    return [(180, round(100 + 90 * np.sin(t * 2 * np.pi / 20)), 280)]  # back in place at every key frame


def prepared(path: Path, settings: FaceSettings = SETTINGS, **options: object) -> tuple[FaceTrack, np.ndarray]:
    chunks: list[np.ndarray] = []
    track = prepare_video(path, settings, on_crops=chunks.append, **options)  # type: ignore[arg-type]
    assert all(1 <= len(chunk) <= 48 for chunk in chunks)
    return track, np.concatenate(chunks)


def agreement(path: Path, settings: FaceSettings) -> list[float]:
    """Overlap of the box followed and the nearest one detected in the full frame, for every frame where there is one."""
    track, detect, overlaps = prepare_video(path, settings), faces.load_detector(settings), []
    for frame, box_4 in zip(steps(open_video(path)), track.boxes_T4, strict=True):
        (found,) = detect([frame.window((0, 0, frame.width, frame.height), width=frame.width, height=frame.height)])
        if found:
            overlaps.append(max(float(overlap(box_4, face.box_4)) for face in found))
    return overlaps


@pytest.fixture(scope="module")
def sway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clips") / "sway.mp4", 60, swaying)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", list(DECODERS))
@pytest.mark.parametrize(("places", "most"), [(swaying, 25), (nodding_quickly, 45)])
def test_boxes_are_those_of_detection_in_every_full_frame(tmp_path: Path, places: Places, most: int, decoder: str) -> None:
    path = write(tmp_path / "a.mp4", 50, places)
    settings = dataclasses.replace(SETTINGS, decoder=decoder)
    overlaps = agreement(path, settings)
    assert np.mean(overlaps) >= 0.92
    assert np.min(overlaps) >= 0.75
    assert prepare_video(path, settings).detected_T.sum() <= most  # it does not look in every frame


def test_a_face_in_poor_light_is_followed_as_well(tmp_path: Path) -> None:
    """A quarter of the contrast, so a quarter of the change in grey levels when it moves."""
    path = write(tmp_path / "a.mp4", 50, nodding_quickly, light=0.25)
    overlaps = agreement(path, SETTINGS)
    assert np.mean(overlaps) >= 0.92
    assert np.min(overlaps) >= 0.75


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["asl", "grid", "misc"])
def test_boxes_of_recordings_are_those_of_detection_in_every_full_frame(folder: str) -> None:
    clips = sorted(p for p in (CLIPS / folder).glob("*") if p.suffix != ".csv")
    if not clips:
        pytest.skip(f"{CLIPS / folder} holds no recordings here")
    followed = 0
    for clip in clips[::4] if folder == "asl" else clips:
        try:
            overlaps = agreement(clip, SETTINGS)
        except FaceLostError:
            continue
        followed += 1
        assert np.mean(overlaps) >= 0.92, clip.name
        assert np.min(overlaps) >= 0.75, clip.name
    assert followed >= 2


def test_what_is_looked_at_together_is_detected_together(tmp_path: Path) -> None:
    calls: list[int] = []
    detect = faces.load_detector(SETTINGS)

    def counted(pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        calls.append(len(pictures))
        return detect(pictures)

    path = write(tmp_path / "a.mp4", 50, nodding_quickly)
    follower = Follower(counted, SETTINGS, rate_hz=25, name="a.mp4")
    assert len(list(follower.run(steps(open_video(path))))) == 50
    assert max(calls) >= 4
    assert sum(calls) / len(calls) > 1.5


def test_crops_are_complete_in_order_and_the_same_again(sway: Path) -> None:
    track, crops = prepared(sway, n_steps=60)
    assert crops.shape == (60, 227, 227, 3)
    assert crops.dtype == np.uint8
    again, crops_again = prepared(sway, n_steps=60)
    np.testing.assert_array_equal(crops, crops_again)
    np.testing.assert_array_equal(track.boxes_T4, again.boxes_T4)
    # The face is held still by its box: crops differ little, though the face crosses a third of the picture.
    assert np.ptp(track.boxes_T4[:, 0]) > 100
    assert abs(crops[10].astype(int) - crops[40]).mean() < 20


def test_landmarks_lie_where_a_face_has_them(sway: Path) -> None:
    track = prepare_video(sway, SETTINGS)
    x, y = np.moveaxis((track.landmarks_T52 - track.boxes_T4[:, None, :2]), -1, 0)
    assert ((x[:, 0] < x[:, 2]) & (x[:, 2] < x[:, 1])).all(), "the nose is between the eyes"
    assert ((y[:, 0] < y[:, 2]) & (y[:, 2] < y[:, 3])).all(), "eyes above nose above mouth"
    assert (track.width, track.height, track.fps, len(track)) == (640, 480, 25.0, 60)


def test_a_given_track_needs_no_detector(sway: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track, crops = prepared(sway)
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    without = dataclasses.replace(SETTINGS, detector="retinaface")  # its weights are absent: using it would raise
    same, crops_again = prepared(sway, without, track=track)
    np.testing.assert_array_equal(crops, crops_again)
    assert same is track
    with pytest.raises(RecordingError, match=r"sway\.mp4: .*60 steps"):
        prepared(sway, track=track, n_steps=50)


def test_margin_and_shape_of_the_crop(sway: Path) -> None:
    track = prepare_video(sway, SETTINGS)
    frame = next(iter(open_video(sway).frames))
    box_4 = track.boxes_T4[0]
    x0, y0, x1, y1 = (float(v) for v in box_4)
    tight = faces.crop(frame, box_4, FaceSettings(crop="box", margin=0.0))
    assert abs(tight.astype(int) - frame.window((x0, y0, x1, y1), width=227, height=227)).max() <= 2
    wide = faces.crop(frame, box_4, FaceSettings(crop="square", margin=0.5))
    side, cx, cy = max(x1 - x0, y1 - y0), (x0 + x1) / 2, (y0 + y1) / 2
    expected = frame.window((cx - side, cy - side, cx + side, cy + side), width=227, height=227)
    assert abs(wide.astype(int) - expected).max() <= 2


def test_a_short_gap_is_bridged_and_marked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 50, lambda t: [] if 20 <= t < 27 else [(150 + t, 90, 280)])
    track, crops = prepared(path)
    assert len(crops) == 50
    gone = np.flatnonzero(track.scores_T == 0)
    np.testing.assert_array_equal(gone, np.arange(20, 27))
    assert not track.detected_T[gone].any()
    assert overlap(track.boxes_T4[18], track.boxes_T4[24]) > 0.8


@pytest.mark.parametrize("gone", [range(15, 40), range(0, 20), range(30, 60)])
def test_a_face_lost_for_too_long_is_refused(tmp_path: Path, gone: range) -> None:
    path = write(tmp_path / "a.mp4", 60, lambda t: [] if t in gone else swaying(t))
    with pytest.raises(
        RecordingError, match=rf"a\.mp4: found no face in \d+ frames from frame {gone.start} .*at most 0\.5 s"
    ):
        prepare_video(path, SETTINGS)


def test_a_clip_without_a_face_is_refused_however_short(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="found no face in 5 frames"):
        prepare_video(write(tmp_path / "a.mp4", 5, lambda t: []), SETTINGS)


def test_the_larger_of_two_faces_is_followed_and_both_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 60, lambda t: [(20 + t, 100, 300), (440, 60, 180)])
    track = prepare_video(path, SETTINGS)
    assert (track.n_faces_T == 2).all()
    middle_x = track.boxes_T4[:, [0, 2]].mean(axis=1)
    assert middle_x[0] < 320
    assert 45 < middle_x[-1] - middle_x[0] < 75


def test_it_does_not_jump_to_another_person(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 60, lambda t: [(440, 60, 180)] + ([(20, 100, 300)] if t < 30 else []))
    with pytest.raises(RecordingError, match="from frame 30 on"):
        prepare_video(path, SETTINGS)


def test_somebody_alone_is_found_again_elsewhere(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 50, lambda t: [(10, 20, 220)] if t < 23 else [] if t < 30 else [(400, 240, 220)])
    track = prepare_video(path, SETTINGS)
    np.testing.assert_array_equal(np.flatnonzero(track.scores_T == 0), np.arange(23, 30))
    assert track.boxes_T4[20, 0] < 200 < 400 < track.boxes_T4[33, 0]


def test_only_a_second_or_two_of_frames_is_held(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 160, swaying)
    most = 0

    def count(crops: np.ndarray) -> None:
        nonlocal most
        most = max(most, sum(type(thing) is Frame for thing in gc.get_objects()))

    prepare_video(path, SETTINGS, on_crops=count)
    assert 0 < most < 50


def test_settings_are_plain_and_checked() -> None:
    assert FaceSettings(**json.loads(json.dumps(dataclasses.asdict(SETTINGS)))) == SETTINGS
    with pytest.raises(ValueError, match=r"'round'.*'square' or 'box'"):
        FaceSettings(crop="round")
    with pytest.raises(ValueError, match=r"'haar'.*retinaface-mobile, retinaface"):
        faces.load_detector(FaceSettings(detector="haar"))


def test_absent_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"retinaface\.onnx: no such file.*retinaface-mobile"):
        faces.load_detector(FaceSettings(detector="retinaface"))


@pytest.mark.parametrize("folder", ["grid", "asl"])
def test_the_face_is_found_in_every_frame_of_recordings(folder: str) -> None:
    clips = sorted(p for p in (CLIPS / folder).glob("*") if p.suffix in (".mpg", ".mkv"))
    if not clips:
        pytest.skip(f"{CLIPS / folder} holds no recordings here")
    for clip in clips:
        track = prepare_video(clip, SETTINGS)
        assert (track.scores_T > 0.5).all(), clip.name
        assert (track.n_faces_T == 1).all(), clip.name


def shape_of(picture: Path) -> tuple[int, ...]:
    return np.asarray(cv2.imread(str(picture))).shape


def test_command_line(sway: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"")
    sheet = tmp_path / "sheet.png"
    assert faces.main([str(sway), "--out", str(sheet)]) == 0
    assert shape_of(sheet) == (130, 1120, 3)
    assert "60 frames, 25.00 fps, 640x480, face in 60" in capsys.readouterr().out
    assert faces.main([str(bad), str(sway), str(sway), "--out", str(sheet), "--every", "20"]) == 1
    assert shape_of(sheet) == (260, 336, 3)
    said = capsys.readouterr()
    assert "bad.mp4" in said.err
    assert "2 of 3 clips" in said.out
    assert faces.main([str(bad), "--out", str(tmp_path / "none.png")]) == 2
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(("rows", "cells"), [(87, 2), (87, 10), (1000, 1), (9, 10)])
def test_a_sheet_of_many_rows_fits_a_screen(rows: int, cells: int, tmp_path: Path) -> None:
    sheet = ContactSheet()
    for n in range(rows):
        row = sheet.row(f"subject{n}")
        row.add(np.zeros((cells, 112, 112, 3), np.uint8))
        sheet.rows.append(row)
    sheet.write(tmp_path / "sheet.png")
    height, width, _ = shape_of(tmp_path / "sheet.png")
    assert width <= 3840
    assert height <= 2160

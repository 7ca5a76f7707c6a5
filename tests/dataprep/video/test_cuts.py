"""A part of a long video: the frames that the whole file has there, without decoding what lies before."""

from pathlib import Path

import numpy as np
import pytest

from dataprep.records import InputError, RecordingError, VideoPart
from dataprep.video import decoders
from dataprep.video.decode import open_video, steps
from tests.dataprep.video.makers import Kind, write

N = 100  # pictures at 25 a second
CLIPS = {
    "plain.mp4": Kind(options={"g": "25"}),
    "one-key-frame.mp4": Kind(options={"g": "1000"}),
    "open-groups.mkv": Kind(options={"x264-params": "keyint=25:open-gop=1:bframes=3"}),
    "refreshed.mp4": Kind(options={"x264-params": "keyint=25:intra-refresh=1:bframes=0"}),
    "program.mpg": Kind(codec="mpeg2video", options={"g": "12", "bf": "2"}),
    "transport.ts": Kind(options={"g": "25"}),
    "reordered.avi": Kind(options={"g": "25", "bf": "2"}),
    "xvid.avi": Kind(codec="mpeg4", options={"g": "25"}),
    "bare.h264": Kind(options={"g": "25"}),
    "vp9.webm": Kind(codec="libvpx-vp9", options={"g": "25", "deadline": "realtime", "cpu-used": "8"}),
}


def pictures() -> list[np.ndarray]:
    """Each picture has a bar at a place of its own, on noise that does not move."""
    still = np.random.default_rng(0).integers(80, 120, (48, 64, 3), dtype=np.uint8)
    out = []
    for n in range(N):
        picture = still.copy()
        picture[n % 48, :, n // 48 % 3] = 250
        picture[:, n % 64, 1] = 20
        out.append(picture)
    return out


def seen(path: Path, start_s: float | None, n_steps: int) -> np.ndarray:
    frames = steps(open_video(path, part=None if start_s is None else VideoPart(start_s)), clock_hz=25.0, n_steps=n_steps)
    return np.stack([f.window((0, 0, 64, 48), width=64, height=48) for f in frames])


@pytest.mark.parametrize("name", CLIPS)
def test_the_frames_of_a_part_are_those_of_the_whole_file(tmp_path, name):
    path = write(tmp_path / name, CLIPS[name], pictures())
    whole = seen(path, None, N)
    for start_s, first, n in ((0.0, 0, 5), (1.993, 50, 9), (2.985, 74, 16), (1.02, 25, 5), (3.6, 90, 11)):
        expected = whole[first : first + n]
        np.testing.assert_array_equal(seen(path, start_s, n)[: len(expected)], expected)


def test_what_lies_before_a_part_is_not_decoded(tmp_path, monkeypatch):
    path, decoded = write(tmp_path / "long.mp4", CLIPS["plain.mp4"], pictures()), []
    one = decoders.pictures

    def counted(*args, **options):
        for found in one(*args, **options):
            decoded.append(found)
            yield found

    monkeypatch.setattr("dataprep.video.cuts.pictures", counted)
    seen(path, 3.2, 10)
    assert len(decoded) < 1 + 25 + 12


def test_a_part_that_the_video_does_not_have_is_refused_with_what_it_has(tmp_path):
    path = write(tmp_path / "short.mp4", CLIPS["plain.mp4"], pictures())
    for start_s in (3.0, 30.0):
        with pytest.raises(RecordingError, match=rf"4\.00 s of video, expected a trial of 2 s at {start_s:g} s"):
            seen(path, start_s, 50)
    with pytest.raises(RecordingError, match=r"begins at 0 s, expected a trial at -1 s"):
        seen(path, -1.0, 50)
    with pytest.raises(InputError, match="cut out of long videos; expected 'pyav'"):
        open_video(path, decoder="decord", part=VideoPart(1.0))

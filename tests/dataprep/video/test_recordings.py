"""Recordings as cameras and tools make them: turned, mirrored, squeezed, with covers, without times, in any colours."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from dataprep import faces
from dataprep.faces import FaceSettings, FaceTrack, prepare_video
from dataprep.records import RecordingError
from dataprep.video.decode import DECODERS, open_video
from tests.dataprep.video.makers import (
    ORIENTATIONS,
    SIZE,
    Kind,
    N,
    difference,
    face,
    pictures_of,
    plain,
    two_parts,
    with_clap,
    with_pixel_crop,
    with_streams,
    write,
)

both = pytest.mark.parametrize("decoder", list(DECODERS))
SHAPES = [Fraction(64, 45), Fraction(2), Fraction(8, 9), Fraction(6, 11)]  # PAL wide, DVR, NTSC, half the lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def crops_of(path: Path, decoder: str, track: FaceTrack | None = None) -> tuple[np.ndarray, FaceTrack]:
    crops: list[np.ndarray] = []
    followed = prepare_video(path, FaceSettings(decoder=decoder), on_crops=crops.append, track=track)
    return np.concatenate(crops).astype(int), followed


@both
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("orientation", list(ORIENTATIONS))
def test_a_picture_is_turned_and_mirrored_as_its_file_says(
    folder: Path, orientation: str, container: str, decoder: str
) -> None:
    path = write(folder / f"{orientation}.{container}", Kind(orientation=orientation))
    assert difference(path, folder, decoder=decoder) < 2


@both
def test_the_face_of_a_mirrored_recording_is_found_and_cut_out_as_that_of_the_plain_one(folder: Path, decoder: str) -> None:
    fine = {"crf": "12"}  # what coarse encoding changes moves the detector's box by a pixel, turned or not
    expected, track = crops_of(write(folder / "whole.mp4", Kind(options=fine)), decoder)
    for orientation in ("mirrored", "flipped", "turned right"):
        path = write(folder / "other.mp4", Kind(orientation=orientation, options=fine))
        at_the_same_place, _ = crops_of(path, decoder, track)
        by_itself, _ = crops_of(path, decoder)
        assert np.abs(at_the_same_place - expected).mean(axis=(1, 2, 3)).max() < 1.5
        assert np.abs(by_itself - expected).mean(axis=(1, 2, 3)).max() < 3


@both
@pytest.mark.parametrize("matrix", [(46341, 46341, -46341, 46341), (65536, 0, 65536, 65536)])
def test_a_slanted_picture_is_refused_not_guessed(folder: Path, matrix: tuple[int, ...], decoder: str) -> None:
    path = write(folder / "slanted.mp4", Kind(orientation="mirrored"))
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    a, b, c, d = matrix
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"slanted\.mp4.*display matrix.*expected quarter turns"):
        pictures_of(path, decoder=decoder)


@pytest.mark.slow
@both
@pytest.mark.parametrize("sar", SHAPES, ids=str)
@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("mkv", "libx265"), ("avi", "mpeg4")])
def test_pixels_that_are_not_square_are_shown_in_their_shape(
    folder: Path, sar: Fraction, container: str, codec: str, decoder: str
) -> None:
    path = write(
        folder / f"squeezed.{container}", Kind(codec=codec, sar=sar, options={"b": "2M"} if codec == "mpeg4" else {})
    )
    assert difference(path, folder, decoder=decoder) < 3


LEFT, TOP, RIGHT, BOTTOM = 16, 8, 33, 24  # of stored pictures, beside what is shown


def framed(turned: bool) -> list[np.ndarray]:
    """The face with a margin around each stored picture, which is green."""
    beside = (((TOP, BOTTOM), (LEFT, RIGHT), (0, 0)), ((RIGHT, LEFT), (TOP, BOTTOM), (0, 0)))[turned]
    made = [np.pad(p, beside, constant_values=1) for p in face()]
    return [np.where(p == 1, np.array([0, 160, 0], np.uint8), p) for p in made]


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_picture_is_cropped_as_its_container_says(folder: Path, container: str, turned: bool) -> None:
    path = folder / f"cropped.{container}"
    write(path, Kind(orientation="turned left" if turned else "upright", pixels="yuv444p"), framed(turned))
    assert next(iter(open_video(path).frames)).width != SIZE[0]
    if container == "mkv":
        with_pixel_crop(path, LEFT, TOP, RIGHT, BOTTOM)
    else:
        size = SIZE[::-1] if turned else SIZE
        with_clap(path, size, (LEFT - RIGHT, TOP - BOTTOM))
    assert difference(path, folder) < 2
    with pytest.raises(RecordingError, match=r"clean aperture or crop.*expected decoder 'pyav'"):
        pictures_of(path, decoder="decord")


def test_a_crop_of_everything_is_refused_and_one_beyond_the_picture_is_none(folder: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be opened"):
        pictures_of(with_pixel_crop(write(folder / "nothing.mkv", Kind()), 320, 0, 0, 0))
    assert difference(with_clap(write(folder / "beyond.mp4", Kind()), (640, 480), (0, 0)), folder) < 0.1


def test_a_turned_picture_is_stretched_in_its_stored_direction(folder: Path) -> None:
    for orientation in ("turned left", "transposed"):
        path = write(folder / "both.mkv", Kind(orientation=orientation, sar=Fraction(64, 45)))
        assert difference(path, folder) < 2


def test_pixels_of_a_shape_that_no_camera_has_are_refused(folder: Path) -> None:
    path = write(folder / "thin.mkv", Kind(), face())
    with av.open(str(folder / "thin.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(20, 1)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    assert path.is_file()
    with pytest.raises(RecordingError, match=r"pixels of the shape 20:1"):
        pictures_of(folder / "thin.mp4")


@pytest.mark.parametrize("size", [(160, 120), (426, 320)])
def test_a_later_size_of_the_same_shape_is_brought_to_the_first(folder: Path, size: tuple[int, int]) -> None:
    later = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in face()[10:]]
    path = two_parts(folder / "sizes.ts", [(list(face()[:10]), Fraction(1)), (later, Fraction(1))])
    frames = list(open_video(path).frames)
    assert {(f.width, f.height) for f in frames} == {(320, 240)}
    assert difference(path, folder) < 3


def test_another_shape_of_picture_is_refused_with_the_frame(folder: Path) -> None:
    later = [np.ascontiguousarray(p[:180]) for p in face()[10:]]
    path = two_parts(folder / "shapes.ts", [(list(face()[:10]), Fraction(1)), (later, Fraction(1))])
    with pytest.raises(RecordingError, match=r"shapes\.ts: frame 10 is shown 320x180, the first 320x240"):
        pictures_of(path)
    path = two_parts(folder / "pixels.ts", [(list(face()[:10]), Fraction(1)), (list(face()[10:]), Fraction(4, 3))])
    with pytest.raises(RecordingError, match=r"pixels\.ts: .*frame 1\d on"):
        pictures_of(path)


COVER = [np.full((64, 64, 3), (200, 120, 40), np.uint8)]


@both
@pytest.mark.parametrize(
    ("name", "flags"), [("cover.mp4", 1024), ("cover.mkv", 1024), ("thumbnail.mkv", 0), ("thumbnail.mp4", 0)]
)
def test_a_cover_or_a_thumbnail_is_not_the_recording(folder: Path, name: str, flags: int, decoder: str) -> None:
    path = with_streams(folder / name, [("mjpeg", COVER, flags), ("libx264", list(face()), 1)])
    assert difference(path, folder, decoder=decoder) < 2


def test_sound_with_a_cover_is_no_video(folder: Path) -> None:
    with av.open(str(folder / "song.m4a"), "w", format="mp4") as container:
        cover: Any = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 64, 64, "yuvj420p", 1024
        sound: Any = container.add_stream("aac", rate=8000, layout="mono")
        frame: Any = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(cover.encode(av.VideoFrame.from_ndarray(COVER[0], format="rgb24")))
        container.mux(cover.encode())
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    with pytest.raises(RecordingError, match=r"song\.m4a: found .*cover.*no video stream"):
        open_video(folder / "song.m4a")


def test_two_recordings_in_one_file_are_named_and_one_is_taken_by_its_number(folder: Path) -> None:
    other = [255 - p for p in face()]
    for name in ("two.mkv", "two.mp4", "two.ts"):
        path = with_streams(folder / name, [("libx264", list(face()), 1), ("libx264", other, 0)])
        with pytest.raises(RecordingError, match=r"found 2 videos, streams 0 \(h264, 320x240.*and 1 .*\[faces\] stream"):
            open_video(path)
        first, second = (pictures_of(path, stream=n)[0].astype(int) for n in (0, 1))
        assert np.abs(first - plain(folder)[0]).mean() < 2
        assert np.abs(second - (255 - plain(folder)[0].astype(int))).mean() < 5
        with pytest.raises(RecordingError, match="stream = 5"):
            open_video(path, stream=5)
        assert faces.main([str(path), "--out", str(folder / "sheet.png")]) == 2
        assert faces.main([str(path), "--out", str(folder / "sheet.png"), "--stream", "0"]) == 0


@pytest.mark.parametrize("name", ["reordered.avi", "reordered.wmv"])
def test_reordered_pictures_without_times_are_shown_in_order_and_none_is_lost(folder: Path, name: str) -> None:
    path = write(folder / name, Kind(options={"bf": "3", "b-adapt": "0"}))
    found, times_s = pictures_of(path)
    assert np.abs(found.astype(int) - plain(folder)[0]).mean(axis=(1, 2, 3)).max() < 2
    np.testing.assert_allclose(times_s, np.arange(N) / 25, atol=1e-6)
    with pytest.raises(RecordingError, match="expected decoder 'pyav'"):
        pictures_of(path, decoder="decord")


@pytest.mark.parametrize("rate", [25, 30])
@pytest.mark.parametrize(
    ("ending", "codec", "container"),
    [("h264", "libx264", "h264"), ("265", "libx265", "hevc"), ("m2v", "mpeg2video", "mpeg2video"), ("m4v", "mpeg4", "m4v")],
)
def test_a_bare_stream_runs_at_the_rate_it_declares(
    folder: Path, ending: str, codec: str, container: str, rate: int
) -> None:
    path = write(folder / f"bare.{ending}", Kind(codec=codec, container=container, rate=rate))
    assert open_video(path).rate_hz == rate
    np.testing.assert_allclose(pictures_of(path)[1], np.arange(N) / rate, atol=1e-6)


@pytest.mark.parametrize(("ending", "codec", "pixels"), [("mjpeg", "mjpeg", "yuvj420p"), ("obu", "libsvtav1", "yuv420p")])
def test_a_bare_stream_without_a_rate_is_refused(folder: Path, ending: str, codec: str, pixels: str) -> None:
    path = write(folder / f"bare.{ending}", Kind(codec=codec, container=ending, pixels=pixels))
    with pytest.raises(RecordingError, match="declares no frame rate"):
        open_video(path)


@both
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p10le"])
def test_colours_follow_the_matrix_of_the_file(folder: Path, pixels: str, matrix: int, full: bool, decoder: str) -> None:
    path = write(folder / "colours.mkv", Kind(pixels=pixels, matrix=matrix, full=full))
    assert difference(path, folder, decoder=decoder) < 3


@both
@pytest.mark.parametrize(("matrix", "name"), [(8, "YCgCo"), (10, "constant luminance"), (14, "ICtCp")])
def test_a_matrix_that_is_no_matrix_of_luma_is_refused_by_name(folder: Path, matrix: int, name: str, decoder: str) -> None:
    write(folder / "odd.h264", Kind(container="h264"))
    with av.open(str(folder / "odd.mkv"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.colorspace = 64, 48, "yuv420p", matrix
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")))
        container.mux(stream.encode())
    with pytest.raises(RecordingError, match=rf"colours of the matrix.*{name}"):
        pictures_of(folder / "odd.mkv", decoder=decoder)

"""All settings that decide how face crops look."""

from __future__ import annotations

from dataclasses import dataclass

from dataprep.records import InputError


@dataclass(frozen=True)
class FaceSettings:
    """All that decides how crops look: identity, so scalars only. Lengths in s are brought to whole frames.

    decoder, detector   names in dataprep.video.decode.DECODERS and dataprep.video.retinaface.DETECTORS
    stream              index of the stream that is followed in files that hold several videos (-1: such files are refused)
    size                crops are size x size pixels
    crop                "square": the longer side of the box both ways; "box": the box as it is, stretched to a square
    margin              part of the side added on every side of the box
    work_px             short side of the shrunk whole picture (doubled if no face is found)
    near_px, near       side of the window around a known box, in pixels, and as a multiple of the box's longer side
    key_s, full_scan_s       time between key frames; between counts of all faces
    min_overlap         overlap of the boxes of two key frames below which the frame between becomes one too
    max_shift           likewise, movement inside the box between, in parts of its side, above which (see `_shift`)
    smooth_s            half width of the smoothing window
    max_gap_s           longest time without a face that is bridged
    min_score           detector score below which there is no face
    pixels              side of the aligned face (dataprep/recordings/pixels.py), where a row takes it
    """

    detector: str = "retinaface-mobile"
    decoder: str = "pyav"
    stream: int = -1
    crop: str = "square"
    margin: float = 0.1
    work_px: int = 160
    near_px: int = 208
    near: float = 2.0
    key_s: float = 0.8
    full_scan_s: float = 2.0
    min_overlap: float = 0.2
    max_shift: float = 0.027
    smooth_s: float = 0.04
    max_gap_s: float = 0.5
    min_score: float = 0.6
    pixels: int = 112

    def __post_init__(self) -> None:
        if self.crop not in ("square", "box"):
            raise InputError(f"crop: found {self.crop!r}, expected 'square' or 'box'")
        if self.work_px < 32 or self.near_px < 32 or self.near < 1 or self.margin < 0:
            raise InputError("work_px, near_px, near, margin: expected at least 32, 32, 1 and 0")
        if not 16 <= self.pixels <= 448:
            raise InputError(f"pixels: found {self.pixels}, expected 16 to 448")
        if min(self.key_s, self.full_scan_s) <= 0 or min(self.smooth_s, self.max_gap_s) < 0:
            raise InputError("key_s and full_scan_s: expected more than 0; smooth_s and max_gap_s: at least 0")

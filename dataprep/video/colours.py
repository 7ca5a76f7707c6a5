"""The planes of a decoded picture, 8 bits each, and the matrix that makes RGB of them.

Planar YUV of any subsampling and depth is kept as it is; other pictures are converted whole by FFmpeg. Colours follow the file's
matrix and range; unmarked ones are BT.601, limited range, which is FFmpeg's own rule. What needs more than a matrix is refused.
"""

from __future__ import annotations

import re
from functools import lru_cache

import av
import cv2
import numpy as np

_PLANAR = re.compile(r"yuv([aj]?)4\d\dp(\d*)(le)?")
_UNMARKED = (0, 2, 3)  # RGB (which YUV cannot be), unspecified, reserved
_WEIGHTS = {  # of red and blue in luma, by the numbers of ITU-T H.273
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, non-constant luminance
}
_REFUSED = {
    8: "YCgCo",
    10: "BT.2020 with constant luminance",
    11: "SMPTE 2085",
    12: "derived from the primaries",
    13: "derived from the primaries, with constant luminance",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
_PQ = 16  # SMPTE 2084: light levels up to 10000 cd/m², grey and dark without tone mapping; HLG is made to be seen as it is
FULL_RANGE = 2


def planes(picture: av.VideoFrame) -> tuple[tuple[np.ndarray, ...], np.ndarray | None]:
    """(Y, U, V), each (h, w) uint8, and their matrix (3, 4); or one (h, w, 3) RGB picture and None.

    8-bit planes are views of the decoder's memory. Raises ValueError that says which colours were found, if they are refused.
    """
    name = picture.format.name
    known = _PLANAR.fullmatch(name)
    if picture.color_trc == _PQ:
        raise ValueError("high dynamic range pictures (PQ, SMPTE 2084)")
    if known is None:
        if not picture.format.is_rgb and picture.colorspace in _REFUSED:
            raise ValueError(f"colours of the matrix {_REFUSED[picture.colorspace]}")
        return (picture.to_ndarray(format="rgb24"),), None
    if picture.colorspace in _REFUSED or picture.colorspace not in (*_WEIGHTS, *_UNMARKED):
        raise ValueError(f"colours of the matrix {_REFUSED.get(picture.colorspace, f'number {picture.colorspace}')}")
    full = picture.color_range == FULL_RANGE or known[1] == "j"
    bits = int(known[2] or 8)
    to_rgb = _yuv_to_rgb(picture.colorspace if picture.colorspace in _WEIGHTS else 6, full)
    if bits == 8:
        return tuple(_plane(p, np.uint8) for p in picture.planes[:3]), to_rgb
    scale = 255 / (2**bits - 1) if full else 1 / 2 ** (bits - 8)
    return tuple(cv2.convertScaleAbs(_plane(p, np.uint16), alpha=scale) for p in picture.planes[:3]), to_rgb


def _plane(plane: av.video.plane.VideoPlane, kind: type[np.generic]) -> np.ndarray:
    values: np.ndarray = np.frombuffer(memoryview(plane), kind)
    return values.reshape(-1, plane.line_size // values.itemsize)[: plane.height, : plane.width]


@lru_cache
def _yuv_to_rgb(matrix: int, full_range: bool) -> np.ndarray:
    """(3, 4) matrix from (Y, U, V, 1), 8 bits, to RGB. ITU-T H.273, section 8.3."""
    red, blue = _WEIGHTS[matrix]
    green = 1 - red - blue
    chroma = np.array(
        [
            [0, 2 * (1 - red)],
            [-2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [2 * (1 - blue), 0],
        ]
    ) * (1.0 if full_range else 255 / 224)
    luma, black = (1.0, 0.0) if full_range else (255 / 219, 16.0)
    offset = -luma * black - 128 * chroma.sum(axis=1)
    return np.column_stack([np.full(3, luma), chroma, offset])

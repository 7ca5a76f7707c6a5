"""The first convolution of an AlexNet, fed with pixels as they are: its input's scaling is part of its weights.

For bfloat16, whose 8 bits hold whole numbers up to 256 exactly: pixels minus a whole number lose nothing, where scaled
ones are rounded. And a row of pixels is read as blocks of four, side by side: a filter 11 wide that moves by 4 pixels of 3
channels is one 3 wide that moves by 1 block of 12, the same sums in an order that suits the processor's wide products.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_FILTER, _STRIDE, _BLOCKS = 11, 4, 3  # of conv1: 11 pixels are within 3 blocks of 4


class PixelConv(nn.Module):
    """(B, Y, X, 3) uint8 to what `conv` gives for `pixels * factor + shift`, (B, O, (Y - 7) // 4, (X - 7) // 4).

    `conv`: 3 channels, 11 x 11, stride 4, no padding, with a bias; it may be on the meta device.
    """

    centre: torch.Tensor

    def __init__(self, conv: nn.Conv2d, factor: tuple[float, ...], shift: tuple[float, ...]) -> None:
        super().__init__()
        if conv.weight.shape[1:] != (3, _FILTER, _FILTER) or conv.stride != (_STRIDE, _STRIDE) or conv.bias is None:
            raise ValueError(f"found {conv}, expected 3 channels, {_FILTER} x {_FILTER}, stride {_STRIDE} and a bias")
        scale, offset = (torch.tensor(values, device=conv.weight.device) for values in (factor, shift))
        centre = -torch.round(offset / scale)  # pixels * factor + shift = (pixels - centre + rest) * factor
        rest = offset / scale + centre
        weight_OCYX = conv.weight.detach() * scale[:, None, None]
        bias = conv.bias.detach() + (weight_OCYX * rest[:, None, None]).sum((1, 2, 3))
        padded = functional.pad(weight_OCYX, (0, _BLOCKS * _STRIDE - _FILTER))
        blocks = padded.unflatten(3, (_BLOCKS, _STRIDE)).permute(0, 4, 1, 2, 3).flatten(1, 2)
        self.weight, self.bias = nn.Parameter(blocks), nn.Parameter(bias)
        self.register_buffer("centre", centre)

    def forward(self, pixels_BYXC: torch.Tensor) -> torch.Tensor:
        batch, height, seen, channels = pixels_BYXC.shape
        width = ((seen - _FILTER) // _STRIDE + _BLOCKS) * _STRIDE  # whole blocks: one pixel more than the filter sees
        x = torch.empty((batch, height, width, channels), dtype=self.weight.dtype, device=self.weight.device)
        x[:, :, :seen] = pixels_BYXC[:, :, :width]
        x[:, :, seen:] = 0  # any number would do: the filter is 0 there
        x.flatten(2).sub_(self.centre.repeat(width))  # by rows: by channels takes half as long as the convolution
        blocks = x.unflatten(2, (-1, _STRIDE)).flatten(3).permute(0, 3, 1, 2)  # channels-last, without a copy
        return functional.conv2d(blocks, self.weight, self.bias, stride=(_STRIDE, 1))

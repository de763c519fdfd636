"""Delay from glass to glass, read in a real Chromium: a picture says when it was drawn, and its pixels are read as it is shown."""

from __future__ import annotations

from typing import Final

READ_CLOCK: Final = """video => {
  if (!video.videoWidth) return null;
  const bits = 24, across = 8;  // rehearsal_picture.CODE_BITS
  const canvas = globalThis.__clock ??= new OffscreenCanvas(bits * across, 4);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(video, 0, 4, video.videoWidth, 8, 0, 0, bits * across, 4);
  const pixels = pen.getImageData(0, 2, bits * across, 1).data;
  let value = 0;
  for (let bit = 0; bit < bits; bit++) value = value * 2 + (pixels[(bit * across + across / 2) * 4 + 1] > 128 ? 1 : 0);
  return value;
}"""
"""The test picture's time in ms, modulo 2^24; null without a picture."""

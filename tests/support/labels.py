"""The label of an ONT: as a photo, and as what a camera sees that is held before it."""

from __future__ import annotations

from base64 import b64decode

from playwright.async_api import FilePayload, Page

CODE_39 = {
    **{"0": "nnnwwnwnn", "1": "wnnwnnnnw", "2": "nnwwnnnnw", "3": "wnwwnnnnn", "4": "nnnwwnnnw", "5": "wnnwwnnnn"},
    **{"6": "nnwwwnnnn", "7": "nnnwnnwnw", "8": "wnnwnnwnn", "9": "nnwwnnwnn", "A": "wnnnnwnnw", "B": "nnwnnwnnw"},
    **{"C": "wnwnnwnnn", "D": "nnnnwwnnw", "E": "wnnnwwnnn", "F": "nnwnwwnnn", "H": "wnnnnwwnn", "T": "nnnnwnwwn"},
    **{"W": "wwwnnnnnn", "*": "nwnnwnwnn"},
}
"""ISO/IEC 16388: of each character five bars and the four gaps between them, narrow or wide."""
EAN_13 = ["3211", "2221", "2122", "1411", "1132", "1231", "1114", "1312", "1213", "3112"]
"""ISO/IEC 15420, set A: of each figure a gap, a bar, a gap and a bar, in modules; set C is the same, bars first."""
QUIET_PIXELS, HIGH_PIXELS = 40, 160
DRAW = """([bars, quiet, high]) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bars.reduce((sum, bar) => sum + bar, 0) + 2 * quiet, high];
  const ink = canvas.getContext("2d");
  ink.fillStyle = "#fff";
  ink.fillRect(0, 0, canvas.width, canvas.height);
  ink.fillStyle = "#000";
  let at = quiet;
  bars.forEach((bar, number) => {
    if (number % 2 === 0) ink.fillRect(at, 20, bar, high - 40);
    at += bar;
  });
  return canvas.toDataURL("image/png");
}"""
FILM_SIZE = (960, 544)


def bars_of(serial: str) -> list[int]:
    """Bars and gaps by turns, in pixels."""
    return [{"n": 3, "w": 9}[each] for letter in f"*{serial}*" for each in CODE_39[letter] + "n"]


async def label_of(page: Page, serial: str) -> FilePayload:
    """A photo of an ONT's label with this serial number on it."""
    return await _drawn(page, bars_of(serial))


async def ean_of(page: Page, number: str) -> FilePayload:
    """A photo of an article's number: 13 figures, the first 0 here, so that all others are in set A or C."""
    assert len(number) == 13 and number.startswith("0")
    left, right = ("".join(EAN_13[int(figure)] for figure in half) for half in (number[1:7], number[7:]))
    return await _drawn(page, [int(modules) * 3 for modules in f"111{left}11111{right}111"])


async def _drawn(page: Page, bars: list[int]) -> FilePayload:
    drawn = await page.evaluate(DRAW, [bars, QUIET_PIXELS, HIGH_PIXELS])
    return {"name": "label.png", "mimeType": "image/png", "buffer": b64decode(drawn.partition(",")[2])}


def film_of(serial: str) -> bytes:
    """One frame of a camera before the label, again and again, as Chromium's camera of a file wants it (YUV4MPEG2)."""
    width, height = FILM_SIZE
    row = bytearray(b"\xff" * QUIET_PIXELS)
    for number, bar in enumerate(bars_of(serial)):
        row += (b"\x00" if number % 2 == 0 else b"\xff") * bar
    blank, line = b"\xff" * width, bytes(row).ljust(width, b"\xff")
    luma = blank * 192 + line * 160 + blank * 192
    assert len(luma) == width * height
    return b"YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420jpeg\nFRAME\n" % FILM_SIZE + luma + b"\x80" * (width * height // 2)

"""The drawn pictures are safe to show anywhere, and different from one another."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from live import pictures

SVG = "{http://www.w3.org/2000/svg}"
HARMLESS = {
    "svg",
    "defs",
    "linearGradient",
    "radialGradient",
    "stop",
    "rect",
    "circle",
    "ellipse",
    "path",
    "g",
}


@pytest.mark.parametrize("name", pictures.NAMES)
def test_a_picture_is_svg_of_shapes_only(name: str) -> None:
    text = pictures.picture(name)
    assert text is not None
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in HARMLESS
        for attribute, value in element.attrib.items():
            assert not attribute.lower().startswith("on")
            assert not re.search(r"script|href|https?:|data:|url\((?!#)", value, re.IGNORECASE)
    assert len(list(root.iter())) >= 15, "a drawing, not a coloured square"
    assert len(text) < 20_000


def test_no_two_pictures_are_the_same() -> None:
    assert len({pictures.picture(name) for name in pictures.NAMES}) == len(pictures.NAMES) >= 12


@pytest.mark.parametrize("name", ["", "nothing", "../seed", "serum.svg", "../drawings/serum"])
def test_a_name_that_is_no_picture_gives_none(name: str) -> None:
    assert pictures.picture(name) is None


@pytest.mark.parametrize("name", [*pictures.NAMES, pictures.NO_PICTURE])
def test_every_picture_has_a_cover_that_messengers_take(name: str) -> None:
    photo = pictures.cover(name)
    assert photo is not None
    assert photo[:3] == b"\xff\xd8\xff"
    start = photo.index(b"\xff\xc0")  # baseline frame header: height and width
    assert (int.from_bytes(photo[start + 7 : start + 9]), int.from_bytes(photo[start + 5 : start + 7])) == (
        1200,
        630,
    )
    assert len(photo) < 150_000

"""Draws the pictures of link previews, `live/drawings/NAME.jpg`, from the SVG drawings beside them: most messengers show no SVG.

For whoever changes a drawing: `python -m loadtests.covers`. Needs Chromium.
"""

from __future__ import annotations

from typing import Final

from playwright.sync_api import sync_playwright

from live import pictures
from live.storefront import COVER_SIZE
from loadtests.chromium import chromium

QUALITY: Final = 82
_STYLE: Final = """
  body { margin: 0; width: 1200px; height: 630px; overflow: hidden; position: relative; background: #0b0b0f; }
  .ground { position: absolute; left: -40px; top: -325px; filter: blur(36px) brightness(.72) saturate(1.2); }
  .ground svg { width: 1280px; height: 1280px; }
  .picture { position: absolute; left: 330px; top: 45px; border-radius: 36px; overflow: hidden; box-shadow: 0 24px 80px #0009; }
  .picture svg { width: 540px; height: 540px; display: block; }
  .mark { position: absolute; left: 40px; bottom: 36px; width: 84px; height: 84px; border-radius: 24px; background: #e0301e; }
  .mark svg { width: 64%; margin: 18%; }
  .bare { left: 500px; bottom: 215px; width: 200px; height: 200px; border-radius: 56px; }
"""
_BOLT: Final = (
    '<svg viewBox="0 0 24 24" fill="#fff"><path d="M13.6 2 4.5 13.6h5.8L8.9 22l9.6-12.2h-6.1z"/></svg>'
)


def html(svg: str | None) -> str:
    """The page that is photographed: the drawing on its own colours, and the product's mark; without a drawing the mark alone."""
    mark = f"<div class='mark {'bare' if svg is None else ''}'>{_BOLT}</div>"
    drawn = "" if svg is None else f"<div class=ground>{svg}</div><div class=picture>{svg}</div>"
    return f"<style>{_STYLE}</style>{drawn}{mark}"


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": COVER_SIZE[0], "height": COVER_SIZE[1]})
        for name in (*pictures.NAMES, pictures.NO_PICTURE):
            page.set_content(html(pictures.picture(name)))
            path = pictures.FOLDER / f"{name}.jpg"
            page.screenshot(path=path, type="jpeg", quality=QUALITY)
            print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")
        browser.close()


if __name__ == "__main__":
    main()

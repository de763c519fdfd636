"""`make screenshots`: both pages of a real show with a ghost audience, phone and desktop, English and Chinese, into screenshots/.

`--readme` also makes the picture of the README: the room on a phone beside the console.
"""

from __future__ import annotations

import argparse
import base64
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright

from loadtests.chromium import chromium
from loadtests.show import Show

FOLDER = Path("screenshots")
README_PICTURE = Path(".github/show.png")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PHONE, DESKTOP = (390, 844), (1440, 900)
GHOSTS = 30

expect.set_options(timeout=60_000)


class Desk:
    """The demo host over HTTP."""

    def __init__(self, show: Show) -> None:
        self.http = httpx.Client(base_url=show.web_url, timeout=20)
        email, password = show.host_sign_in()
        self.call("POST", "/api/sessions", {"email": email, "password": password})

    def call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self.http.request(method, path, json=body, headers=headers)
        answer.raise_for_status()
        made: dict[str, Any] = answer.json() if answer.content else {}
        return made

    def fire(self, product: int, **terms: Any) -> str:
        """Pin a product and run a sale on its first variant; gives the sale's id."""
        return self.fire_product(self.http.get("/api/rooms/rm_demo").json()["products"][product], **terms)

    def fire_named(self, product_id: str, **terms: Any) -> str:
        """The same by the product's id, wherever it stands in the run of show."""
        products = self.http.get("/api/rooms/rm_demo").json()["products"]
        return self.fire_product(next(one for one in products if one["product_id"] == product_id), **terms)

    def fire_product(self, chosen: dict[str, Any], **terms: Any) -> str:
        """The same for a product as the API gives it."""
        variant = chosen["variants"][0]
        self.call("PUT", "/api/rooms/rm_demo/pin", {"product_id": chosen["product_id"]})
        sale = self.call(
            "POST",
            "/api/rooms/rm_demo/sales",
            {
                "variant_id": variant["variant_id"],
                "price_minor": variant["price_minor"] * 6 // 10,
                "quota": 24,
                "countdown_ms": 3000,
                "duration_ms": 300_000,
                **terms,
            },
        )
        for action in ("arm", "fire"):
            self.call("POST", f"/api/sales/{sale['sale_id']}/{action}", {})
        sale_id: str = sale["sale_id"]
        return sale_id


def new_page(browser: Browser, size: tuple[int, int], locale: str, scale: int = 1) -> Page:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale=locale, device_scale_factor=scale
    )
    context.set_default_timeout(60_000)
    return context.new_page()


def open_room(browser: Browser, show: Show, size: tuple[int, int], locale: str, scale: int = 1) -> Page:
    page = new_page(browser, size, locale, scale)
    page.goto(f"{show.web_url}/r/rm_demo")
    page.get_by_test_id("nickname").fill("小林" if locale.startswith("zh") else "Robin")
    page.get_by_test_id("join").click()
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    return page


def open_console(browser: Browser, show: Show, size: tuple[int, int], locale: str) -> Page:
    page = new_page(browser, size, locale)
    email, password = show.host_sign_in()
    page.goto(f"{show.web_url}/console")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_test_id("desk")).to_be_visible()
    return page


def shoot(page: Page, name: str) -> bytes:
    path = FOLDER / f"{name}.png"
    picture = page.screenshot(path=path, animations="disabled")
    print(path)
    return picture


def take(show: Show, browser: Browser) -> tuple[bytes, bytes]:
    """Every state we look at; gives the two pictures for the README (room on a phone, console)."""
    desk = Desk(show)
    door = new_page(browser, PHONE, "en-GB")
    door.goto(f"{show.web_url}/r/rm_demo")
    expect(door.get_by_test_id("nickname")).to_be_visible()
    shoot(door, "room-door-phone-en")
    pages = {
        (where, locale): open_room(browser, show, size, locale)
        for where, size in (("phone", PHONE), ("desktop", DESKTOP))
        for locale in ("en-GB", "zh-CN")
    }
    sharp = open_room(browser, show, PHONE, "en-GB", scale=2)
    consoles = {locale: open_console(browser, show, DESKTOP, locale) for locale in ("en-GB", "zh-CN")}
    remotes = {locale: open_console(browser, show, PHONE, locale) for locale in ("en-GB", "zh-CN")}
    shoot(consoles["en-GB"], "console-form-desktop-en")
    sale_id = desk.fire(0)
    for page in (*pages.values(), sharp):
        expect(page.get_by_test_id("buy")).to_have_attribute("data-state", "buy")
    wait_for_holds(desk, sale_id)
    readme_room = shoot(sharp, "room-open-phone-en-sharp")
    for (where, locale), page in pages.items():
        shoot(page, f"room-open-{where}-{locale[:2]}")
    readme_console = b""
    for locale, console in consoles.items():
        picture = shoot(console, f"console-open-desktop-{locale[:2]}")
        readme_console = readme_console or picture
    shoot_buying(pages[("phone", "en-GB")], pages[("desktop", "zh-CN")])
    shoot_requests(pages, consoles["en-GB"])
    shoot_script(consoles, remotes["zh-CN"], desk)
    shoot_take_over(browser, show, desk, remotes["en-GB"])
    for locale, remote in remotes.items():
        shoot_remote(remote, locale[:2])
    shoot_tools(consoles["en-GB"], consoles["zh-CN"])
    shoot_sheets(pages[("phone", "zh-CN")], pages[("desktop", "en-GB")], desk)
    desk.call("POST", f"/api/sales/{sale_id}/pause", {"reason": "host"})
    expect(pages[("desktop", "en-GB")].get_by_test_id("buy")).to_have_attribute("data-state", "paused")
    shoot(pages[("desktop", "en-GB")], "room-paused-desktop-en")
    shoot(consoles["zh-CN"], "console-paused-desktop-zh")
    desk.call("POST", f"/api/sales/{sale_id}/end", {"reason": "host"})
    watcher = pages[("phone", "zh-CN")]
    expect(watcher.get_by_test_id("buy")).not_to_have_attribute("data-state", "buy")
    shoot(watcher, "room-ended-phone-zh")
    shoot_before_and_after(pages, desk)
    desk.call("POST", "/api/rooms/rm_demo/status", {"status": "live"})
    for page, name in ((consoles["en-GB"], "desktop-en"), (remotes["zh-CN"], "phone-zh")):
        page.get_by_test_id("room-menu").click()
        page.get_by_test_id("open-summary").click()
        expect(page.get_by_test_id("compare")).to_be_visible()
        page.get_by_test_id("compare").scroll_into_view_if_needed()
        shoot(page, f"console-compare-{name}")
        page.keyboard.press("Escape")
    shoot_second_person(browser, show, desk, consoles["en-GB"], remotes["zh-CN"])
    return readme_room, readme_console


def shoot_requests(pages: dict[tuple[str, str], Page], console: Page) -> None:
    """Viewers ask to see items, and the host sees how many."""
    for item, keys in {
        "pr_mask": list(pages),
        "pr_teapot": list(pages)[:2],
        "pr_candle": list(pages)[:1],
    }.items():
        for where, locale in keys:
            page = pages[(where, locale)]
            if where == "phone":
                page.get_by_test_id("open-bag").click()
            row = page.locator(f"li:has([data-product={item}])")
            row.get_by_test_id("ask").click()
            expect(row.get_by_test_id("ask")).to_have_attribute("data-asked", "yes")
            if where == "phone":
                page.keyboard.press("Escape")
    phone, chinese = pages[("phone", "en-GB")], pages[("phone", "zh-CN")]
    for page, name in ((phone, "phone-en"), (chinese, "phone-zh")):
        page.get_by_test_id("open-bag").click()
        expect(page.get_by_test_id("ask").first).to_be_visible()
        shoot(page, f"room-bag-asked-{name}")
        page.locator("[data-testid=bag-item][data-product=pr_mask]").click()
        expect(page.get_by_test_id("product-sheet").get_by_test_id("ask")).to_have_attribute(
            "data-asked", "yes"
        )
        shoot(page, f"room-asked-{name}")
        page.keyboard.press("Escape")
    shoot(pages[("desktop", "en-GB")], "room-asked-desktop-en")
    console.get_by_test_id("requests").click()
    expect(console.get_by_test_id("asked-item").first).to_be_visible()
    shoot(console, "console-requests-desktop-en")
    console.get_by_test_id("requests").click()


def shoot_script(consoles: dict[str, Page], remote: Page, desk: Desk) -> None:
    """What the host says: below the run, in its sheet, and in the prompter's big letters."""
    english, chinese = consoles["en-GB"], consoles["zh-CN"]
    for page, name in ((english, "en"), (chinese, "zh")):
        expect(page.get_by_test_id("script").locator(".script-text")).to_be_visible()
        shoot(page, f"console-script-desktop-{name}")
    english.get_by_test_id("edit-script").click()
    sheet = english.get_by_test_id("script-sheet")
    sheet.locator("textarea").fill("Hold the bottle to the light.\n[Link up at 3-2-1.]")
    now = desk.http.get("/api/rooms/rm_demo/scripts").json()["scripts"][0]
    theirs = {"script": f"{now['script']}\nSay the batch number.", "minute": 1, "version": now["version"]}
    desk.call("PUT", f"/api/rooms/rm_demo/products/{now['product_id']}/script", theirs)
    shoot(english, "console-script-sheet-en")
    sheet.get_by_test_id("save-script").click()
    expect(sheet.get_by_test_id("script-theirs")).to_be_visible()
    shoot(english, "console-script-changed-en")
    sheet.get_by_test_id("take-theirs").click()
    english.keyboard.press("Escape")
    for page, name in ((english, "desktop-en"), (remote, "phone-zh")):
        if page is remote:
            page.get_by_test_id("bottom-show").click()
            shoot(page, "console-script-phone-zh")
            page.get_by_test_id("open-prompter").click()
        else:
            page.keyboard.press("p")
        expect(page.get_by_test_id("prompter-text")).to_be_visible()
        page.get_by_test_id("prompter-go").click()
        page.wait_for_timeout(3_000)
        shoot(page, f"prompter-{name}")
        page.get_by_test_id("prompter-go").click()
    english.keyboard.press("n")
    english.keyboard.press("m")
    shoot(english, "prompter-mirrored-en")
    english.keyboard.press("m")
    for page in (english, remote):
        page.get_by_test_id("close-prompter").click()
        expect(page.get_by_test_id("console")).to_be_visible()
    remote.get_by_test_id("bottom-desk").click()


def shoot_take_over(browser: Browser, show: Show, desk: Desk, remote: Page) -> None:
    """A second person asks for the desk: what each of the two sees."""
    bo = open_console_as(browser, show, desk, "Bo", DESKTOP, "en-GB")
    bo.get_by_test_id("ask-desk").click()
    expect(remote.get_by_test_id("desk-request")).to_be_visible()
    shoot(remote, "console-asked-phone-en")
    shoot(bo, "console-asking-desktop-en")
    remote.get_by_test_id("keep-desk").click()
    expect(bo.get_by_test_id("desk-asking")).to_have_attribute("data-state", "kept")
    bo.context.close()


def open_console_as(
    browser: Browser, show: Show, desk: Desk, name: str, size: tuple[int, int], locale: str
) -> Page:
    """The console of somebody else, who came by an invitation as a seller."""
    email, password = f"{name.lower()}@example.com", "a long enough password"
    made = desk.call("POST", "/api/rooms/rm_demo/people", {"email": email, "role": "seller"})
    answer = httpx.post(
        f"{show.web_url}/api/invites/accept",
        json={"token": made["link"].partition("invite=")[2], "name": name, "password": password},
        headers={"Idempotency-Key": uuid.uuid4().hex},
    )
    answer.raise_for_status()
    page = new_page(browser, size, locale)
    page.goto(f"{show.web_url}/console")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_test_id("desk")).to_be_visible()
    return page


def shoot_second_person(browser: Browser, show: Show, desk: Desk, ana: Page, remote: Page) -> None:
    """A refund above the room's value: its form, how it waits, and what the second person sees."""
    desk.call("PUT", "/api/rooms/rm_demo/second-person", {"above_minor": 2000})
    cy = open_console_as(browser, show, desk, "Cy", DESKTOP, "en-GB")
    di = open_console_as(browser, show, desk, "Di", PHONE, "zh-CN")
    ana.get_by_test_id("tab-people").click()
    expect(ana.get_by_test_id("second-person")).to_have_attribute("data-limit", "2000")
    ana.get_by_test_id("second-person").scroll_into_view_if_needed()
    shoot(ana, "console-second-person-desktop-en")
    for page, tab, name, reason in (
        (ana, "tab-orders", "desktop-en", "arrived broken"),
        (remote, "bottom-orders", "phone-zh", "到货破损"),
    ):
        page.get_by_test_id(tab).click()
        page.get_by_test_id("filter-paid").click()
        order = page.get_by_test_id("order").nth(0 if page is ana else 1)
        order.get_by_test_id("open-refund").click()
        order.locator("[name=refund-reason]").fill(reason)
        shoot(page, f"console-refund-{name}")
        order.get_by_test_id("refund").hover()
        page.mouse.down()
        expect(order.get_by_test_id("waiting-money")).to_be_visible()
        page.mouse.up()
        shoot(page, f"console-refund-waiting-{name}")
    for page, name in ((cy, "desktop-en"), (di, "phone-zh")):
        expect(page.get_by_test_id("approval")).to_have_count(2)
        shoot(page, f"console-approval-{name}")


def shoot_remote(remote: Page, language: str) -> None:
    """The console on a phone, tab by tab."""
    for tab in ("desk", "show", "plots", "chat", "orders", "people", "log"):
        remote.get_by_test_id(f"bottom-{tab}").click()
        if tab == "plots":
            for kind in ("stock", "rush", "watching", "money"):
                remote.get_by_test_id(f"plot-{kind}").click()
                expect(remote.get_by_test_id("plots").locator("canvas, .empty").first).to_be_visible()
                shoot(remote, f"console-plot-{kind}-phone-{language}")
            continue
        if tab == "people":
            expect(remote.get_by_test_id("person").first).to_be_visible()
        shoot(remote, f"console-{tab}-phone-{language}")


def shoot_buying(phone: Page, desktop: Page) -> None:
    """From the tap to the order's number, with a decline between."""
    for page in (phone, desktop):  # both hold a unit before anything else takes time
        page.get_by_test_id("buy").click()
        expect(page.get_by_test_id("checkout")).to_be_visible()
    for page, name in ((phone, "phone-en"), (desktop, "desktop-zh")):
        shoot(page, f"room-checkout-{name}")
        for field, text in (
            ("name", "Robin Li"),
            ("contact", f"robin-{name}@example.com"),
            ("line1", "1 Nanjing Road"),
        ):
            page.get_by_test_id("checkout").locator(f"[name={field}]").fill(text)
        page.get_by_test_id("checkout").locator("[name=city]").fill("Shanghai")
        page.get_by_test_id("checkout").locator("[name=postcode]").fill("200000")
        for card, outcome in (("4000000000000002", "outcome-declined"), ("4242424242424242", "order-number")):
            page.get_by_test_id("card").fill(card)
            page.get_by_test_id("pay").click()
            expect(page.get_by_test_id(outcome)).to_be_visible()
            shoot(page, f"room-{outcome.removeprefix('outcome-')}-{name}")
        page.keyboard.press("Escape")


def shoot_sheets(phone: Page, desktop: Page, desk: Desk) -> None:
    """What opens over the room, and captions."""
    for key, name in (("g", "bag"), ("t", "things"), ("f", "fairness"), ("?", "keys")):
        phone.keyboard.press(key)
        expect(phone.get_by_test_id(name)).to_be_visible()
        shoot(phone, f"room-{name}-phone-zh")
        phone.keyboard.press("Escape")
    desktop.keyboard.press("f")
    desk.call(
        "POST",
        "/api/rooms/rm_demo/captions",
        {"text": "Two sizes, and this one fits any cabin bag.", "language": "en"},
    )
    for page, name in ((phone, "phone-zh"), (desktop, "desktop-en")):
        expect(page.get_by_test_id("captions")).to_be_visible()
        shoot(page, f"room-captions-{name}")
    desktop.get_by_test_id("open-share").click()
    expect(desktop.get_by_test_id("share").locator("img")).to_be_visible()
    shoot(desktop, "room-share-desktop-en")
    desktop.keyboard.press("Escape")


def shoot_before_and_after(pages: dict[tuple[str, str], Page], desk: Desk) -> None:
    """The room when its show is over, and before the next one."""
    phone, desktop = pages[("phone", "en-GB")], pages[("desktop", "zh-CN")]
    desk.call("POST", "/api/rooms/rm_demo/status", {"status": "ended"})
    for page, name in ((phone, "phone-en"), (desktop, "desktop-zh")):
        expect(page.get_by_test_id("after-show")).to_be_visible()
        shoot(page, f"room-after-{name}")
    starts_at_ms = int(time.time() * 1000) + 5_400_000
    desk.call("PUT", "/api/rooms/rm_demo/schedule", {"starts_at_ms": starts_at_ms})
    desk.call("POST", "/api/rooms/rm_demo/status", {"status": "preshow"})
    for page, name in ((phone, "phone-en"), (desktop, "desktop-zh")):
        expect(page.get_by_test_id("before-show")).to_be_visible()
        shoot(page, f"room-before-{name}")


def shoot_tools(console: Page, chinese: Page) -> None:
    """The console's plots, tabs and sheets."""
    for kind in ("stock", "rush", "watching", "funnel", "latency", "money"):
        console.get_by_test_id(f"plot-{kind}").click()
        expect(console.get_by_test_id("plots").locator("canvas, .empty").first).to_be_visible()
        path = FOLDER / f"console-plot-{kind}-en.png"
        console.locator(".stage").screenshot(path=path)
        print(path)
    console.get_by_test_id("tab-questions").click()
    expect(console.get_by_test_id("questions")).to_be_visible()
    shoot(console, "console-questions-en")
    chinese.get_by_test_id("room-menu").click()
    chinese.get_by_test_id("open-preflight").last.click()
    expect(chinese.get_by_test_id("check-stock")).to_be_visible()
    shoot(chinese, "console-preflight-zh")
    chinese.keyboard.press("Escape")
    console.keyboard.press("/")
    expect(console.get_by_test_id("line-help")).to_be_visible()
    shoot(console, "console-command-line-en")
    console.keyboard.press("Escape")
    for tab in ("people", "log"):
        chinese.get_by_test_id(f"tab-{tab}").click()
        expect(chinese.get_by_test_id("audit-entry" if tab == "log" else "person").first).to_be_visible()
        shoot(chinese, f"console-{tab}-zh")
    console.keyboard.press("?")
    expect(console.get_by_test_id("keys")).to_be_visible()
    shoot(console, "console-keys-en")
    console.keyboard.press("Escape")
    console.get_by_test_id("open-import").click()
    expect(console.get_by_test_id("import-sheet")).to_be_visible()
    shoot(console, "console-import-en")
    console.keyboard.press("Escape")
    chinese.get_by_test_id("room-menu").click()
    chinese.get_by_test_id("open-summary").click()
    expect(chinese.get_by_test_id("summary").locator(".tile").first).to_be_visible()
    shoot(chinese, "console-summary-zh")
    chinese.keyboard.press("Escape")


def wait_for_holds(desk: Desk, sale_id: str) -> None:
    """Until ghosts have bought some and hold some, so that all three numbers show."""
    for _ in range(120):
        stock = desk.http.get(f"/api/sales/{sale_id}").json()["stock"]
        if stock["sold"] >= 4 and stock["held"] >= 2:
            return
        time.sleep(0.25)
    print("the ghosts bought little this time")


def compose(browser: Browser, room: bytes, console: bytes) -> None:
    """The README's picture: both pages side by side."""
    page = new_page(browser, (1740, 860), "en-GB")
    shown = [base64.b64encode(picture).decode() for picture in (room, console)]
    page.set_content(
        "<body style='margin:0;background:#e9e6ef;display:flex;gap:28px;padding:30px;box-sizing:border-box;height:860px'>"
        f"<img style='height:800px;flex:none;border-radius:28px;box-shadow:0 8px 40px #0004' src='data:image/png;base64,{shown[0]}'>"
        f"<img style='height:800px;flex:none;border-radius:12px;box-shadow:0 8px 40px #0004' src='data:image/png;base64,{shown[1]}'>"
    )
    README_PICTURE.parent.mkdir(exist_ok=True)
    page.screenshot(path=README_PICTURE)
    print(README_PICTURE)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make screenshots", description="Screenshots of both pages")
    parser.add_argument("--readme", action="store_true", help=f"also write {README_PICTURE}")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    roles = ("web", "hub", "worker", "ghosts")
    with (
        Show(Path(tempfile.mkdtemp(prefix="flashroom-")), roles=roles, ghosts=GHOSTS) as show,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        room, console = take(show, browser)
        if options.readme:
            compose(browser, room, console)
        browser.close()


if __name__ == "__main__":
    main()

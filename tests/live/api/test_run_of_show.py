"""The run of show: order, quick items, CSV files, and that everybody hears of a change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.run_of_show import MAX_ROW_ERRORS, price_minor, read_csv
from tests.live.api.test_rooms import actions
from tests.live.conftest import Browser, Shop


async def run_of(shop: Shop, who: Browser) -> tuple[list[str], int]:
    page = (await who.get(f"/api/rooms/{shop.room_id}")).json()
    return [product["product_id"] for product in page["products"]], page["run_version"]


async def told(shop: Shop) -> Any:
    return (await shop.wiring.broker.values(shop.room_id))["run"][1]["version"]


async def test_another_order_is_everybodys_order_and_they_are_told(shop: Shop) -> None:
    seller = await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/products"
    _, before = await run_of(shop, seller)
    answer = await seller.call("PUT", path, {"product_ids": ["pr_lamp", "pr_mug"]})
    assert answer.status_code == 200, answer.text
    assert await run_of(shop, await shop.guest()) == (["pr_lamp", "pr_mug"], before + 1)
    assert await told(shop) == before + 1
    assert await actions(shop) == ["run_reorder"]
    for stale in (["pr_lamp"], ["pr_lamp", "pr_lamp"], ["pr_lamp", "pr_mug", "pr_more"]):
        answer = await seller.call("PUT", path, {"product_ids": stale})
        assert (answer.status_code, answer.json()["code"]) == (409, "run_changed")


async def test_a_quick_item_can_be_sold_at_once_and_taken_out_again(shop: Shop) -> None:
    seller = await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/products"
    item = {"title": "Tote bag", "title_zh": "帆布袋", "price_minor": 4900, "stock": 12}
    made = (await seller.post(path, item)).json()["products"][-1]
    assert (made["title"]["zh"], made["currency"]) == ("帆布袋", "CNY")
    sale = await shop.open_sale(seller, variant_id=made["variants"][0]["variant_id"], price_minor=3900)
    gone = await seller.call("DELETE", f"{path}/{made['product_id']}")
    assert (gone.status_code, gone.json()["code"]) == (409, "on_sale")
    await seller.post(f"/api/sales/{sale['sale_id']}/end")
    await shop.wiring.sale_desk.tick()
    await seller.call("PUT", f"/api/rooms/{shop.room_id}/pin", {"product_id": made["product_id"]})
    assert (await seller.call("DELETE", f"{path}/{made['product_id']}")).json()["code"] == "is_pinned"
    await seller.call("PUT", f"/api/rooms/{shop.room_id}/pin", {"product_id": None})
    assert (await seller.call("DELETE", f"{path}/{made['product_id']}")).status_code == 200
    assert (await run_of(shop, seller))[0] == ["pr_mug", "pr_lamp"]
    assert (await seller.call("DELETE", f"{path}/{made['product_id']}")).json()["code"] == "not_in_run"


CSV = """\ufefftitle,title_zh,variant,price,stock
Linen shirt,亚麻衬衫,S,129.00,10
Linen shirt,亚麻衬衫,M,129.00,8
"Tea, green",绿茶,,59.9,40
"""


async def test_a_csv_adds_items_and_read_again_changes_prices_not_stock(shop: Shop) -> None:
    seller = await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/product-imports"
    first = (await seller.post(path, {"csv": CSV})).json()["products"]
    assert [product["title"]["en"] for product in first] == ["mug", "lamp", "Linen shirt", "Tea, green"]
    shirt, tea = first[2], first[3]
    assert [(one["title"]["en"], one["stock"]) for one in shirt["variants"]] == [("S", 10), ("M", 8)]
    assert tea["variants"][0]["price_minor"] == 5990
    again = (await seller.post(path, {"csv": CSV.replace("59.9,40", "49.9,99")})).json()["products"]
    assert [product["product_id"] for product in again] == [product["product_id"] for product in first]
    assert (again[3]["variants"][0]["price_minor"], again[3]["variants"][0]["stock"]) == (4990, 40)


async def test_a_csv_with_errors_names_them_and_adds_nothing(shop: Shop) -> None:
    seller = await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/product-imports"
    bad = "title,price,stock\nGood,1.00,1\n,2.00,1\nFree,0,1\nFew,3.00,-1\nDeep,1.234,1\n"
    answer = await seller.post(path, {"csv": bad})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_rows")
    named = [(row["row"], row["column"]) for row in answer.json()["rows"]]
    assert named == [(3, "title"), (4, "price"), (5, "stock"), (6, "price")]
    assert (await run_of(shop, seller))[0] == ["pr_mug", "pr_lamp"]


@pytest.mark.parametrize(
    ("text", "row", "column"),
    [
        ("title,price\nA,1\n", 1, "stock"),
        ("title,price,stock,colour\nA,1,1,red\n", 1, "colour"),
        ("title,price,stock,price\nA,1,1,1\n", 1, ""),
        ("title,price,stock\n", 1, ""),
        ("title,price,stock\nA,1\n", 2, ""),
        ('title,price,stock\n"A,1,1\n', 2, ""),
        ("title,price,stock,variant\nA,1,1,S\nA,2,1,S\n", 3, "variant"),
        ("title,price,stock,currency\nA,1,1,CHF\n", 2, "currency"),
        ("title,price,stock,currency,variant\nA,1,1,USD,S\nA,1,1,EUR,M\n", 3, "currency"),
        ("title,price,stock,picture\nA,1,1,../../etc\n", 2, "picture"),
        ("title,price,stock\n" + "A" * 81 + ",1,1\n", 2, "title"),
        ("title,price,stock\n" + "".join(f"A{n},1,1\n" for n in range(501)), 502, ""),
        ('title,price,stock,script\nA,1,1,"one\ntwo\nthree"\nB,0,1,\n', 3, "price"),
        ("title,price,stock,script\nA,1,1," + "x" * 4001 + "\n", 2, "script"),
        ("title,price,stock,script\nA,1,1,a\x00b\n", 2, "script"),
        ("title,price,stock,minute\nA,1,1,soon\n", 2, "minute"),
        ("title,price,stock,minute\nA,1,1,1440\n", 2, "minute"),
        ("title,price,stock,script,variant\nA,1,1,one,S\nA,1,1,two,M\n", 3, "script"),
    ],
)
def test_what_is_wrong_with_a_csv_is_told_by_row_and_column(text: str, row: int, column: str) -> None:
    items, errors = read_csv(text, "rm_x", "CNY")
    assert items == []
    assert (errors[0].row, errors[0].column) == (row, column)


@given(st.text(max_size=400), st.booleans())
def test_no_text_breaks_the_reader(text: str, headed: bool) -> None:
    items, errors = read_csv(("title,price,stock,script\n" if headed else "") + text, "rm_x", "CNY")
    assert bool(items) != bool(errors)
    assert len(errors) <= MAX_ROW_ERRORS
    for item in items:
        item.product.check()


def test_amounts_are_read_as_written_and_never_rounded() -> None:
    cases = {
        "59.90": 5990,
        "59.9": 5990,
        "59": 5900,
        "0.01": 1,
        "0": None,
        "1.234": None,
        "1,5": None,
        "-1": None,
    }
    assert {text: price_minor(text, "CNY") for text in cases} == cases
    assert (price_minor("590", "JPY"), price_minor("590.5", "JPY")) == (590, None)


async def test_a_file_that_was_taken_can_be_given_back_and_changes_only_what_was_edited_in_it(
    shop: Shop,
) -> None:
    seller = await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}"
    spoken = '=Two sizes.\nSay "lead-free", then the price.'
    body = {"script": spoken, "minute": 12, "version": 0}
    await seller.call("PUT", f"{path}/products/pr_lamp/script", body)
    await seller.post(f"{path}/products", {"title": "Tote bag", "price_minor": 4900, "stock": 12})
    before = (await seller.get(path)).json()["products"]
    taken = await seller.get(f"{path}/products.csv")
    assert taken.headers["content-type"].startswith("text/csv")
    assert await actions(shop) == ["run_script", "run_add", "run_export"]
    answer = await seller.post(f"{path}/product-imports", {"csv": taken.text})
    assert answer.status_code == 200, answer.text
    assert answer.json()["products"] == before
    scripts = (await seller.get(f"{path}/scripts")).json()["scripts"]
    assert [(one["script"], one["minute"]) for one in scripts] == [("", None), (spoken, 12), ("", None)]
    await seller.post(
        f"{path}/product-imports", {"csv": "title,variant,price,stock,minute\nlamp,blue,99,1,30\n"}
    )
    lamp = (await seller.get(f"{path}/scripts")).json()["scripts"][1]
    assert (lamp["script"], lamp["minute"]) == (spoken, 30)
    assert (await seller.get(path)).json()["products"] == before
    assert (await (await shop.guest()).get(f"{path}/products.csv")).status_code == 401


async def test_the_largest_run_of_show_with_full_scripts_in_chinese_is_one_file(shop: Shop) -> None:
    seller = await shop.staff("seller")
    rows = "".join(f'货{n},1,1,"{"讲" * 4000}",{n}\n' for n in range(198))
    path = f"/api/rooms/{shop.room_id}/product-imports"
    answer = await seller.post(path, {"csv": f"title,price,stock,script,minute\n{rows}"})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["products"]) == 200
    too_large = "x" * 4_200_000
    assert (await (await shop.guest()).post(path, {"csv": too_large})).status_code == 401
    assert (await seller.post(path, {"csv": too_large})).status_code == 413

"""The sample show's catalogue: fourteen products as a small shop would sell them, in English and Chinese, prices in CNY minor units."""

from __future__ import annotations

from typing import Final

from commerce.catalogue import Product, Variant

CURRENCY: Final = "CNY"

_Variant = tuple[str, str, str, int, int]
"""(id's end, title in English, title in Chinese, price in fen, units on hand)"""


def _product(name: str, en: str, zh: str, about_en: str, about_zh: str, *variants: _Variant) -> Product:
    product_id = f"pr_{name.replace('-', '_')}"
    return Product(
        product_id=product_id,
        title={"en": en, "zh": zh},
        description={"en": about_en, "zh": about_zh},
        picture=name,
        currency=CURRENCY,
        variants=tuple(
            Variant(
                variant_id=f"va_{product_id.removeprefix('pr_')}_{end}",
                product_id=product_id,
                title={"en": title_en, "zh": title_zh},
                price_minor=price_minor,
                on_hand=on_hand,
            )
            for end, title_en, title_zh, price_minor, on_hand in variants
        ),
    )


PRODUCTS: Final = (
    _product(
        "serum",
        "Amber Repair Serum",
        "琥珀修护精华",
        "Ten per cent niacinamide with squalane from olives. Two drops, morning and evening.",
        "10% 烟酰胺搭配橄榄角鲨烷，早晚各两滴，油皮敏感肌都能用。",
        ("30", "30 ml", "30 毫升", 19900, 300),
        ("50", "50 ml", "50 毫升", 28900, 180),
    ),
    _product(
        "mask",
        "Centella Calming Mask",
        "积雪草舒缓面膜",
        "Lyocell sheet soaked in 25 ml of essence. Fifteen minutes after a day in the sun.",
        "天丝膜布，每片 25 毫升精华，晒后敷十五分钟，第二天不泛红。",
        ("5", "Box of 5", "5 片装", 8900, 500),
        ("20", "Box of 20", "20 片装", 29900, 200),
    ),
    _product(
        "lipstick",
        "Velvet Lipstick",
        "丝绒哑光口红",
        "Matt without drying; stays through hot pot. Refill fits the same case.",
        "哑光不拔干，吃火锅也不掉色，替换芯通用。",
        ("brick", "Brick red", "砖红", 12900, 260),
        ("rose", "Dusty rose", "干枯玫瑰", 12900, 240),
        ("plum", "Plum", "梅子", 12900, 120),
    ),
    _product(
        "hand-cream",
        "Lavender Hand Cream",
        "薰衣草护手霜",
        "Shea butter and lavender from Ili. Absorbs in half a minute, no shine on the keyboard.",
        "乳木果油加伊犁薰衣草，三十秒吸收，敲键盘不油腻。",
        ("60", "60 ml", "60 毫升", 5900, 600),
        ("set", "Set of 3", "三支装", 14900, 220),
    ),
    _product(
        "teapot",
        "Yixing Clay Teapot",
        "宜兴紫砂壶",
        "Hand-built from zhuni clay, 160 ml, pours in eight seconds without a drip. Each one signed.",
        "朱泥全手工，容量 160 毫升，出水八秒不滴漏，壶底有作者款。",
        ("pearl", "Round pearl", "龙珠款", 68000, 40),
        ("drum", "Low drum", "德钟款", 72000, 25),
    ),
    _product(
        "tea-tin",
        "Spring Longjing",
        "明前龙井",
        "Picked before Qingming on Lion Peak, pan-fired by hand. Chestnut and bean flower.",
        "狮峰山明前采摘，手工炒制，豆花香里带栗子甜。",
        ("50", "50 g tin", "50 克罐装", 26800, 160),
        ("125", "125 g tin", "125 克罐装", 58800, 80),
    ),
    _product(
        "mug",
        "Tide Stoneware Mug",
        "潮汐粗陶杯",
        "Thrown in Jingdezhen, 350 ml, glazed in three dips so that no two waves are the same.",
        "景德镇拉坯，350 毫升，三次浸釉，每只海浪纹都不一样。",
        ("blue", "Deep blue", "深海蓝", 9800, 320),
        ("sand", "Sand", "沙色", 9800, 180),
    ),
    _product(
        "headphones",
        "Hush Over-ear Headphones",
        "静界头戴耳机",
        "Noise cancelling, forty hours on one charge, two devices at once. 248 g.",
        "主动降噪，续航四十小时，双设备连接，只有 248 克。",
        ("night", "Night blue", "夜蓝", 89900, 90),
        ("stone", "Stone", "岩灰", 89900, 70),
    ),
    _product(
        "sneakers",
        "Harbour Runner",
        "海港跑鞋",
        "Knitted upper, cork insole, sole that can be replaced. True to size.",
        "飞织鞋面，软木鞋垫，大底可更换，正码选购。",
        ("38", "EU 38", "38 码", 45900, 60),
        ("40", "EU 40", "40 码", 45900, 80),
        ("42", "EU 42", "42 码", 45900, 80),
        ("44", "EU 44", "44 码", 45900, 50),
    ),
    _product(
        "scarf",
        "Striped Lambswool Scarf",
        "条纹羊毛围巾",
        "190 cm of washed lambswool, woven in Inner Mongolia. Wide enough for a shawl.",
        "内蒙古水洗羔羊毛，长 190 厘米，展开可当披肩。",
        ("red", "Brick and cream", "砖红配米白", 23900, 150),
        ("green", "Pine and cream", "松绿配米白", 23900, 120),
    ),
    _product(
        "desk-lamp",
        "Elbow Desk Lamp",
        "折臂护眼台灯",
        "Ra 97, from candle to daylight by one dial; remembers where you left it.",
        "显指 97，一个旋钮从烛光调到日光，自动记忆亮度。",
        ("amber", "Amber", "琥珀黄", 32900, 110),
        ("white", "White", "象牙白", 32900, 90),
    ),
    _product(
        "keyboard",
        "Dusk 75 Keyboard",
        "暮色 75 键盘",
        "Gasket mounted, hot-swappable, PBT caps. Wired, because it never needs charging.",
        "Gasket 结构，全键热插拔，PBT 键帽，有线连接永远不用充电。",
        ("linear", "Linear switches", "线性轴", 49900, 85),
        ("tactile", "Tactile switches", "段落轴", 49900, 65),
    ),
    _product(
        "candle",
        "Osmanthus Candle",
        "桂花香薰蜡烛",
        "Soy wax, cotton wick, osmanthus over sandalwood. Burns for forty-five hours.",
        "大豆蜡棉芯，桂花叠檀香，燃烧四十五小时。",
        ("200", "200 g", "200 克", 13900, 210),
    ),
    _product(
        "backpack",
        "Ridge Day Pack",
        "山脊通勤背包",
        "18 litres, recycled nylon, a pocket that fits a 16-inch laptop and opens from the side.",
        "18 升再生尼龙，侧开口电脑仓可放 16 英寸，通勤短途都够用。",
        ("teal", "Teal", "湖蓝", 36900, 130),
        ("black", "Black", "墨黑", 36900, 140),
    ),
)

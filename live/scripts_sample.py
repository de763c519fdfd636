"""What the sample show's host says of each item, as a host in two languages writes it down, and in which minute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_SPOKEN: Final = (
    (
        "pr_serum",
        0,
        """Hold the bottle to the light: amber, because light spoils it.
Two drops on the back of the hand. Let it sink in, then show the camera: no shine.
"Ten per cent niacinamide, squalane from olives. Morning and evening."
Ask: who has tried ten per cent before?
[Link up at 3-2-1. One each.]

拿到灯下：琥珀瓶，避光。
手背两滴，等它吸收，给镜头看：不油。
“10% 烟酰胺，早晚各两滴，敏感肌先试耳后。”
[3、2、1，上链接，每人一件]""",
    ),
    (
        "pr_mask",
        10,
        """Open one sheet. Hold it against the lamp: you see the hand through it.
"Twenty-five millilitres in each. Fifteen minutes after a day in the sun."
Wring it out over the bowl.

打开一片，对着灯：能看见手。
“每片 25 毫升精华，晒后敷十五分钟。”""",
    ),
    (
        "pr_lipstick",
        18,
        """Three colours on the arm, left to right: brick, rose, plum.
Drink from the white cup. Turn the cup to the camera.
"Stays through hot pot. The refill fits the same case."

手臂试色：砖红、干枯玫瑰、梅子。
喝一口水，杯沿给镜头看：不掉色。""",
    ),
    (
        "pr_hand_cream",
        26,
        """Cream on, count to thirty, type on the keyboard. No prints.
The set of three is the present people ask for.

涂好数三十秒，敲键盘，不留印。三支装适合送人。""",
    ),
    (
        "pr_teapot",
        32,
        """Slowly. Nobody hurries a teapot.
Pour: count aloud to eight. Stop. No drip.
Show the maker's seal under the base.
[Only 12 on the shelf: say so once, not twice.]

慢慢来。出水，数到八，收水不滴。看壶底落款。""",
    ),
    (
        "pr_tea_tin",
        40,
        """Leaves into the glass, water at 80 degrees, wait.
"Picked before Qingming, fired by hand." Let them read the harvest date on the tin.

玻璃杯投茶，水温八十度。“明前采，手工炒。”给镜头看采摘日期。""",
    ),
    (
        "pr_mug",
        46,
        """Three mugs side by side: no two waves are the same.
Pour the rest of the Longjing in.

三只并排：没有两只一样的海浪。""",
    ),
    (
        "pr_headphones",
        52,
        """Fan on. Headphones over the microphone. Fan gone.
"Forty hours on one charge, and two devices at once."

开风扇，耳机罩住麦克风，风声没了。“续航四十小时。”""",
    ),
    (
        "pr_sneakers",
        60,
        """Bend the sole. Pull the cork insole out, put it back.
"True to size. The sole can be replaced." Read the sizes that are left.

弯折鞋底，取出软木鞋垫。“正码选购，大底可换。”报一遍剩余尺码。""",
    ),
    (
        "pr_scarf",
        68,
        """As a scarf, then as a shawl. Turn once.
"A hundred and ninety centimetres of washed lambswool."

先当围巾，再当披肩。""",
    ),
    (
        "pr_desk_lamp",
        75,
        """Studio light down. Only this lamp on the tea.
Turn the dial from candle to daylight. Off, on: it remembers.

关补光灯，只留这盏。旋钮从烛光到日光，关掉再开：记得亮度。""",
    ),
    (
        "pr_keyboard",
        82,
        """Type a line close to the microphone: linear first, then tactile.
Pull one switch out, put another in. "No charging, ever."

靠近麦克风打一行：先线性，再段落。换一颗轴给大家看。""",
    ),
    (
        "pr_candle",
        90,
        """Light it at minute 89, it needs a moment.
"Osmanthus first, sandalwood after. Forty-five hours."

提前一分钟点上。“前调桂花，后调檀香。”""",
    ),
    (
        "pr_backpack",
        96,
        """The 16-inch laptop in from the side, standing.
Thank everybody by name from the chat. Say when the next show is.

电脑从侧面放进去。念几位观众的名字，预告下一场。""",
    ),
)

SCRIPTS: Final[Mapping[str, Mapping[str, Any]]] = {
    product_id: {"script": script, "minute": minute} for product_id, minute, script in _SPOKEN
}

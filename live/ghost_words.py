"""What the simulated audience is called and says, by language and occasion. `{price}` and `{left}` are filled in where known."""

from __future__ import annotations

from typing import Final

Words = dict[str, tuple[str, ...]]

NAMES: Final[Words] = {
    "zh": (
        "小鹿乱撞", "阿芝", "今天也要早睡", "橘子汽水", "Lily酱", "老王不老", "麦子", "番茄炒蛋", "南风", "一只柚子",
        "糯米团子", "豆豆妈", "西湖醋鱼", "晚晚", "云朵面包", "七七", "林间", "小满", "半糖去冰", "阿柴",
        "北岸", "苏打饼干", "圆圆", "三两风", "木木", "陈皮", "夏天的风", "鱼丸粗面", "安安静静", "大白兔",
        "桃子味", "江南雨", "小周同学", "葡萄柚", "青梅", "春卷",
    ),
    "en": (
        "mia.k", "Jonas", "teatime_tess", "Priya", "oliver_b", "Hana", "NoodleFan", "Sofia R", "ben42", "Clara",
        "quietkeys", "Marco", "Ines", "dan the van", "Yuki", "Freya", "Tom H", "Leila", "sam_s", "Nora",
        "kite", "Aiko", "PaulP", "Zoe",
    ),
}  # fmt: skip

ARRIVING: Final[Words] = {
    "zh": ("来了来了", "主播晚上好！", "刚下班，赶上了吗", "第一次来，先看看", "又来蹲安娜了", "前排前排"),
    "en": (
        "hi everyone!",
        "just got here, what did I miss?",
        "good evening Ana",
        "finally made it in time",
        "hello from Lisbon",
    ),
}

CHATTING: Final[Words] = {
    "zh": (
        "声音很清楚", "今天灯光好好看", "可以发顺丰吗", "包邮吗", "支持七天无理由吗", "哈哈哈哈", "主播今天好温柔", "上次买的已经回购了",
        "有没有运费险", "新疆发吗", "关注了", "主播慢慢说不着急", "弹幕好快", "截图了", "等一下我去拿个杯子",
    ),
    "en": (
        "sound is great tonight", "do you ship abroad?", "how long does delivery take?", "haha same",
        "can you show it closer to the camera?",
        "I bought from here last month, all good", "is there a return policy?", "love the setup",
        "what time is the next one?", "thanks for answering!",
    ),
}  # fmt: skip

ABOUT: Final[dict[str, Words]] = {
    "pr_serum": {
        "zh": ("敏感肌能用吗？", "这个搓泥吗", "30 毫升能用多久", "孕期可以用吗", "我空瓶两支了，真的不黏"),
        "en": ("okay for sensitive skin?", "does it pill under sunscreen?", "how long does 30 ml last?", "is there any scent?"),
    },
    "pr_mask": {
        "zh": ("敷完要洗吗", "膜布薄不薄", "晒后用过，第二天真不红", "一周几次合适"),
        "en": ("rinse off after?", "used it after the beach, no redness", "how often per week?"),
    },
    "pr_lipstick": {
        "zh": ("黄皮选哪个色", "砖红显白吗", "拔不拔干", "想看一下梅子色试色", "会沾杯吗"),
        "en": ("which shade for warm skin?", "can you swatch plum please", "does it transfer on cups?", "brick red is so pretty"),
    },
    "pr_hand_cream": {
        "zh": ("味道重吗", "办公室必备", "三支装送礼合适", "油不油呀"),
        "en": ("is the lavender strong?", "need this at my desk", "greasy or not?"),
    },
    "pr_teapot": {
        "zh": ("是全手工吗", "出水好漂亮", "泡普洱合适吗", "壶底有款吗，看一眼", "这个收藏了"),
        "en": ("is it really hand built?", "that pour is so clean", "good for pu'er?", "could you show the stamp?"),
    },
    "pr_tea_tin": {
        "zh": ("今年的明前吗", "用多少度的水", "狮峰的？", "豆香闻到了哈哈"),
        "en": ("this year's harvest?", "what water temperature?", "how should I store it?"),
    },
    "pr_mug": {
        "zh": ("能进微波炉吗", "每只花纹都不一样？", "容量多少", "蓝色太好看了"),
        "en": ("microwave safe?", "so every wave is different? lovely", "how big is it?", "team sand here"),
    },
    "pr_headphones": {
        "zh": ("夹不夹头", "地铁里降噪怎么样", "能同时连手机电脑吗", "续航真有四十小时？"),
        "en": ("do they clamp?", "how is it on the metro?", "laptop and phone at once?", "forty hours, really?"),
    },
    "pr_sneakers": {
        "zh": ("偏大还是偏小", "脚宽能穿吗", "42 还有吗", "大底能换？厉害"),
        "en": ("true to size?", "ok for wide feet?", "a sole you can replace, finally", "any 44 left?"),
    },
    "pr_scarf": {
        "zh": ("扎不扎脖子", "能当披肩吗", "送妈妈选哪个颜色", "掉毛吗"),
        "en": ("is it itchy?", "which one for my mum?", "love the stripes", "does it shed?"),
    },
    "pr_desk_lamp": {
        "zh": ("有频闪吗", "孩子写作业能用吗", "色温能调吗", "琥珀黄好特别"),
        "en": ("any flicker?", "good for drawing?", "amber is such a colour", "does it clamp to a desk?"),
    },
    "pr_keyboard": {
        "zh": ("声音听一下", "mac 能用吗", "线性轴办公吵不吵", "键帽会打油吗"),
        "en": ("sound test please!", "does it work on a mac?", "linear for the office?", "hot-swap is a yes from me"),
    },
    "pr_candle": {
        "zh": ("桂花味会不会甜腻", "能烧多久", "秋天就要点这个", "有小样吗"),
        "en": ("is it very sweet?", "how many hours?", "autumn in a glass"),
    },
    "pr_backpack": {
        "zh": ("16 寸电脑放得下吗", "防水吗", "女生背会不会大", "湖蓝好清爽"),
        "en": ("fits a 16 inch?", "is it waterproof?", "carry-on size?", "teal!"),
    },
}  # fmt: skip

COUNTDOWN: Final[Words] = {
    "zh": ("准备好了！", "手已经放好了", "冲冲冲", "倒计时了别眨眼", "{price} 真的假的", "网速给力点"),
    "en": ("ready!", "finger on the button", "here we go", "{price}?? ok", "nobody blink"),
}
OPENED: Final[Words] = {
    "zh": ("开了开了！", "冲！", "快快快", "还剩 {left} 件"),
    "en": ("it's open!", "go go go", "only {left} left"),
}
HELD: Final[Words] = {
    "zh": ("抢到了！去付款", "占上了，手在抖", "拿下一件"),
    "en": ("got one, paying now", "held! hands are shaking", "yes!!"),
}
BOUGHT: Final[Words] = {
    "zh": ("付好了，等收货", "买到了！开心", "下单成功，谢谢主播", "已付款，冲着颜色买的"),
    "en": ("paid! can't wait", "bought it, thank you Ana", "order's in", "done, that was easy"),
}
ALL_HELD: Final[Words] = {
    "zh": ("都被占了，等人放手", "显示占用中，还有机会吗", "有人没付款的话能轮到我吗"),
    "en": (
        "all held, hoping somebody lets go",
        "still a chance if someone doesn't pay?",
        "all held... waiting",
    ),
}
SOLD_OUT: Final[Words] = {
    "zh": ("没了？太快了吧", "没抢到，求返场", "手速不行啊我", "下一轮什么时候", "恭喜抢到的"),
    "en": (
        "gone already?",
        "missed it, another round please",
        "congrats to those who got one",
        "too slow again",
    ),
}
DECLINED: Final[Words] = {
    "zh": ("换张卡付", "卡被拒了，别急我换一张", "吓我一跳，占用还在"),
    "en": ("card declined, trying another", "ok my hold is still there, phew", "wrong card, one sec"),
}
ENDED: Final[Words] = {
    "zh": ("结束啦，下次早点", "还有返场吗", "谢谢主播，下次见"),
    "en": ("that was quick", "will there be another round?", "thanks, fun show"),
}

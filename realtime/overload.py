"""When a hub can't write a room's ticks in time, what is left out, in which order, and when it comes back. No I/O.

First hearts are told less often, then presence, then viewers' comments are thinned to one in n. Stock values, what the host does and
personal messages are never thinned. The signal is the time that writing one tick to everybody takes, against the longest tick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

HEARTS, PRESENCE, CHAT = 1, 2, 3
ENTER: Final = {HEARTS: 0.5, PRESENCE: 1.0, CHAT: 1.5}
"""Stage -> the share of the longest tick that a pass takes (smoothed) when it begins."""
LEAVE_BELOW: Final = 0.6
"""A stage is left when the load is below this share of what it began at, for `CALM_S`."""
CALM_S: Final = 3.0
WEIGHT: Final = 0.3
"""Of the newest pass in the smoothed one."""
ONE_IN_MAX: Final = 16
HEARTS_EVERY_MS: Final = 2_000
PRESENCE_EVERY_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Thinning:
    """What a stage leaves out: keys of values and how often they are told (ms), and one in how many comments."""

    stage: int = 0
    chat_one_in: int = 1

    @property
    def every_ms(self) -> dict[str, int]:
        found = {}
        if self.stage >= HEARTS:
            found["likes"] = HEARTS_EVERY_MS
        if self.stage >= PRESENCE:
            found["watching"] = found["requests"] = PRESENCE_EVERY_MS
        return found

    @property
    def mode(self) -> dict[str, Any]:
        """As the `mode` notice tells it (PROTOCOL.md)."""
        return {
            "hearts": "reduced" if self.stage >= HEARTS else "full",
            "presence": "reduced" if self.stage >= PRESENCE else "full",
            "chat": "reduced" if self.stage >= CHAT else "full",
            "chat_one_in": self.chat_one_in,
        }


NOTHING: Final = Thinning()


class Overload:
    """One room's stage on one hub. `observe` each pass; it says when the thinning has changed."""

    def __init__(self, tick_max_s: float) -> None:
        self._tick_max_s = tick_max_s
        self._load = 0.0
        self._calm_since_s: float | None = None
        self.thinning = NOTHING

    def observe(self, pass_s: float, now_s: float) -> bool:
        """Take in how long writing one tick took. Up at once, as far as the load says; down one stage after a calm time."""
        self._load += WEIGHT * (pass_s / self._tick_max_s - self._load)
        stage = self.thinning.stage
        wanted = max((one for one, enter in ENTER.items() if self._load >= enter), default=0)
        if wanted > stage:
            self._calm_since_s = None
            stage = wanted
        elif stage and self._load < ENTER[stage] * LEAVE_BELOW:
            if self._calm_since_s is None:
                self._calm_since_s = now_s
            elif now_s - self._calm_since_s >= CALM_S:
                self._calm_since_s = now_s
                stage -= 1
        else:
            self._calm_since_s = None
        one_in = self._one_in() if stage == CHAT else 1
        if stage == CHAT == self.thinning.stage:
            one_in = max(
                one_in, self.thinning.chat_one_in
            )  # it comes back with the stage, not with every tick
        changed = Thinning(stage, one_in)
        if changed == self.thinning:
            return False
        self.thinning = changed
        return True

    def _one_in(self) -> int:
        above = max(1.0, self._load / ENTER[CHAT])
        return min(ONE_IN_MAX, 2 << int(math.log2(above)))

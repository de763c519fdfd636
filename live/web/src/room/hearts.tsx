import { useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { useSession } from "./context";

const MAX_HEARTS = 10;
const COLOURS = ["#ff5a48", "#ffd60a", "#ff8fb1", "#ffffff"];

/** Hearts rise for likes of everyone: batched, at most ten at once, none when the viewer wants less motion. */
export function Hearts() {
  const session = useSession();
  const layer = useRef<HTMLDivElement>(null);
  const seen = useRef<number | null>(null);
  useSignalEffect(() => {
    const total = session.store.likes.value.total + session.likesPending.value;
    if (!session.store.isJoined.value) return;
    const before = seen.current;
    seen.current = Math.max(total, before ?? 0);
    if (before === null || total <= before || !layer.current || document.hidden) return;
    if (session.store.mode.peek().hearts === "paused" || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const wanted = Math.ceil(Math.log2(total - before + 1));
    for (let n = Math.min(wanted, MAX_HEARTS - layer.current.childElementCount); n > 0; n--) rise(layer.current);
  });
  return <div class="hearts" ref={layer} aria-hidden="true" />;
}

function rise(layer: HTMLElement): void {
  const heart = document.createElement("i");
  heart.className = "rising-heart";
  heart.style.setProperty("--x", `${Math.round(Math.random() * 44 - 22)}px`);
  heart.style.setProperty("--tilt", `${Math.round(Math.random() * 40 - 20)}deg`);
  heart.style.setProperty("--wait", `${Math.round(Math.random() * 350)}ms`);
  heart.style.setProperty("--scale", (0.75 + Math.random() * 0.5).toFixed(2));
  heart.style.setProperty("--colour", COLOURS[Math.floor(Math.random() * COLOURS.length)] ?? "#ff5a48");
  heart.addEventListener("animationend", () => heart.remove(), { once: true });
  layer.append(heart);
}

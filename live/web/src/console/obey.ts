/** Does what a key or the command line says, by the same calls as the buttons. */

import { signal } from "@preact/signals";
import type { Command } from "./commands";
import type { RoomDesk } from "./room-desk";
import { openPrompter } from "./view";

/** True while the key for "end early" is kept down: the button then counts it as its own press. */
export const isEndKeyDown = signal(false);

const REPLY_MAX = 20;

/** False when the command has nothing to act on now. */
export function obey(desk: RoomDesk, command: Command): boolean {
  const sale = desk.sale();
  const line = desk.moderation.chosen.peek();
  switch (command.name) {
    case "select":
    case "pin": {
      const product = desk.products.peek()[command.index];
      if (!product) return false;
      desk.select(product.product_id);
      if (command.name === "pin") void desk.pin(product.product_id);
      return true;
    }
    case "unpin":
      if (!desk.store.pin.peek().product_id) return false;
      void desk.pin(null);
      return true;
    case "arm":
    case "fire":
    case "extend":
      if (sale) void desk.act(sale, command.name);
      return sale !== null;
    case "toggle_pause":
      if (sale?.state === "open") return obey(desk, { name: "pause" });
      return sale?.state === "paused" && obey(desk, { name: "resume" });
    case "pause":
      if (sale?.state !== "open") return false;
      void desk.act(sale, "pause", { reason: "host" });
      return true;
    case "resume":
      if (sale?.state !== "paused") return false;
      void desk.act(sale, "resume");
      return true;
    case "add_stock":
      if (!sale || !desk.view(sale).controls.has("add_stock")) return false;
      desk.tray.value = "add_stock";
      return true;
    case "stock":
      return changeStock(desk, command.index, command.delta);
    case "end_early":
      isEndKeyDown.value = true;
      return true;
    case "end_now":
      if (!sale || !desk.view(sale).controls.has("end_early")) return false;
      void desk.act(sale, "end_early");
      return true;
    case "take_desk":
      void desk.hold.take();
      return true;
    case "leave_desk":
      void desk.hold.leave();
      return true;
    case "give_desk":
    case "keep_desk":
      void desk.hold.answer(command.name === "give_desk" ? "hand_over" : "keep");
      return desk.hold.isMine && desk.hold.request.peek() !== null;
    case "next_message":
    case "previous_message":
      desk.sideTab.value = "chat";
      desk.moderation.move(command.name === "next_message" ? 1 : -1);
      return true;
    case "hide_message":
      if (line) void desk.moderation.hide(line);
      return line !== null;
    case "restore_message":
      if (line) void desk.moderation.restore(line);
      return line !== null;
    case "pin_message":
      if (line) void desk.moderation.pin(line);
      return line !== null;
    case "mute_message":
      if (line) void desk.moderation.mute(line.viewer_id, line.name, command.seconds);
      return line !== null;
    case "ban_message":
      if (line) void desk.moderation.ban(line.viewer_id, line.name);
      return line !== null;
    case "undo": {
      const last = desk.moderation.undos.peek().at(-1);
      if (last) void desk.moderation.takeBack(last);
      return last !== undefined;
    }
    case "reply": {
      const text = command.index < REPLY_MAX ? desk.replies.list.peek()[command.index] : undefined;
      if (text) void desk.moderation.say(text);
      return text !== undefined;
    }
    case "slow":
      void desk.moderation.set({ slow_mode_s: command.seconds });
      return true;
    case "review":
      void desk.moderation.set({ review: command.isOn });
      return true;
    case "followers":
      void desk.moderation.set({ followers_only: command.isOn });
      return true;
    case "chat":
      void desk.moderation.set({ off: !command.isOn });
      return true;
    case "announce":
      void desk.moderation.announce(command.text);
      return true;
    case "caption":
      void desk.moderation.caption(command.text);
      return true;
    case "status":
      void desk.setStatus(command.status);
      return desk.may("produce");
    case "plot":
      desk.plot.value = command.kind;
      desk.tab.value = "plots"; // where the console is one panel at a time
      return true;
    case "prompter":
      openPrompter();
      return true;
    case "write":
      writeTo(desk, "");
      return true;
    case "command_line":
      writeTo(desk, "/");
      return true;
    case "keys":
      desk.isKeysOpen.value = true;
      return true;
  }
}

function changeStock(desk: RoomDesk, index: number | null, delta: number): boolean {
  const product = index === null ? null : desk.products.peek()[index];
  if (index !== null && !product) return false;
  if (product) desk.select(product.product_id);
  const sale = desk.sale();
  const control = delta > 0 ? "add_stock" : "withdraw_stock";
  if (!sale || !desk.view(sale).controls.has(control)) return false;
  void desk.act(sale, control, { delta });
  return true;
}

function writeTo(desk: RoomDesk, text: string): void {
  desk.sideTab.value = "chat";
  desk.tab.value = "chat";
  desk.draft.value = text;
  requestAnimationFrame(() => document.getElementById("composer")?.focus());
}

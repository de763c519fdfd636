import { describe, expect, it } from "vitest";
import { parse, USAGES, usagesFor } from "./command-line";
import { words } from "./words";

describe("the command line", () => {
  it.each([
    ["/pin 3", { name: "pin", index: 2 }],
    ["/slow 5", { name: "slow", seconds: 5 }],
    ["/slow off", { name: "slow", seconds: 0 }],
    ["/stock +20", { name: "stock", index: null, delta: 20 }],
    ["/stock 3 +20", { name: "stock", index: 2, delta: 20 }],
    ["/stock -5", { name: "stock", index: null, delta: -5 }],
    ["/announce  We start at nine ", { name: "announce", text: "We start at nine" }],
    ["/mute", { name: "mute_message", seconds: 60 }],
    ["/mute 600", { name: "mute_message", seconds: 600 }],
    ["/FIRE", { name: "fire" }],
    ["/end", { name: "end_now" }],
    ["/caption thirty left ", { name: "caption", text: "thirty left" }],
    ["/desk take", { name: "take_desk" }],
    ["/desk give", { name: "give_desk" }],
    ["/followers on", { name: "followers", isOn: true }],
    ["/chat off", { name: "chat", isOn: false }],
    ["/prompter", { name: "prompter" }],
    ["/plot money", { name: "plot", kind: "money" }],
  ])("%s", (line, command) => expect(parse(line)).toEqual(command));

  it.each(["", "fire", "/", "/fire now", "/pin", "/pin 0", "/pin x", "/stock 20", "/stock +0", "/stock 3", "/stock 1 2 +3", "/slow 601", "/announce", `/caption ${"x".repeat(201)}`, "/end early", "/status ended", "/plot all", "/drop table"])(
    "%s is no command",
    (line) => expect(parse(line)).toBeNull(),
  );

  it("every usage that needs no text of one's own is a command, and has words", () => {
    for (const { form, word } of USAGES) {
      expect(words.has(word), word).toBe(true);
      expect(parse(form), form).not.toBeNull();
    }
  });

  it("offers what the typed may become", () => {
    expect(usagesFor("/re").map((one) => one.verb)).toEqual(["resume", "restore", "reply", "review"]);
    expect(usagesFor("/stock 3").map((one) => one.verb)).toEqual(["stock"]);
    expect(usagesFor("/xyz")).toEqual([]);
  });
});

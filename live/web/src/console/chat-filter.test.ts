import { describe, expect, it } from "vitest";
import type { ChatLine } from "../shared/room-store";
import { chatFilter, newOutside, type Wanted } from "./chat-filter";

const line = (id: string, name: string, text: string, role: ChatLine["role"] = "viewer"): ChatLine =>
  ({ id, viewer_id: `gu_${name}`, name, text, role, at_ms: 1, deleted: false }) as ChatLine;

const LINES = [
  line("1", "Lou", "does it ship today"),
  line("2", "Ana", "Hello everybody", "host"),
  line("3", "Mia", "Hi @ana!"),
  line("4", "Lou", "I like banana ghosts"),
  line("5", "Kim", "问一下主播"),
  line("6", "Moe", "Be kind", "moderator"),
  line("7", "Kim", "has (anything) left?"),
];
const wanted = (kind: Wanted["kind"], more: Partial<Wanted> = {}): Wanted => ({ kind, text: "", viewer: null, me: "Bo", ...more });
const ids = (want: Wanted): string => (chatFilter(want, null)?.of(LINES) ?? []).map((one) => one.id).join("");

describe("the chat's filter", () => {
  it("is none when everything is wanted, or one viewer and none was chosen", () => {
    expect(chatFilter(wanted("all"), null)).toBeNull();
    expect(chatFilter(wanted("viewer"), null)).toBeNull();
  });

  it("shows what hosts and moderators say", () => expect(ids(wanted("staff"))).toBe("26"));

  it("shows who speaks to a host, by a name as a word of its own or by the word", () => {
    expect(ids(wanted("mentions"))).toBe("35");
    expect(ids(wanted("mentions", { me: "everybody" }))).toBe("35"); // not what we say ourselves
    expect(ids(wanted("mentions", { me: "(anything)" }))).toBe("357"); // a name is no pattern
  });

  it("shows what viewers ask", () => expect(ids(wanted("questions"))).toBe("17"));

  it("shows one viewer's by who they are, not by what they are called", () => {
    expect(ids(wanted("viewer", { viewer: { id: "gu_Lou", name: "Mia" } }))).toBe("14");
  });

  it("finds a part of a message or of a name; nothing typed hides nothing", () => {
    expect(ids(wanted("text", { text: " SHIP " }))).toBe("1");
    expect(ids(wanted("text", { text: "kim" }))).toBe("57");
    expect(ids(wanted("text"))).toBe("1234567");
  });

  it("counts what came since and is not shown", () => {
    const filter = chatFilter(wanted("staff"), "3");
    if (!filter) throw new Error("no filter");
    expect(newOutside(filter, LINES, filter.of(LINES))).toBe(3); // 4, 5 and 7
    expect(newOutside({ ...filter, sinceId: "7" }, LINES, filter.of(LINES))).toBe(0);
    expect(newOutside({ ...filter, sinceId: "gone" }, LINES, filter.of(LINES))).toBe(5);
  });
});

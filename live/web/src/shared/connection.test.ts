import { decode, encode } from "@msgpack/msgpack";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ServerClock } from "./clock";
import { CommandRefused, type ConnectionStatus, RoomConnection, type RoomListener, type SocketLike } from "./connection";
import type { Joined, Notice, WireEvent, WireValue } from "./types";

class FakeSocket implements SocketLike {
  static all: FakeSocket[] = [];
  binaryType = "";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  readonly sent: [number, string, Record<string, unknown>][] = [];
  isClosed = false;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  send(data: Uint8Array): void {
    this.sent.push(decode(data) as [number, string, Record<string, unknown>]);
  }

  close(): void {
    this.isClosed = true;
  }

  receive(...messages: unknown[][]): void {
    for (const message of messages) {
      const bytes = encode(message);
      this.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) });
    }
  }

  join(over: Partial<Joined> = {}): void {
    this.onopen?.();
    this.receive([4, joined(over)]);
  }

  command(name: string): [number, string, Record<string, unknown>] {
    const found = this.sent.findLast((c) => c[1] === name);
    if (!found) throw new Error(`no ${name} was sent`);
    return found;
  }
}

function joined(over: Partial<Joined> = {}): Joined {
  return {
    room_id: "rm_1",
    viewer_id: "gu_1",
    epoch: "e1",
    offset: 10,
    recovered: false,
    server_time_ms: 1_000,
    events: [],
    first_offset: 11,
    values: {},
    personal_offset: 3,
    mode: null,
    limits: null,
    ...over,
  };
}

class Recorder implements RoomListener {
  events: WireEvent[] = [];
  personals: [string, unknown][] = [];
  statuses: ConnectionStatus[] = [];
  joins: Joined[] = [];
  notices: Notice[] = [];
  joined(j: Joined): void {
    this.joins.push(j);
  }
  tick(_: number, events: WireEvent[], __: Record<string, WireValue>): void {
    this.events.push(...events);
  }
  personal(type: string, data: unknown): void {
    this.personals.push([type, data]);
  }
  notice(notice: Notice): void {
    this.notices.push(notice);
  }
  status(status: ConnectionStatus): void {
    this.statuses.push(status);
  }
  get state(): ConnectionStatus | undefined {
    return this.statuses.at(-1);
  }
}

let tickets = 0;
let facts: Record<string, unknown> = {};
let recorder: Recorder;
let connection: RoomConnection;
const last = (): FakeSocket => {
  const socket = FakeSocket.all.at(-1);
  if (!socket) throw new Error("no socket was opened");
  return socket;
};
const comment = (n: number): WireEvent => ["comment", { id: `co_${n}` }];
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(async () => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  tickets = 0;
  recorder = new Recorder();
  connection = new RoomConnection({
    getTicket: async () => ({
      ticket: `t${++tickets}`,
      hub_url: "ws://hub/v1",
      expires_at_ms: Date.now() + 600_000,
      viewer: { viewer_id: "gu_1", name: "Mia" },
    }),
    listener: recorder,
    clock: new ServerClock(),
    openSocket: (url) => new FakeSocket(url),
    random: () => 0.5,
    pingFacts: () => facts,
  });
  connection.start();
  await settle();
});

afterEach(() => {
  connection.stop();
  vi.useRealTimers();
});

describe("joining", () => {
  it("sends the ticket as the first message, never in the address", () => {
    last().onopen?.();
    expect(last().url).toBe("ws://hub/v1");
    expect(last().sent[0]?.slice(1)).toEqual(["join", { ticket: "t1" }]);
    expect(recorder.state?.state).toBe("connecting");
    last().receive([4, joined()]);
    expect(recorder.state?.state).toBe("live");
  });

  it("says with each ping what the page knows then", async () => {
    facts = {};
    last().join();
    expect(last().command("ping")[2]).toEqual({ client_time_ms: expect.any(Number) });
    facts = { video: "hls", delay_ms: 2_800 };
    await vi.advanceTimersByTimeAsync(1_000);
    expect(last().command("ping")[2]).toMatchObject({ video: "hls", delay_ms: 2_800 });
  });

  it("gives up a socket that doesn't join in time, and tries another", async () => {
    last().onopen?.();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(FakeSocket.all[0]?.isClosed).toBe(true);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(FakeSocket.all).toHaveLength(2);
  });
});

describe("events", () => {
  it("pass in order, and those already seen are dropped", () => {
    last().join();
    last().receive([1, 2_000, "e1", 11, [comment(11), comment(12)], {}], [1, 2_000, "e1", 12, [comment(12), comment(13)], {}]);
    expect(recorder.events).toEqual([comment(11), comment(12), comment(13)]);
    expect(connection.position.offset).toBe(13);
  });

  it("with a gap are not applied: the connection comes back and asks from where it was", async () => {
    last().join();
    last().receive([1, 2_000, "e1", 13, [comment(13)], {}]);
    expect(recorder.events).toEqual([]);
    await vi.advanceTimersByTimeAsync(500);
    last().onopen?.();
    expect(last().command("join")[2]).toMatchObject({ epoch: "e1", offset: 10, personal_offset: 3 });
  });

  it("of another epoch make it rejoin", async () => {
    last().join();
    last().receive([1, 2_000, "e2", 1, [comment(1)], {}]);
    await vi.advanceTimersByTimeAsync(500);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("between a declared jump and its snapshot are ignored", () => {
    last().join();
    last().receive([5, { type: "jump" }], [1, 2_000, "e1", 40, [comment(40)], {}], [4, joined({ offset: 50 })]);
    last().receive([1, 2_000, "e1", 51, [comment(51)], {}]);
    expect(recorder.events).toEqual([comment(51)]);
    expect(recorder.joins).toHaveLength(2);
    expect(FakeSocket.all).toHaveLength(1);
  });
});

describe("personal messages", () => {
  it("are heard once and acknowledged together", async () => {
    last().join();
    last().receive([3, 4, "order", { n: 4 }], [3, 4, "order", { n: 4 }], [3, 5, "order", { n: 5 }]);
    expect(recorder.personals.map(([, data]) => data)).toEqual([{ n: 4 }, { n: 5 }]);
    await vi.advanceTimersByTimeAsync(800);
    expect(last().sent.filter((c) => c[1] === "ack").map((c) => c[2])).toEqual([{ personal_offset: 5 }]);
  });
});

describe("reconnecting", () => {
  it("grows with full jitter from 0.5 to 20 seconds", async () => {
    const waits: number[] = [];
    for (let n = 0; n < 9; n++) {
      last().onclose?.({ code: 1006, reason: "" });
      const status = recorder.state;
      if (status?.state !== "reconnecting") throw new Error(`is ${status?.state}`);
      waits.push(status.retryAtMs - Date.now());
      await vi.advanceTimersByTimeAsync(status.retryAtMs - Date.now());
    }
    // With random() = 0.5: halfway between 0.5 s and the ceiling 1, 2, 4, ... 20 s.
    expect(waits).toEqual([750, 1_250, 2_250, 4_250, 8_250, 10_250, 10_250, 10_250, 10_250]);
  });

  it.each([
    [1006, 750],
    [1001, 750],
    [4008, 750],
    [4011, 750],
    [4013, 750],
    [4009, 10_750],
    [4010, 30_750],
  ])("after close code %i comes back in %i ms", (code, ms) => {
    last().join();
    last().onclose?.({ code, reason: "" });
    expect(recorder.state).toEqual({ state: "reconnecting", retryAtMs: Date.now() + ms });
  });

  it.each([
    [4000, "malformed"],
    [4003, "banned"],
  ])("never happens after close code %i", async (code, reason) => {
    last().join();
    last().onclose?.({ code, reason: "" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(recorder.state).toEqual({ state: "closed", reason });
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("takes a new ticket when one was refused, once", async () => {
    last().onopen?.();
    last().onclose?.({ code: 4001, reason: "" });
    await vi.advanceTimersByTimeAsync(1_000);
    last().onopen?.();
    expect(last().command("join")[2]).toMatchObject({ ticket: "t2" });
    last().onclose?.({ code: 4001, reason: "" });
    expect(recorder.state).toEqual({ state: "closed", reason: "ticket" });
  });

  it("keeps a ticket that is still good", async () => {
    last().join();
    last().onclose?.({ code: 1006, reason: "" });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(tickets).toBe(1);
  });

  it("of a draining hub waits as long as its notice says", async () => {
    last().join();
    last().receive([5, { type: "reconnect", after_ms: 3_000 }]);
    last().onclose?.({ code: 1001, reason: "" });
    expect(recorder.state).toEqual({ state: "reconnecting", retryAtMs: Date.now() + 3_000 });
  });

  it("doesn't sit out its delay when the page wakes", async () => {
    for (let n = 0; n < 6; n++) {
      last().onclose?.({ code: 1006, reason: "" });
      await vi.advanceTimersByTimeAsync(12_000);
    }
    last().onclose?.({ code: 1006, reason: "" });
    const before = FakeSocket.all.length;
    connection.wake();
    await vi.advanceTimersByTimeAsync(500);
    expect(FakeSocket.all.length).toBe(before + 1);
  });

  it("notices a socket that went silent", async () => {
    last().join();
    await vi.advanceTimersByTimeAsync(1_000 + 6_000 + 500);
    expect(FakeSocket.all[0]?.isClosed).toBe(true);
    expect(FakeSocket.all).toHaveLength(2);
  });
});

describe("commands", () => {
  it("are answered by id", async () => {
    last().join();
    const first = connection.command("comment", { text: "a" });
    const second = connection.command("comment", { text: "b" });
    const ids = last().sent.filter((c) => c[1] === "comment").map((c) => c[0]);
    last().receive([2, ids[1], true, { comment_id: "b" }], [2, ids[0], false, { code: "slow_mode", message: "", retry_after_ms: 900 }]);
    await expect(second).resolves.toEqual({ comment_id: "b" });
    await expect(first).rejects.toMatchObject({ code: "slow_mode", retryAfterMs: 900 });
  });

  it("fail at once when not connected", async () => {
    await expect(connection.command("comment", { text: "a" })).rejects.toBeInstanceOf(CommandRefused);
  });

  it("that are lost with the connection fail, but one that must persist is sent again with the same params", async () => {
    last().join();
    const said = connection.command("comment", { text: "a" });
    const held = connection.command("hold", { request_id: "rq_1", sale_id: "sl_1", quantity: 1 }, { persist: true, timeoutMs: 30_000 });
    const expectation = expect(said).rejects.toMatchObject({ code: "offline" });
    const params = last().command("hold")[2];
    last().onclose?.({ code: 1006, reason: "" });
    await expectation;
    await vi.advanceTimersByTimeAsync(1_000);
    last().join();
    expect(last().command("hold")[2]).toEqual(params);
    last().receive([2, last().command("hold")[0], true, { decision: "granted" }]);
    await expect(held).resolves.toEqual({ decision: "granted" });
  });

  it("without an answer time out", async () => {
    last().join();
    const held = connection.command("hold", {}, { timeoutMs: 500 });
    const expectation = expect(held).rejects.toMatchObject({ code: "timeout" });
    await vi.advanceTimersByTimeAsync(500);
    await expectation;
  });
});

/** One viewer's connection to the hub: joins, resumes exactly where it was, reconnects with jitter, answers commands by id.
 *
 * Knows nothing of what the messages mean: they go, in order and without gap or repeat, to a `RoomListener` (the `RoomStore`).
 */

import { decode, encode } from "@msgpack/msgpack";
import type { ServerClock } from "./clock";
import type { Joined, Notice, TicketAnswer, WireEvent, WireValue } from "./types";

export const SUBPROTOCOL = "flashroom.v1.msgpack";

const KIND = { tick: 1, reply: 2, personal: 3, joined: 4, notice: 5 } as const;
const JOIN_TIMEOUT_MS = 10_000;
const PING_EVERY_MS = 10_000;
const PROBE_TIMEOUT_MS = 6_000;
const STABLE_MS = 10_000;
const COMMAND_TIMEOUT_MS = 8_000;
const ACK_DELAY_MS = 800;
const TICKET_MARGIN_MS = 15_000;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 20_000;
const MAX_WAITING_COMMANDS = 64;

export type ClosedReason = "malformed" | "ticket" | "banned" | "signed_out" | "stopped";

export type ConnectionStatus =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "reconnecting"; retryAtMs: number }
  | { state: "closed"; reason: ClosedReason };

/** What a closed socket asks of us, by close code (PROTOCOL.md, "Close codes"); codes not listed reconnect with jitter. */
type AfterClose = { then: "stop"; reason: ClosedReason } | { then: "ticket" } | { then: "wait"; ms: number };
const CLOSE_CODES: Readonly<Record<number, AfterClose>> = {
  4000: { then: "stop", reason: "malformed" },
  4001: { then: "ticket" },
  4003: { then: "stop", reason: "banned" },
  4009: { then: "wait", ms: 10_000 },
  4010: { then: "wait", ms: 30_000 },
};

export interface RoomListener {
  joined(joined: Joined): void;
  tick(serverTimeMs: number, events: WireEvent[], values: Record<string, WireValue>): void;
  personal(type: string, data: unknown): void;
  notice(notice: Notice): void;
  status(status: ConnectionStatus): void;
}

/** A command the hub refused, or that got no answer (`offline`, `timeout`). */
export class CommandRefused extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly facts: Readonly<Record<string, unknown>> = {},
  ) {
    super(message || code);
    this.name = "CommandRefused";
  }

  get retryAfterMs(): number {
    return typeof this.facts.retry_after_ms === "number" ? this.facts.retry_after_ms : 0;
  }
}

/** The part of `WebSocket` we use, so that tests can stand in for it. */
export interface SocketLike {
  binaryType: string;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: Uint8Array): void;
  close(code?: number, reason?: string): void;
}

export interface ConnectionOptions {
  getTicket: () => Promise<TicketAnswer>;
  /** True when a failed `getTicket` will never succeed by itself (signed out, no such room). */
  isFinal?: (error: unknown) => boolean;
  listener: RoomListener;
  clock: ServerClock;
  openSocket?: (url: string, protocol: string) => SocketLike;
  localNow?: () => number;
  random?: () => number;
  /** More to say with each ping. */
  pingFacts?: () => Record<string, unknown>;
}

export interface CommandOptions {
  timeoutMs?: number;
  /** Kept over a lost connection and sent again after the next join. Only for commands that are idempotent by their params. */
  persist?: boolean;
}

interface Waiting {
  name: string;
  params: Record<string, unknown>;
  persist: boolean;
  resolve: (payload: Record<string, unknown>) => void;
  reject: (error: CommandRefused) => void;
  timer: ReturnType<typeof setTimeout>;
}

export class RoomConnection {
  private readonly openSocket: (url: string, protocol: string) => SocketLike;
  private readonly localNow: () => number;
  private readonly random: () => number;

  private socket: SocketLike | null = null;
  private isLive = false;
  private isStopped = true;
  private isJumping = false;
  private ticket: TicketAnswer | null = null;
  private ticketRefusals = 0;
  private attempt = 0;
  private generation = 0;
  private drainDelayMs: number | null = null;

  private epoch: string | null = null;
  private offset = 0;
  private personalOffset: number | null = null;

  private nextCommandId = 1;
  private readonly waiting = new Map<number, Waiting>();
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(private readonly options: ConnectionOptions) {
    this.openSocket = options.openSocket ?? ((url, protocol) => new WebSocket(url, protocol) as unknown as SocketLike);
    this.localNow = options.localNow ?? Date.now;
    this.random = options.random ?? Math.random;
  }

  /** The last event applied, as a rejoin would ask from. */
  get position(): { epoch: string | null; offset: number; personalOffset: number | null } {
    return { epoch: this.epoch, offset: this.offset, personalOffset: this.personalOffset };
  }

  start(): void {
    if (!this.isStopped) return;
    this.isStopped = false;
    this.options.listener.status({ state: "connecting" });
    void this.connect();
  }

  stop(reason: ClosedReason = "stopped"): void {
    this.isStopped = true;
    this.dropSocket();
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    for (const id of [...this.waiting.keys()]) this.fail(id, "offline");
    this.options.listener.status({ state: "closed", reason });
  }

  /** The page became visible or the network came back: don't sit out a backoff, don't trust a silent socket. */
  wake(): void {
    if (this.isStopped) return;
    if (this.isLive) this.probe(PROBE_TIMEOUT_MS / 2);
    else if (this.timers.has("retry")) this.retryIn(this.random() * BACKOFF_MIN_MS);
  }

  /** Send one command; resolves with the reply's payload, rejects with `CommandRefused`. */
  command(
    name: string,
    params: Record<string, unknown> = {},
    { timeoutMs = COMMAND_TIMEOUT_MS, persist = false }: CommandOptions = {},
  ): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      if (this.isStopped || (!this.isLive && !persist) || this.waiting.size >= MAX_WAITING_COMMANDS) {
        reject(new CommandRefused("offline", "not connected"));
        return;
      }
      const id = this.takeId();
      const timer = setTimeout(() => this.fail(id, "timeout"), timeoutMs);
      this.waiting.set(id, { name, params, persist, resolve, reject, timer });
      if (this.isLive) this.send([id, name, params]);
    });
  }

  // --- connecting ---------------------------------------------------------------------------------------------

  private async connect(): Promise<void> {
    const generation = ++this.generation;
    this.clearTimer("retry");
    try {
      if (!this.ticket || this.ticket.expires_at_ms - TICKET_MARGIN_MS < this.options.clock.now()) {
        this.ticket = await this.options.getTicket();
      }
    } catch (error) {
      if (generation !== this.generation || this.isStopped) return;
      if (this.options.isFinal?.(error)) this.stop("signed_out");
      else this.scheduleRetry();
      return;
    }
    if (generation !== this.generation || this.isStopped) return;
    let socket: SocketLike;
    try {
      socket = this.openSocket(this.ticket.hub_url, SUBPROTOCOL);
    } catch {
      this.scheduleRetry();
      return;
    }
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.join();
    socket.onmessage = (event) => {
      if (this.socket === socket) this.receive(event.data);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code);
    };
    this.setTimer("join", JOIN_TIMEOUT_MS, () => this.reconnect());
  }

  private join(): void {
    const params: Record<string, unknown> = { ticket: this.ticket?.ticket };
    if (this.epoch !== null) {
      params.epoch = this.epoch;
      params.offset = this.offset;
    }
    if (this.personalOffset !== null) params.personal_offset = this.personalOffset;
    this.send([this.takeId(), "join", params]);
  }

  private closed(code: number): void {
    this.dropSocket();
    const after = CLOSE_CODES[code];
    if (after?.then === "stop") return this.stop(after.reason);
    if (after?.then === "ticket") {
      this.ticket = null;
      if (++this.ticketRefusals > 1) return this.stop("ticket");
    }
    this.scheduleRetry(after?.then === "wait" ? after.ms : undefined);
  }

  /** Give up this socket and come back at once (after a hair of jitter): used for gaps and for silent sockets. */
  private reconnect(): void {
    this.dropSocket();
    this.retryIn(this.random() * BACKOFF_MIN_MS);
  }

  private scheduleRetry(atLeastMs?: number): void {
    const ceiling = Math.min(BACKOFF_MAX_MS, 2 * BACKOFF_MIN_MS * 2 ** this.attempt++);
    const jitter = BACKOFF_MIN_MS + this.random() * (ceiling - BACKOFF_MIN_MS);
    const drainDelayMs = this.drainDelayMs;
    this.drainDelayMs = null;
    this.retryIn(drainDelayMs ?? (atLeastMs ?? 0) + jitter);
  }

  private retryIn(ms: number): void {
    if (this.isStopped) return;
    this.setTimer("retry", ms, () => void this.connect());
    this.options.listener.status({ state: "reconnecting", retryAtMs: this.localNow() + ms });
  }

  private dropSocket(): void {
    const socket = this.socket;
    this.socket = null;
    this.isLive = false;
    this.isJumping = false;
    this.generation++;
    for (const name of ["join", "ping", "probe", "stable", "drain", "ack"]) this.clearTimer(name);
    for (const [id, entry] of [...this.waiting]) if (!entry.persist) this.fail(id, "offline");
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      try {
        socket.close(1000);
      } catch {
        // It was never open; the browser drops it.
      }
    }
  }

  // --- messages -----------------------------------------------------------------------------------------------

  private receive(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) return;
    const message = decode(new Uint8Array(data)) as unknown[];
    this.clearTimer("probe");
    switch (message[0]) {
      case KIND.tick:
        return this.takeTick(
          message[1] as number,
          message[2] as string,
          message[3] as number,
          message[4] as WireEvent[],
          message[5] as Record<string, WireValue>,
        );
      case KIND.reply:
        return this.takeReply(message[1] as number, message[2] as boolean, message[3] as Record<string, unknown>);
      case KIND.personal:
        return this.takePersonal(message[1] as number, message[2] as string, message[3]);
      case KIND.joined:
        return this.takeJoined(message[1] as Joined);
      case KIND.notice:
        return this.takeNotice(message[1] as Notice);
      // An unknown kind is a newer server's: not for us.
    }
  }

  private takeTick(
    serverTimeMs: number,
    epoch: string,
    firstOffset: number,
    events: WireEvent[],
    values: Record<string, WireValue>,
  ): void {
    if (!this.isLive || this.isJumping) return;
    if (epoch !== this.epoch || firstOffset > this.offset + 1) {
      this.reconnect();
      return;
    }
    const known = this.offset + 1 - firstOffset;
    const fresh = known > 0 ? events.slice(known) : events;
    this.offset += fresh.length;
    this.options.clock.atLeast(serverTimeMs);
    this.options.listener.tick(serverTimeMs, fresh, values);
  }

  private takeReply(id: number, isOk: boolean, payload: Record<string, unknown>): void {
    const entry = this.waiting.get(id);
    if (!entry) return;
    this.waiting.delete(id);
    clearTimeout(entry.timer);
    if (isOk) entry.resolve(payload);
    else entry.reject(new CommandRefused(String(payload.code), String(payload.message ?? ""), payload));
  }

  private takePersonal(offset: number, type: string, data: unknown): void {
    if (this.personalOffset !== null && offset <= this.personalOffset) return;
    this.personalOffset = offset;
    this.options.listener.personal(type, data);
    if (!this.timers.has("ack")) {
      this.setTimer("ack", ACK_DELAY_MS, () => {
        this.command("ack", { personal_offset: this.personalOffset }).catch(() => undefined);
      });
    }
  }

  private takeJoined(joined: Joined): void {
    this.clearTimer("join");
    // Offsets before the first join are unknown; later the server re-sends what we missed as PERSONAL messages.
    this.personalOffset ??= joined.personal_offset;
    this.epoch = joined.epoch;
    this.offset = joined.offset;
    this.isJumping = false;
    const wasLive = this.isLive;
    this.isLive = true;
    this.ticketRefusals = 0;
    this.options.clock.atLeast(joined.server_time_ms);
    this.options.listener.joined(joined);
    if (wasLive) return;
    this.options.listener.status({ state: "live" });
    this.setTimer("stable", STABLE_MS, () => (this.attempt = 0));
    for (const [id, entry] of this.waiting) this.send([id, entry.name, entry.params]);
    this.ping();
    this.keepPinging(1_000);
  }

  private takeNotice(notice: Notice): void {
    if (notice.type === "jump") this.isJumping = true;
    if (notice.type === "reconnect") {
      this.drainDelayMs = notice.after_ms;
      // The process is going: leave by ourselves if it doesn't close first.
      this.setTimer("drain", notice.after_ms, () => {
        this.drainDelayMs = null;
        this.reconnect();
      });
    }
    this.options.listener.notice(notice);
  }

  // --- time and life ------------------------------------------------------------------------------------------

  private keepPinging(inMs: number): void {
    this.setTimer("ping", inMs, () => {
      this.probe(PROBE_TIMEOUT_MS);
      this.keepPinging(PING_EVERY_MS);
    });
  }

  private probe(withinMs: number): void {
    this.setTimer("probe", withinMs, () => this.reconnect());
    this.ping();
  }

  private ping(): void {
    const sentMs = this.localNow();
    this.command("ping", { client_time_ms: Math.round(sentMs), ...this.options.pingFacts?.() }).then(
      (reply) => this.options.clock.sample(sentMs, reply.server_time_ms as number, this.localNow()),
      () => undefined,
    );
  }

  // --- helpers ------------------------------------------------------------------------------------------------

  private takeId(): number {
    const id = this.nextCommandId;
    this.nextCommandId = id >= 0xffff_ffff ? 1 : id + 1;
    return id;
  }

  private send(message: [number, string, Record<string, unknown>]): void {
    this.socket?.send(encode(message));
  }

  private fail(id: number, code: "offline" | "timeout"): void {
    const entry = this.waiting.get(id);
    if (!entry) return;
    this.waiting.delete(id);
    clearTimeout(entry.timer);
    entry.reject(new CommandRefused(code, code));
  }

  private setTimer(name: string, ms: number, run: () => void): void {
    this.clearTimer(name);
    this.timers.set(
      name,
      setTimeout(() => {
        this.timers.delete(name);
        run();
      }, ms),
    );
  }

  private clearTimer(name: string): void {
    const timer = this.timers.get(name);
    if (timer !== undefined) clearTimeout(timer);
    this.timers.delete(name);
  }
}

/** Reconnect at once when the page is shown again or the network returns. Returns an undo. */
export function wakeWithPage(connection: RoomConnection): () => void {
  const wake = (): void => {
    if (!document.hidden) connection.wake();
  };
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("online", wake);
  window.addEventListener("pageshow", wake);
  return () => {
    document.removeEventListener("visibilitychange", wake);
    window.removeEventListener("online", wake);
    window.removeEventListener("pageshow", wake);
  };
}

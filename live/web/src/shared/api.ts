/** The HTTP API as promises: typed answers, RFC 9457 problems as `Problem`, retries that can't act twice. */

export class Problem extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    readonly detail: string,
    /** The whole body, for facts beside the code (`errors`, `retry_after_ms`, ...). */
    readonly facts: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail || code);
    this.name = "Problem";
  }

  /** Whether the server was never reached, or said it could not answer now. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

export interface RequestOptions {
  /** Give one when the same action may be sent again later (after a reload); else each call makes its own. */
  idempotencyKey?: string;
  /** How often a failure of the network is tried again with the same key. */
  retries?: number;
  timeoutMs?: number;
}

let sourceNow: () => string | null = () => null;

/** The page that knows how each thing is done (a key, a finger) tells it with every call that changes something; the room's log keeps it. */
export function tellSource(read: () => string | null): void {
  sourceNow = read;
}

const RETRY_DELAYS_MS = [300, 900, 2500];
const TIMEOUT_MS = 10_000;

/** A random id of letters and digits, for idempotency keys and request ids. */
export function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(15));
  return `${prefix}_${Array.from(bytes, (b) => (b % 36).toString(36)).join("")}`;
}

async function once<T>(method: string, path: string, body: unknown, about: Readonly<Record<string, string>>, timeoutMs: number): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", ...about };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    text = await response.text();
  } catch {
    throw new Problem("network", 0, "");
  }
  let data: unknown;
  try {
    data = text ? JSON.parse(text) : undefined;
  } catch {
    throw new Problem("not_json", response.ok ? 502 : response.status, text.slice(0, 200));
  }
  if (!response.ok) {
    const facts = (data && typeof data === "object" ? data : {}) as Record<string, unknown>;
    throw new Problem(String(facts.code ?? "unknown"), response.status, String(facts.detail ?? facts.title ?? ""), facts);
  }
  return data as T;
}

async function call<T>(method: string, path: string, body: unknown, options: RequestOptions = {}): Promise<T> {
  const source = sourceNow();
  // What makes it an act of somebody's: the same in every try, whatever is pressed meanwhile.
  const about = method === "GET" ? {} : { "Idempotency-Key": options.idempotencyKey ?? newId("web"), ...(source && { "Flashroom-Source": source }) };
  const retries = Math.min(options.retries ?? 2, RETRY_DELAYS_MS.length);
  for (let attempt = 0; ; attempt++) {
    try {
      return await once<T>(method, path, body, about, options.timeoutMs ?? TIMEOUT_MS);
    } catch (error) {
      const again = error instanceof Problem && (error.isTransient || error.code === "idempotency_in_progress");
      if (!again || attempt >= retries) throw error;
      const delayMs = RETRY_DELAYS_MS[attempt] ?? TIMEOUT_MS;
      await new Promise((resolve) => setTimeout(resolve, delayMs * (0.75 + Math.random() / 2)));
    }
  }
}

export const api = {
  get: <T>(path: string, options?: RequestOptions): Promise<T> => call<T>("GET", path, undefined, options),
  post: <T>(path: string, body: unknown = {}, options?: RequestOptions): Promise<T> => call<T>("POST", path, body, options),
  put: <T>(path: string, body: unknown = {}, options?: RequestOptions): Promise<T> => call<T>("PUT", path, body, options),
  patch: <T>(path: string, body: unknown = {}, options?: RequestOptions): Promise<T> => call<T>("PATCH", path, body, options),
  delete: <T = void>(path: string, options?: RequestOptions): Promise<T> => call<T>("DELETE", path, undefined, options),
};

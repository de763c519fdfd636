/** The steps that WHIP (RFC 9725) and WHEP share: an offer for an answer, and the end of a session. */

export interface MediaAccess {
  /** Absolute address of the endpoint. */
  url: string;
  token: string;
  /** The playlist for whoever gets no WebRTC. */
  hls?: string | null;
  ice_servers?: RTCIceServer[];
}

const ANSWER_TIMEOUT_MS = 10_000;

/** The endpoint refused with this status. */
export class MediaRefused extends Error {
  constructor(readonly status: number) {
    super(`the media server answered ${status}`);
  }
}

/** Offer what `peer` has and take the answer; gives the session's address. Throws MediaRefused, or what `fetch` throws. */
export async function openSession(peer: RTCPeerConnection, given: MediaAccess, stop: AbortSignal): Promise<string> {
  await peer.setLocalDescription(await peer.createOffer());
  // The server answers whoever checks it and needs no candidates, so there is nothing to wait for.
  const response = await fetch(given.url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${given.token}` },
    body: peer.localDescription?.sdp ?? "",
    signal: AbortSignal.any([stop, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  });
  if (response.status !== 201) throw new MediaRefused(response.status);
  // Another media process may have taken the session: where the answer came from, after its redirect.
  const session = new URL(response.headers.get("Location") ?? "", response.url || given.url).href;
  await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  return session;
}

/** Say goodbye; a server that does not hear it notices by itself. */
export function endSession(session: string, given: MediaAccess): void {
  void fetch(session, {
    method: "DELETE",
    headers: { Authorization: `Bearer ${given.token}` },
    keepalive: true,
  }).catch(() => undefined);
}

/** Wait, at most until `stop`. */
export function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener("abort", done);
    if (stop.aborted) done();
  });
}

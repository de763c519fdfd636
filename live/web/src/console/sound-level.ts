/** How loud a microphone is, judged for people's ears. No I/O. */

/** Below this nobody hears a voice; above the other it is clipped. In dB of full scale. */
const SILENT_DB = -55;
const LOUD_DB = -1;
const FLOOR_DB = -90;

export interface Level {
  light: "good" | "bad" | "warn";
  kind: "good" | "silent" | "loud";
  db: number;
}

/** The level of samples from -1 to 1, by their peak: a voice that is clipped for a moment is clipped. */
export function levelOf(samples: ArrayLike<number>, loudest: Level | null = null): Level {
  let peak = 0;
  for (let n = 0; n < samples.length; n++) peak = Math.max(peak, Math.abs(samples[n] ?? 0));
  const db = Math.max(peak > 0 ? Math.round(20 * Math.log10(peak)) : FLOOR_DB, loudest?.db ?? FLOOR_DB);
  if (db < SILENT_DB) return { light: "bad", kind: "silent", db };
  return db >= LOUD_DB ? { light: "warn", kind: "loud", db } : { light: "good", kind: "good", db };
}

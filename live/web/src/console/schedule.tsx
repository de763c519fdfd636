import { useState } from "preact/hooks";
import { useDesk } from "./context";
import { FailureLine } from "./parts";
import { w } from "./words";

/** A moment as `<input type="datetime-local">` wants it: this machine's own time, without a zone. */
export function localInput(atMs: number): string {
  const at = new Date(atMs - new Date(atMs).getTimezoneOffset() * 60_000);
  return at.toISOString().slice(0, 16);
}

/** When the show is to begin, as viewers are told before it. */
export function Schedule() {
  const desk = useDesk();
  const startsAtMs = desk.store.room.value?.starts_at_ms ?? null;
  const [typed, setTyped] = useState(startsAtMs === null ? "" : localInput(startsAtMs));
  const waiting = desk.runner.isBusy("schedule");
  const send = (starts_at_ms: number | null): void =>
    void desk.runner.send("schedule", "schedule", "put", desk.path("/schedule"), { starts_at_ms });
  return (
    <form
      class="schedule"
      onSubmit={(event) => {
        event.preventDefault();
        const at = new Date(typed).getTime();
        if (!Number.isNaN(at)) send(at);
      }}
    >
      <label class="field">
        <span>{w("starts_at")}</span>
        <input class="input num" type="datetime-local" data-testid="starts-at" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
      </label>
      <button type="submit" class="button" data-testid="announce-start" disabled={waiting || !typed}>
        {w("announce_start")}
      </button>
      {startsAtMs !== null && (
        <button type="button" class="button button-quiet" disabled={waiting} onClick={() => send(null)}>
          {w("announce_start_not")}
        </button>
      )}
      <FailureLine runner={desk.runner} place="schedule" />
    </form>
  );
}

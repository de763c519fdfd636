import { useEffect, useState } from "preact/hooks";
import { api, Problem } from "../shared/api";
import { formatDateTime } from "../shared/clock";
import type { Order } from "../shared/types";
import { language } from "../shared/words";
import { useDesk } from "./context";
import { explain } from "./explain";
import { FailureLine, ProblemLine } from "./parts";
import { w } from "./words";

const MAX_NOTE = 500;

interface Note {
  note_id: string;
  author_id: string;
  text: string;
  at_ms: number;
}

/** What somebody of the show wrote down about an order ("gift promised on air"), and a line for more. */
export function OrderNotes({ order }: { order: Order }) {
  const desk = useDesk();
  const path = `/api/orders/${encodeURIComponent(order.order_id)}/notes`;
  const place = `note:${order.order_id}`;
  const [notes, setNotes] = useState<readonly Note[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [text, setText] = useState("");
  useEffect(() => {
    api.get<{ notes: Note[] }>(path).then(
      (answer) => setNotes(answer.notes),
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        setProblem(explain(error));
      },
    );
  }, [path]);
  async function add(event: Event): Promise<void> {
    event.preventDefault();
    const sent = await desk.runner.send<Note>(place, "note", "post", path, { text: text.trim() });
    if (!sent.ok) return;
    setNotes([...(notes ?? []), sent.answer]);
    setText("");
  }
  return (
    <div class="notes" data-testid="notes">
      {problem && <ProblemLine text={problem} />}
      {notes?.map((note) => (
        <p key={note.note_id} class="note">
          <time class="num">{formatDateTime(note.at_ms, language.value)}</time> {note.text}
        </p>
      ))}
      <form class="note-form" onSubmit={(event) => void add(event)}>
        <input
          class="input"
          name="note"
          maxLength={MAX_NOTE}
          placeholder={w("note_hint")}
          aria-label={w("note_hint")}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" class="button" disabled={!text.trim() || desk.runner.isBusy(place)}>
          {w("note_add")}
        </button>
      </form>
      <FailureLine runner={desk.runner} place={place} />
    </div>
  );
}

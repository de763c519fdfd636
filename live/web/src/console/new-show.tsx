/** A room for another show: its title and who is seen in it. */

import { useState } from "preact/hooks";
import { api, Problem } from "../shared/api";
import type { RoomInfo } from "../shared/types";
import { useConsole } from "./context";
import { explain } from "./explain";
import { ProblemLine } from "./parts";
import "./preflight.css";
import { preflightWords } from "./preflight-words";

const p = preflightWords.t;
const MAX_TITLE = 80;
const MAX_NAME = 40;

export function NewShow() {
  const session = useConsole();
  const [title, setTitle] = useState("");
  const [titleZh, setTitleZh] = useState("");
  const [host, setHost] = useState(session.user.value?.name ?? "");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!title.trim() || isBusy) return;
    setBusy(true);
    setProblem(null);
    const host_name = host.trim();
    try {
      const room = await api.post<RoomInfo>("/api/rooms", {
        title: title.trim(),
        ...(titleZh.trim() ? { title_zh: titleZh.trim() } : {}),
        ...(host_name ? { host_name } : {}),
      });
      await session.openRoom(room.room_id);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(explain(error));
      setBusy(false);
    }
  };
  return (
    <form class="sheet-form new-show" data-testid="new-show-form" onSubmit={(event) => void submit(event)}>
      <p class="sheet-text">{p("new_means")}</p>
      <label class="field">
        <span>{p("new_title")}</span>
        <input class="input" name="title" maxLength={MAX_TITLE} value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>{p("new_title_zh")}</span>
        <input class="input" name="title_zh" maxLength={MAX_TITLE} value={titleZh} onInput={(event) => setTitleZh(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>{p("new_host")}</span>
        <input class="input" name="host" maxLength={MAX_NAME} value={host} onInput={(event) => setHost(event.currentTarget.value)} />
      </label>
      {problem && <ProblemLine text={problem} />}
      <button type="submit" class="button button-strong button-wide" disabled={!title.trim() || isBusy}>
        {p("new_create")}
      </button>
    </form>
  );
}

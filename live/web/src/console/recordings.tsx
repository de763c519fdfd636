/** What has been recorded in this room, for its owner: to download and to delete. */

import { useState } from "preact/hooks";
import { api, Problem } from "../shared/api";
import { formatDateTime, formatElapsed } from "../shared/clock";
import type { MediaAccess } from "../shared/media-session";
import { language } from "../shared/words";
import { useDesk } from "./context";
import { ProblemLine } from "./parts";
import { w } from "./words";

interface RecordedFile {
  name: string;
  url: string;
  duration_s: number;
  size_bytes: number;
}

interface Recording {
  recording_id: string;
  started_at_ms: number;
  state: "recording" | "unfinished" | "finished";
  files: RecordedFile[];
}

interface Shown {
  access: MediaAccess;
  recordings: Recording[];
}

export function Recordings() {
  const { roomId } = useDesk();
  const [shown, setShown] = useState<Shown | null>(null);
  const [problem, setProblem] = useState<"role" | "failed" | null>(null);

  const load = async (): Promise<void> => {
    setProblem(null);
    try {
      const path = `/api/rooms/${encodeURIComponent(roomId)}/media-tokens`;
      const access = await api.post<MediaAccess>(path, { purpose: "recordings" });
      const response = await fetch(access.url, { headers: { Authorization: `Bearer ${access.token}` } });
      if (!response.ok) throw new Error(`the media server answered ${response.status}`);
      setShown({ access, recordings: ((await response.json()) as { recordings: Recording[] }).recordings });
    } catch (error) {
      setProblem(error instanceof Problem && error.status === 403 ? "role" : "failed");
    }
  };

  const remove = async (access: MediaAccess, one: Recording): Promise<void> => {
    if (!confirm(w("recordings_delete_sure"))) return;
    const headers = { Authorization: `Bearer ${access.token}` };
    const response = await fetch(`${access.url}/${one.recording_id}`, { method: "DELETE", headers });
    if (response.ok) await load();
    else setProblem("failed");
  };

  return (
    <details class="video-elsewhere" data-testid="recordings" onToggle={(event) => event.currentTarget.open && void load()}>
      <summary>{w("recordings")}</summary>
      {problem && <ProblemLine text={w(`recordings_problem_${problem}`)} />}
      {shown?.recordings.length === 0 && <p class="panel-note">{w("recordings_none")}</p>}
      {shown?.recordings.map((one) => (
        <div key={one.recording_id} data-testid="recording" data-state={one.state}>
          <p class="panel-note">
            {formatDateTime(one.started_at_ms, language.value)} · {w(`recordings_${one.state}`)}
          </p>
          {one.files.map((file) => (
            <a key={file.name} class="button" href={address(shown.access, file)} download>
              {w("recordings_download", { time: formatElapsed(file.duration_s * 1000), mb: Math.ceil(file.size_bytes / 1e6) })}
            </a>
          ))}
          {one.state === "finished" && (
            <button type="button" class="button" onClick={() => void remove(shown.access, one)}>
              {w("recordings_delete")}
            </button>
          )}
        </div>
      ))}
    </details>
  );
}

function address(access: MediaAccess, file: RecordedFile): string {
  const url = new URL(file.url, access.url);
  url.searchParams.set("token", access.token);
  url.searchParams.set("download", "1");
  return url.href;
}

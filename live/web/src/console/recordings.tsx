/** What has been recorded in this room, for its owner: to download, to edit as a replay, and to delete. */

import { useState } from "preact/hooks";
import { api, Problem } from "../shared/api";
import { formatDateTime, formatElapsed } from "../shared/clock";
import { type Film, mediaAddress, mediaJson } from "../shared/film";
import { late } from "../shared/late";
import type { MediaAccess } from "../shared/media-session";
import { language } from "../shared/words";
import { useDesk } from "./context";
import { ProblemLine } from "./parts";
import { t } from "./replay-words";

const ReplayEditor = late(() => import("./replay-editor").then((module) => module.ReplayEditor));

interface RecordedFile extends Film {
  name: string;
  size_bytes: number;
}

export interface Recording {
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
  const [editing, setEditing] = useState<Recording | null>(null);
  const [problem, setProblem] = useState<"role" | "failed" | null>(null);

  const load = async (): Promise<void> => {
    setProblem(null);
    try {
      const path = `/api/rooms/${encodeURIComponent(roomId)}/media-tokens`;
      const access = await api.post<MediaAccess>(path, { purpose: "recordings" });
      setShown({ access, recordings: (await mediaJson<{ recordings: Recording[] }>(access)).recordings });
    } catch (error) {
      setProblem(error instanceof Problem && error.status === 403 ? "role" : "failed");
    }
  };

  const remove = async (access: MediaAccess, one: Recording): Promise<void> => {
    if (!confirm(t("delete_sure"))) return;
    const headers = { Authorization: `Bearer ${access.token}` };
    const response = await fetch(`${access.url}/${one.recording_id}`, { method: "DELETE", headers });
    if (response.ok) await load();
    else setProblem("failed");
  };

  return (
    <details class="video-elsewhere" data-testid="recordings" onToggle={(event) => event.currentTarget.open && void load()}>
      <summary>{t("recordings")}</summary>
      {problem && <ProblemLine text={t(`trouble_${problem}`)} />}
      {shown?.recordings.length === 0 && <p class="panel-note">{t("none")}</p>}
      {shown?.recordings.map((one) => (
        <div key={one.recording_id} class="recording" data-testid="recording" data-state={one.state}>
          <p class="panel-note">
            {formatDateTime(one.started_at_ms, language.value)} · {t(`state_${one.state}`)}
          </p>
          {one.files.map((file) => (
            <a key={file.name} class="button" href={download(shown.access, file)} download>
              {t("download", { time: formatElapsed(file.duration_s * 1000), mb: Math.ceil(file.size_bytes / 1e6) })}
            </a>
          ))}
          {one.files.length > 0 && (
            <button type="button" class="button" data-testid="edit-replay" onClick={() => setEditing(one)}>
              {t("edit")}
            </button>
          )}
          {one.state === "finished" && (
            <button type="button" class="button" data-testid="delete-recording" onClick={() => void remove(shown.access, one)}>
              {t("delete")}
            </button>
          )}
        </div>
      ))}
      {shown && editing && <ReplayEditor access={shown.access} recording={editing} onClose={() => setEditing(null)} />}
    </details>
  );
}

function download(access: MediaAccess, file: RecordedFile): string {
  const url = mediaAddress(access, file.url);
  url.searchParams.set("download", "1");
  return url.href;
}

import { useState } from "preact/hooks";
import { BoltIcon, ChevronIcon } from "../shared/icons";
import { localised, shared } from "../shared/words";
import { useConsole } from "./context";
import { late } from "../shared/late";
import { Empty, ProblemLine } from "./parts";
import { LanguageButton } from "./sign-in";
import { w } from "./words";

const NewShow = late(() => import("./new-show").then((module) => module.NewShow));

/** The rooms this account may work in. */
export function Rooms() {
  const session = useConsole();
  const user = session.user.value;
  const rooms = session.rooms.value;
  const [isNew, setNew] = useState(false);
  return (
    <main class="door">
      <section class="door-card door-wide">
        <div class="door-head">
          <span class="mark">
            <BoltIcon size={20} />
          </span>
          <span class="door-brand">Flashroom</span>
          <LanguageButton />
        </div>
        <h1>{w("rooms_title")}</h1>
        {session.problem.value && <ProblemLine text={session.problem.value} />}
        {rooms.length === 0 ? (
          <Empty title={w("rooms_empty")} hint={w("rooms_empty_hint", { email: user?.email ?? "" })}>
            <button type="button" class="button" onClick={() => void session.showRooms()}>
              {w("rooms_reload")}
            </button>
          </Empty>
        ) : (
          <ul class="rooms">
            {rooms.map((room) => {
              const role = session.roleIn(room.room_id);
              return (
                <li key={room.room_id}>
                  <button type="button" class="room-choice" onClick={() => void session.openRoom(room.room_id)}>
                    <span class="room-choice-text">
                      <b>{localised(room.title)}</b>
                      <span>{room.host_name}</span>
                    </span>
                    {room.rehearsal && <span class="badge badge-rehearsal">{shared.t("rehearsal")}</span>}
                    <span class={`badge ${room.status === "live" ? "badge-live" : ""}`}>{shared.t(`status_${room.status}`)}</span>
                    {role && <span class="badge">{shared.t(`role_${role}`)}</span>}
                    <ChevronIcon size={18} />
                  </button>
                </li>
              );
            })}
          </ul>
        )}
        {Object.values(user?.roles ?? {}).includes("owner") &&
          (isNew ? (
            <NewShow />
          ) : (
            <button type="button" class="button button-wide" data-testid="new-show" onClick={() => setNew(true)}>
              {w("new_show")}
            </button>
          ))}
        <div class="door-foot">
          <span>{w("signed_in_as", { name: user?.name ?? "" })}</span>
          <button type="button" class="link" onClick={() => void session.signOut()}>
            {w("sign_out")}
          </button>
        </div>
      </section>
    </main>
  );
}

import { render } from "preact";
import { startHeartbeat } from "../shared/clock";
import "../shared/base.css";
import "./room.css";
import "./card.css";
import "./chat.css";
import "./sides.css";
import "./sheets.css";
import "./door.css";
import { App } from "./app";
import { RoomSession } from "./session";

/** The room's id is in the page's address: `/r/{room}`. */
function roomIdOf(path: string): string {
  return decodeURIComponent(/^\/r\/([^/]+)/.exec(path)?.[1] ?? "rm_demo");
}

const root = document.getElementById("room");
if (root) {
  startHeartbeat();
  const session = new RoomSession(roomIdOf(location.pathname));
  render(<App session={session} />, root);
  void session.open();
}

import { render } from "preact";
import { tellSource } from "../shared/api";
import { startHeartbeat } from "../shared/clock";
import "../shared/base.css";
import "./console.css";
import "./desk.css";
import "./room-column.css";
import { App } from "./app";
import { ConsoleSession } from "./app-session";
import { sourceNow, watchSource } from "./source";

const root = document.getElementById("console");
if (root) {
  startHeartbeat();
  watchSource(document);
  tellSource(sourceNow);
  const session = new ConsoleSession();
  render(<App session={session} />, root);
  void session.start();
}

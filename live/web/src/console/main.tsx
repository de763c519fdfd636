import { render } from "preact";
import { startHeartbeat } from "../shared/clock";
import "../shared/base.css";
import "./console.css";
import "./desk.css";
import "./room-column.css";
import { App } from "./app";
import { ConsoleSession } from "./app-session";

const root = document.getElementById("console");
if (root) {
  startHeartbeat();
  const session = new ConsoleSession();
  render(<App session={session} />, root);
  void session.start();
}

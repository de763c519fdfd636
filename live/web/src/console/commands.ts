/** What the console can be told, by a key, on the command line or by a button: one vocabulary. No I/O. */

export type Command =
  | { name: "select"; index: number }
  | { name: "pin"; index: number }
  | { name: "unpin" }
  | { name: "arm" }
  | { name: "fire" }
  | { name: "toggle_pause" }
  | { name: "pause" }
  | { name: "resume" }
  | { name: "add_stock" }
  | { name: "stock"; index: number | null; delta: number }
  | { name: "extend" }
  | { name: "end_early" }
  | { name: "end_now" }
  | { name: "take_desk" }
  | { name: "leave_desk" }
  | { name: "give_desk" }
  | { name: "keep_desk" }
  | { name: "next_message" }
  | { name: "previous_message" }
  | { name: "hide_message" }
  | { name: "restore_message" }
  | { name: "pin_message" }
  | { name: "mute_message"; seconds: number }
  | { name: "ban_message" }
  | { name: "undo" }
  | { name: "reply"; index: number }
  | { name: "slow"; seconds: number }
  | { name: "review"; isOn: boolean }
  | { name: "followers"; isOn: boolean }
  | { name: "chat"; isOn: boolean }
  | { name: "announce"; text: string }
  | { name: "caption"; text: string }
  | { name: "status"; status: "live" | "away" }
  | { name: "plot"; kind: PlotName }
  | { name: "write" }
  | { name: "prompter" }
  | { name: "command_line" }
  | { name: "keys" };

export const PLOT_NAMES = ["stock", "rush", "watching", "funnel", "latency", "money"] as const;
export type PlotName = (typeof PLOT_NAMES)[number];

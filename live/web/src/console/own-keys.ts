/** This person's keys, kept in this browser. */

import { signal } from "@preact/signals";
import { DEFAULT_KEYMAP, type Keymap, readKeymap } from "./keymap";

const MAP_KEY = "flashroom.console.keymap";
const SWITCH_KEY = "flashroom.console.keys";

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function write(name: string, text: string): void {
  try {
    localStorage.setItem(name, text);
  } catch {
    // Then it holds for this page.
  }
}

export const keymap = signal<Keymap>(readKeymap(read(MAP_KEY)));
export const areKeysOn = signal(read(SWITCH_KEY) !== "off");

export function setKeymap(next: Keymap): void {
  keymap.value = next;
  write(MAP_KEY, JSON.stringify(next));
}

export function resetKeymap(): void {
  setKeymap(DEFAULT_KEYMAP);
}

export function switchKeys(on: boolean): void {
  areKeysOn.value = on;
  write(SWITCH_KEY, on ? "on" : "off");
}

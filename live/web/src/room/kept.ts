/** What this browser remembers of a viewer's wishes. Storage may be forbidden: then they hold for this page. */

export function readKept(name: string): string | null {
  try {
    return localStorage.getItem(`flashroom.${name}`);
  } catch {
    return null;
  }
}

export function keep(name: string, text: string): void {
  try {
    localStorage.setItem(`flashroom.${name}`, text);
  } catch {
    // Then it holds for this page.
  }
}

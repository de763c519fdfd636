/** Moving one thing in a list, and where a dragged one would come to lie. No I/O. */

/** The list with the item at `from` moved to place `to`; the same list when nothing moves. */
export function moved<T>(list: readonly T[], from: number, to: number): readonly T[] {
  const place = Math.min(list.length - 1, Math.max(0, to));
  const item = list[from];
  if (item === undefined || place === from) return list;
  const others = list.filter((_, index) => index !== from);
  return [...others.slice(0, place), item, ...others.slice(place)];
}

/** The place of a row that is dragged to height `y`: as many rows as have their middle above it, itself left out. */
export function placeAt(y: number, rows: readonly { top: number; bottom: number }[], from: number): number {
  return rows.filter((row, index) => index !== from && (row.top + row.bottom) / 2 < y).length;
}

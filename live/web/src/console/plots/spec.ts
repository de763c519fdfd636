/** What a plot is, apart from how it is drawn: its series, marks and axes. */

export type Tone = "available" | "held" | "sold" | "good" | "warn" | "bad" | "info" | "quiet";

export interface Series {
  name: string;
  tone: Tone;
  shape: "line" | "step" | "area" | "bars";
  /** What is drawn; in a stack the sum with all below it. */
  values: (number | null)[];
  /** What is said, when it isn't what is drawn. */
  said?: (number | null)[];
  /** What the legend says while nothing is pointed at; null for nothing, else the last value. */
  idle?: number | null;
  isDashed?: boolean;
  /** Filled with a pattern, so that it is told apart without its colour. */
  isHatched?: boolean;
}

export interface Mark {
  x: number;
  label: string;
  tone: Tone;
}

export interface PlotSpec {
  /** Drawn anew when it changes; else only the data do. */
  id: string;
  /** One sentence for those who don't see it. */
  sentence: string;
  xs: number[];
  series: Series[];
  marks: Mark[];
  x: { from: number; to: number; isTime: boolean; say: (x: number) => string; ticks?: number[]; lines?: number };
  y: { say: (y: number) => string; isLog?: boolean; atLeast?: number };
  /** A straight line that goes on from what is known: where it will end at the present rate. */
  projection?: { from: [x: number, y: number]; to: [x: number, y: number] };
}

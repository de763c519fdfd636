/** What the API's `charts` answer, as it travels. */

export interface HistoryMark {
  at_ms: number;
  action: string;
  target: string;
}

export interface StockHistory {
  sale_id: string;
  opened_at_ms: number | null;
  closed_at_ms: number | null;
  points: { at_ms: number; available: number; held: number; sold: number }[];
  marks: HistoryMark[];
}

export interface WatchingHistory {
  now_ms: number;
  points: { at_ms: number; people: number; ghosts: number }[];
  marks: HistoryMark[];
}

export interface MoneyStep {
  at_ms: number;
  ghost: boolean;
  placed_minor: number;
  paid_minor: number;
  refunded_minor: number;
}

export interface MoneyHistory {
  now_ms: number;
  since_ms: number;
  step_ms: number;
  steps: MoneyStep[];
}

export interface Buyers {
  tapped: number;
  held: number;
  placed: number;
  paid: number;
  expired: number;
  declined: number;
  cancelled: number;
  refunded: number;
  units_paid: number;
  paid_minor: number;
  refunded_minor: number;
}

export interface SaleFunnel {
  sale_id: string;
  product_id: string;
  round: number;
  state: string;
  watching: number;
  watching_ghosts: number;
  people: Buyers;
  ghosts: Buyers;
}

export interface LatencyHistory {
  window_ms: number;
  points: { at_ms: number; count: number; p50_ms: number; p95_ms: number; p99_ms: number }[];
}

export interface WayDelays {
  pages: number;
  p50_ms: number | null;
  p95_ms: number | null;
}

export interface Delays {
  now_ms: number;
  webrtc: WayDelays;
  hls: WayDelays;
  /** Each counts what is later than the class before it; the last has no bound. */
  classes: { up_to_ms: number | null; webrtc: number; hls: number }[];
}

export interface Rush {
  bucket_ms: number;
  opened_at_ms: number | null;
  last_unit_t_ms: number | null;
  granted: number;
  refused: number;
  buckets: { t_ms: number; granted: number; refused: number; other: number }[];
  complete: boolean;
}

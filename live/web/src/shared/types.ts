/** The shapes of realtime/PROTOCOL.md and of the HTTP API, as they travel. Times are UTC ms, money is integer minor units. */

export type Lang = "en" | "zh";
export type Localised = Partial<Record<Lang, string>>;

// --- values -------------------------------------------------------------------------------------------------------

export type RoomStatus = "preshow" | "live" | "away" | "ended";

export interface RoomValue {
  status: RoomStatus;
  title: Localised | string;
  host_name: string;
  rehearsal: boolean;
  starts_at_ms: number | null;
  started_at_ms: number | null;
}

export interface ChatValue {
  slow_mode_s: number;
  review: boolean;
  off: boolean;
  followers_only: boolean;
  pinned_comment: { id: string; name: string; text: string } | null;
}

export interface PinValue {
  product_id: string | null;
  /** null before anything was pinned. */
  at_ms: number | null;
}

export interface LikesValue {
  total: number;
}

/** What viewers ask the host to show: how many, and since when. */
export interface RequestsValue {
  total: number;
  items: Readonly<Record<string, readonly [count: number, since_ms: number]>>;
}

export interface WatchingValue {
  count: number;
  peak: number;
}

export interface OrdersValue {
  placed: number;
  paid: number;
}

export interface MediaValue {
  publishing: boolean;
  since_ms: number | null;
  /** The server's time at media time 0. */
  zero_ms?: number;
  whep: string | null;
  hls: string | null;
  recording?: "off" | "on" | "no_space" | "failed";
}

/** What is being said, until it is replaced or its time is over. */
export interface CaptionsValue {
  text: string;
  language: string | null;
  /** When the words were spoken, and the media time of that. */
  at_ms: number;
  media_time_ms?: number;
  until_ms: number;
}

/** Who holds the sale desk and who asks for it: accounts' ids, whose names the API tells staff. */
export interface DeskValue {
  holder_id: string | null;
  since_ms: number | null;
  asker_id: string | null;
  asked_at_ms: number | null;
  answer: string | null;
}

export type SaleState =
  | "draft"
  | "ready"
  | "armed"
  | "countdown"
  | "open"
  | "paused"
  | "draining"
  | "settled"
  | "published";

export interface SaleValue {
  sale_id: string;
  product_id: string;
  variant_id: string;
  round: number;
  state: SaleState;
  state_reason: string | null;
  price_minor: number;
  list_price_minor: number;
  currency: string;
  quota: number;
  limit_per_buyer: number;
  hold_ms: number;
  rule: "first_come" | "fair_window" | "draw";
  seed_hash: string | null;
  terms_hash: string | null;
  opens_at_ms: number | null;
  closes_at_ms: number | null;
  extendable_ms: number;
  extended: boolean;
}

export interface StockValue {
  sale_id: string;
  quota: number;
  available: number;
  held: number;
  sold: number;
  waiting: number;
  next_hold_ends_at_ms: number | null;
  epoch: number;
  seq: number;
}

/** A sale as the HTTP API gives it: the `sale:ID` value with its stock and the console's extras. */
export interface Sale extends SaleValue {
  room_id: string;
  duration_ms: number;
  countdown_ms: number;
  stock: StockValue | null;
  problems?: SaleProblem[];
}

export interface SaleProblem {
  code: string;
  message: string;
}

// --- events -------------------------------------------------------------------------------------------------------

export type Role = "viewer" | "moderator" | "seller" | "host" | "owner" | "analyst";

export interface Comment {
  id: string;
  viewer_id: string;
  name: string;
  role: Role;
  text: string;
  at_ms: number;
  ghost?: boolean;
  reply_to?: string;
}

export interface OrderTick {
  name: string;
  product_id: string;
  quantity: number;
  at_ms: number;
  ghost?: boolean;
}

export interface Announcement {
  text: string;
  at_ms: number;
}

export interface SaleEvent {
  sale_id: string;
  state: SaleState;
  reason?: string | null;
  at_ms: number;
  media_time_ms?: number;
}

export type WireEvent = [type: string, data: unknown];
export type WireValue = [version: number, data: unknown];

// --- decisions ----------------------------------------------------------------------------------------------------

export interface Granted {
  decision: "granted";
  reason: string;
  hold_id: string;
  sale_id: string;
  token: string;
  quantity: number;
  price_minor: number;
  currency: string;
  expires_at_ms: number;
  epoch: number;
  seq: number;
}

export type RefusalReason =
  | "all_held"
  | "sold_out"
  | "not_enough"
  | "limit_reached"
  | "not_open"
  | "paused"
  | "ended"
  | "not_loaded"
  | "bad_quantity"
  | "window_lost";

export interface Refused {
  decision: "refused";
  reason: RefusalReason;
  seq: number;
  epoch: number;
  sale_id?: string;
  place?: number;
  after_last_unit_ms?: number;
  next_hold_ends_at_ms?: number | null;
  opens_at_ms?: number | null;
  available?: number;
}

/** A place in the wait list. */
export interface WaitingDecision {
  decision: "waiting";
  reason: "joined";
  place: number;
  ahead: number;
  sale_id: string;
  seq: number;
  epoch: number;
}

export interface PendingDecision {
  decision: "pending";
  reason: "window";
  decided_at_ms: number;
}

export type Decision = Granted | Refused | WaitingDecision | PendingDecision;

// --- personal -----------------------------------------------------------------------------------------------------

/** An item that this viewer asked to be told of goes on sale. `id` is of the asking. */
export interface ReminderDue {
  id: string;
  product_id: string;
  variant_id: string;
  sale_id: string;
  opens_at_ms: number;
  at_ms: number;
}

/** A room that this viewer follows is live. `id` is of the show. */
export interface LiveNow {
  id: string;
  host_name: string;
  started_at_ms: number;
  at_ms: number;
}

export interface PersonalMessages {
  hold_granted: Granted;
  hold_refused: Refused;
  hold_promoted: Granted;
  hold_expired: { hold_id: string; sale_id: string; at_ms: number; place?: number };
  hold_extended: Granted;
  payment: { order_id: string; hold_id: string; sale_id: string; state: "declined" | "returned"; reason?: string };
  waitlist: { sale_id: string; place: number };
  order: { order_id: string; order_number: string; state: OrderState; sale_id: string; hold_id: string; again?: true };
  muted: { until_ms: number };
  reminder: ReminderDue;
  live_now: LiveNow;
  banned: Record<string, never>;
}

// --- messages from the server -------------------------------------------------------------------------------------

export interface Joined {
  room_id: string;
  viewer_id: string;
  epoch: string;
  offset: number;
  recovered: boolean;
  server_time_ms: number;
  events: WireEvent[];
  first_offset: number;
  values: Record<string, WireValue>;
  personal_offset: number;
  mode: Partial<ModeNotice> | null;
  limits: Record<string, unknown> | null;
}

export type Thinned = "full" | "reduced" | "paused";

export interface ModeNotice {
  type: "mode";
  hearts: Thinned;
  presence: Thinned;
  chat: Thinned;
  chat_one_in: number;
}

export type Notice = ModeNotice | { type: "reconnect"; after_ms: number } | { type: "jump" };

// --- HTTP API -----------------------------------------------------------------------------------------------------

export interface Variant {
  variant_id: string;
  title: Localised;
  price_minor: number;
  stock: number;
}

export interface Product {
  product_id: string;
  title: Localised;
  description: Localised;
  picture_url: string;
  currency: string;
  variants: Variant[];
}

export interface RoomInfo {
  room_id: string;
  title: Localised;
  status: RoomStatus;
  rehearsal: boolean;
  rehearsal_of: string | null;
  host_name: string;
  starts_at_ms: number | null;
  started_at_ms: number | null;
}

export interface RoomPage {
  room: RoomInfo;
  products: Product[];
  pinned_product_id: string | null;
  sales: Sale[];
  role: Role | null;
  run_version: number;
}

export interface ViewerIdentity {
  viewer_id: string;
  name: string;
  role?: Role | null;
  ghost?: boolean;
}

export interface Me {
  viewer: ViewerIdentity | null;
  user: { user_id: string; email: string; name: string; roles: Record<string, Role> } | null;
}

export interface TicketAnswer {
  ticket: string;
  hub_url: string;
  expires_at_ms: number;
  viewer: ViewerIdentity;
}

export interface Address {
  /** An e-mail address or a telephone number. */
  contact: string;
  line1: string;
  line2?: string;
  city: string;
  postcode: string;
  country: string;
}

export type OrderState = "placed" | "paid" | "fulfilled" | "refunded" | "cancelled" | "expired";

export interface Order {
  order_id: string;
  order_number: string;
  room_id: string;
  sale_id: string;
  hold_id: string;
  buyer_id: string;
  buyer_name: string;
  product_id: string;
  variant_id: string;
  quantity: number;
  unit_price_minor: number;
  total_minor: number;
  refunded_minor: number;
  currency: string;
  state: OrderState;
  placed_at_ms: number;
  deadline_ms: number;
  paid_at_ms: number | null;
  ghost?: boolean;
  name?: string;
  address?: Address;
}

export interface Mine {
  holds: Granted[];
  orders: Order[];
  places?: { sale_id: string; place: number }[];
  /** The items that this viewer is to be told of. */
  reminders?: string[];
  following?: boolean;
}

/** Where the buyer goes to pay. `picture` is a QR code's, as a data URL. */
export interface NextAction {
  type: "redirect" | "qr";
  url: string;
  picture?: string | null;
}

export interface Payment {
  attempt_id: string;
  state: "succeeded" | "declined" | "pending";
  reason?: string | null;
  next_action?: NextAction | null;
}

export interface PaymentProvider {
  name: "sandbox" | "stripe" | "alipay" | "wechat_pay";
  method: "card" | "page";
  /** null: every currency. */
  currencies: string[] | null;
}

export interface PaymentAnswer {
  payment: Payment;
  order: Order;
}

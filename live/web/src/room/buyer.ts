/** Name, address and test card, remembered on this device and nowhere else. */

import type { BuyerDetails } from "./my-things";

const STORAGE_KEY = "flashroom.buyer";

export interface RememberedBuyer {
  name: string;
  contact: string;
  line1: string;
  line2: string;
  city: string;
  postcode: string;
  country: string;
  /** Only a sandbox test card is ever kept; a real number never is. */
  card: string;
}

export interface TestCard {
  number: string;
  word: "card_ok" | "card_declined" | "card_funds" | "card_slow";
}

export const TEST_CARDS: readonly TestCard[] = [
  { number: "4242424242424242", word: "card_ok" },
  { number: "4000000000000002", word: "card_declined" },
  { number: "4000000000009995", word: "card_funds" },
  { number: "4000000000000341", word: "card_slow" },
];

export const COUNTRIES = [
  "CN", "HK", "TW", "SG", "MY", "JP", "KR", "GB", "IE", "DE", "FR", "NL", "ES", "IT", "AT", "BE", "CH", "PL", "SE", "US", "CA", "AU", "NZ",
] as const;

export const EMPTY_BUYER: RememberedBuyer = { name: "", contact: "", line1: "", line2: "", city: "", postcode: "", country: "", card: "" };

export function loadBuyer(): RememberedBuyer {
  try {
    const kept = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}") as Partial<RememberedBuyer>;
    return { ...EMPTY_BUYER, ...kept };
  } catch {
    return EMPTY_BUYER;
  }
}

export function saveBuyer(buyer: RememberedBuyer): void {
  const digits = cardDigits(buyer.card);
  const card = TEST_CARDS.some((c) => c.number === digits) ? digits : "";
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify({ ...buyer, card }));
  } catch {
    // Then it is typed again next time.
  }
}

export function cardDigits(text: string): string {
  return text.replace(/\D/g, "").slice(0, 19);
}

/** "4242 4242 4242 4242" */
export function spacedCard(text: string): string {
  return cardDigits(text).replace(/(\d{4})(?=\d)/g, "$1 ");
}

/** An e-mail address, or a number of 7 to 15 digits; the server has the last word. */
export function isContact(text: string): boolean {
  const contact = text.trim();
  return /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(contact) || /^\+?\d{7,15}$/.test(contact.replace(/[\s().\-/]/g, ""));
}

export type BuyerProblem = Partial<Record<keyof RememberedBuyer, "field_missing" | "card_invalid" | "contact_invalid">>;

/** What is missing or wrong; empty when all is well. */
export function checkBuyer(buyer: RememberedBuyer): BuyerProblem {
  const problems: BuyerProblem = {};
  for (const field of ["name", "contact", "line1", "city", "postcode", "country"] as const) {
    if (!buyer[field].trim()) problems[field] = "field_missing";
  }
  if (!problems.contact && !isContact(buyer.contact)) problems.contact = "contact_invalid";
  if (cardDigits(buyer.card).length < 12) problems.card = "card_invalid";
  return problems;
}

export function detailsOf(buyer: RememberedBuyer): BuyerDetails {
  const line2 = buyer.line2.trim();
  return {
    name: buyer.name.trim(),
    address: {
      contact: buyer.contact.trim(),
      line1: buyer.line1.trim(),
      ...(line2 ? { line2 } : {}),
      city: buyer.city.trim(),
      postcode: buyer.postcode.trim(),
      country: buyer.country,
    },
  };
}

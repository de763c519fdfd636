/** What viewers ask to see, as the console shows it. No I/O. */

import type { Product, RequestsValue } from "../shared/types";

export interface Asked {
  product: Product;
  count: number;
}

/** The items that are asked for, most wanted first, the run's order deciding among equals. */
export function mostAsked(requests: RequestsValue, products: readonly Product[]): Asked[] {
  return products
    .map((product) => ({ product, count: requests.items[product.product_id]?.[0] ?? 0 }))
    .filter((one) => one.count > 0)
    .sort((a, b) => b.count - a.count);
}

import { expect, it } from "vitest";
import type { Product } from "../shared/types";
import { mostAsked } from "./requests";

const product = (product_id: string): Product => ({ product_id, title: {}, description: {}, picture_url: "", currency: "CNY", variants: [] });

it("puts the most wanted first, and leaves out what nobody asks for or what is no longer there", () => {
  const items = { b: [3, 1], c: [9, 1], gone: [50, 1], d: [3, 1] } as Record<string, [number, number]>;
  const found = mostAsked({ total: 65, items }, ["a", "b", "c", "d"].map(product));
  expect(found.map((one) => [one.product.product_id, one.count])).toEqual([
    ["c", 9],
    ["b", 3],
    ["d", 3],
  ]);
});

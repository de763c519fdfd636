import { useState } from "preact/hooks";
import type { Product } from "../shared/types";
import { localised } from "../shared/words";

/** A product's picture, or its initial on a tile when the picture can't be had. Decorative: the name stands beside it. */
export function Picture({ product, class: extra = "", eager = false }: { product: Product; class?: string; eager?: boolean }) {
  const [failed, setFailed] = useState<string | null>(null);
  if (!product.picture_url || failed === product.picture_url) {
    return (
      <span class={`picture picture-missing ${extra}`} aria-hidden="true">
        {localised(product.title).slice(0, 1)}
      </span>
    );
  }
  return (
    <img
      class={`picture ${extra}`}
      src={product.picture_url}
      alt=""
      width={400}
      height={400}
      loading={eager ? "eager" : "lazy"}
      decoding="async"
      draggable={false}
      onError={() => setFailed(product.picture_url)}
    />
  );
}

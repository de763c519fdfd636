import { useEffect, useState } from "preact/hooks";
import { LiveVideo } from "./live-video";
import { useSession } from "./context";
import { BoltIcon } from "../shared/icons";
import { Picture } from "./picture";
import { shared } from "../shared/words";

/** The picture behind everything: until there is a video, a lit set with the product the host shows. */
export function Stage() {
  const session = useSession();
  const product = session.pinned.value;
  const isOnAir = session.store.media.value?.publishing ?? false;
  // Once begun it stays: a host who drops out for a moment comes back into the same session.
  const [hasVideo, setVideo] = useState(isOnAir);
  useEffect(() => {
    if (isOnAir) setVideo(true);
  }, [isOnAir]);
  const isRehearsal = session.store.room.value?.rehearsal ?? false;
  return (
    <div class="stage" aria-hidden="true">
      <div class="stage-ambient" key={`a-${product?.product_id}`}>
        {product && <Picture product={product} class="stage-blur" eager />}
      </div>
      <div class="stage-beam stage-beam-1" />
      <div class="stage-beam stage-beam-2" />
      <div class="stage-set">
        {product ? (
          <div class="stage-product" key={product.product_id}>
            <Picture product={product} eager />
          </div>
        ) : (
          <BoltIcon size={96} class="stage-bolt" />
        )}
      </div>
      {hasVideo && (
        <LiveVideo onState={(state) => (session.video.value = state)} onDelay={(delay) => (session.videoDelay.value = delay)} />
      )}
      <div class="stage-shade" />
      {isRehearsal && (
        <div class="watermark">
          {[0, 1, 2, 3, 4].map((n) => (
            <span key={n}>{`${shared.t("rehearsal")} · REHEARSAL · 彩排`}</span>
          ))}
        </div>
      )}
    </div>
  );
}

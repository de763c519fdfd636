import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

/** A part that is looked at now and then, so it is not in the first load. Where it can't be had, `onFailed` puts things as they were. */
export function Late({ load, onFailed }: { load: () => Promise<ComponentType>; onFailed: () => void }) {
  const [Part, setPart] = useState<ComponentType | null>(null);
  useEffect(() => {
    load().then((part) => setPart(() => part), onFailed);
  }, []);
  return Part && <Part />;
}

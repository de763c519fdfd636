import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

interface Props {
  load: () => Promise<ComponentType>;
  /** It can't be had now: whoever wanted it shuts the door again, so that the next press tries anew. */
  onFail: () => void;
}

/** A part that is seldom looked at, so it is not in the first load: fetched when it is wanted. */
export function Late({ load, onFail }: Props) {
  const [Part, setPart] = useState<ComponentType | null>(null);
  useEffect(() => {
    load().then((part) => setPart(() => part), onFail);
  }, []);
  return Part && <Part />;
}

import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

const AGAIN_MS = 3_000;

/** A part that isn't always seen, and so not in the first load: nothing, or `waiting`, until its script has come, which is asked for until it does. */
export function late<P extends object>(load: () => Promise<ComponentType<P>>, waiting: () => ComponentChildren = () => null): ComponentType<P> {
  let Loaded: ComponentType<P> | null = null;
  return function Late(props: P) {
    const [tries, setTries] = useState(0);
    useEffect(() => {
      if (Loaded) return;
      let timer: ReturnType<typeof setTimeout> | undefined;
      let isGone = false;
      load().then(
        (part) => {
          Loaded = part;
          if (!isGone) setTries(tries + 1);
        },
        () => {
          if (!isGone) timer = setTimeout(() => setTries(tries + 1), AGAIN_MS);
        },
      );
      return () => {
        isGone = true;
        clearTimeout(timer);
      };
    }, [tries]);
    return <>{Loaded ? <Loaded {...props} /> : waiting()}</>;
  };
}

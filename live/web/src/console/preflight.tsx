/** Before the show: what should be right before it goes on air, light by light, and its rehearsal. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, Problem } from "../shared/api";
import { formatDateTime } from "../shared/clock";
import { CheckIcon, CloseIcon, WarningIcon } from "../shared/icons";
import { Sheet } from "../shared/sheet";
import type { RoomInfo } from "../shared/types";
import { language } from "../shared/words";
import { useConsole, useDesk } from "./context";
import { explain } from "./explain";
import { ProblemLine } from "./parts";
import "./preflight.css";
import { preflightWords } from "./preflight-words";
import { type Level, levelOf } from "./sound-level";
import { w } from "./words";

const p = preflightWords.t;
const AGAIN_MS = 5_000;
const LISTEN_MS = 200;
/** Further off than this, a clock is worth a word. */
const CLOCK_OFF_MS = 500;

type Light = "good" | "warn" | "bad" | "unknown";
type CheckName = "picture" | "clock" | "payments" | "stock" | "floors" | "moderator" | "words" | "rehearsal" | "space";

interface Check {
  check: CheckName;
  light: Light;
  facts: Record<string, number>;
}

interface Preflight {
  checks: Check[];
  rehearsal_of: string | null;
}

export function PreflightSheet() {
  const desk = useDesk();
  const [found, setFound] = useState<Preflight | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let isGone = false;
    const look = (): void =>
      void api.get<Preflight>(desk.path("/preflight"), { retries: 0 }).then(
        (answer) => {
          if (isGone) return;
          setFound(answer);
          setProblem(null);
        },
        (error: unknown) => {
          if (!(error instanceof Problem)) throw error;
          if (!isGone) setProblem(explain(error));
        },
      );
    look();
    const timer = setInterval(look, AGAIN_MS);
    return () => {
      isGone = true;
      clearInterval(timer);
    };
  }, [desk, round]);
  return (
    <Sheet title={w("before_show")} kind="dialog" theme="dark" class="sheet-wide" onClose={() => (desk.isPreflightOpen.value = false)} testid="preflight">
      {problem && <ProblemLine text={problem} />}
      {!found && !problem && (
        <p class="panel-wait" aria-busy="true">
          {w("loading_more")}
        </p>
      )}
      {found && (
        <>
          <ul class="preflight-checks">
            {found.checks.map((check) => (check.check === "clock" ? <Clock key="clock" check={check} /> : <Row key={check.check} name={check.check} light={check.light} text={textOf(check)} />))}
            <Sound />
          </ul>
          <button type="button" class="link" onClick={() => setRound(round + 1)}>
            {p("again")}
          </button>
          <Rehearsal of={found.rehearsal_of} />
        </>
      )}
    </Sheet>
  );
}

function textOf({ check, light, facts }: Check): string {
  if (check === "rehearsal" && facts.at_ms !== undefined) {
    return p(facts.changed ? "rehearsal_changed" : "rehearsal_good", { date: formatDateTime(facts.at_ms, language.value) });
  }
  const word = `${check}_${light}`;
  const free = ((facts.free_mb ?? 0) / 1024).toFixed(1);
  return preflightWords.has(word) ? p(word, { ...facts, free }) : "";
}

const ICONS = { good: CheckIcon, warn: WarningIcon, bad: CloseIcon, unknown: WarningIcon } as const;

function Row({ name, light, text, children }: { name: CheckName | "sound"; light: Light; text: string; children?: ComponentChildren }) {
  const Icon = ICONS[light];
  return (
    <li class={`preflight-check is-${light}`} data-testid={`check-${name}`} data-light={light}>
      <Icon size={17} />
      <b>{p(name)}</b>
      <span class="visually-hidden">{p(light)}: </span>
      <span class="num">{text}</span>
      {children}
    </li>
  );
}

/** The servers' clocks as they say themselves, and this computer's as its pings found it. */
function Clock({ check }: { check: Check }) {
  const desk = useDesk();
  const offMs = Math.abs(desk.store.clock.offsetMs.value);
  const n = (offMs / 1000).toFixed(1);
  if (check.light === "bad") return <Row name="clock" light="bad" text={p("clock_bad")} />;
  return offMs > CLOCK_OFF_MS ? <Row name="clock" light="warn" text={p("clock_own", { n })} /> : <Row name="clock" light="good" text={p("clock_good", { n })} />;
}

/** How loud the microphone is that goes out from this page. */
function Sound() {
  const { broadcast } = useDesk();
  const stream = broadcast.stream.value;
  const isMuted = broadcast.isMuted.value;
  const [level, setLevel] = useState<Level | null>(null);
  const hasSound = (stream?.getAudioTracks().length ?? 0) > 0;
  useEffect(() => {
    setLevel(null);
    if (!stream || !hasSound || isMuted) return;
    const context = new AudioContext();
    const meter = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(meter);
    const samples = new Float32Array(meter.fftSize);
    const timer = setInterval(() => {
      meter.getFloatTimeDomainData(samples);
      setLevel((before) => levelOf(samples, before));
    }, LISTEN_MS);
    return () => {
      clearInterval(timer);
      void context.close();
    };
  }, [stream, hasSound, isMuted]);
  if (!stream) return <Row name="sound" light="unknown" text={p("sound_unknown")} />;
  if (!hasSound) return <Row name="sound" light="bad" text={p("sound_none")} />;
  if (isMuted) return <Row name="sound" light="bad" text={p("sound_muted")} />;
  return level ? <Row name="sound" light={level.light} text={p(`sound_${level.kind}`, { n: level.db })} /> : <Row name="sound" light="bad" text={p("sound_silent")} />;
}

/** To the show's rehearsal, and back. */
function Rehearsal({ of }: { of: string | null }) {
  const session = useConsole();
  const desk = useDesk();
  const room = desk.store.room.value;
  const isBusy = desk.runner.isBusy("rehearsal");
  if (of !== null) {
    return (
      <div class="preflight-rehearsal">
        <p class="sheet-text">{p("back_means")}</p>
        <button type="button" class="button button-strong" data-testid="back-to-show" onClick={() => void session.openRoom(of)}>
          {p("back")}
        </button>
      </div>
    );
  }
  if (room?.rehearsal || !desk.may("produce")) return null;
  const isOnAir = room?.status === "live" || room?.status === "away";
  return (
    <div class="preflight-rehearsal">
      <p class="sheet-text">{p(isOnAir ? "rehearse_on_air" : "rehearse_means")}</p>
      <button
        type="button"
        class="button button-strong"
        disabled={isOnAir || isBusy}
        data-testid="rehearse"
        onClick={() =>
          void desk.runner.send<RoomInfo>("rehearsal", "rehearse", "post", desk.path("/rehearsal")).then((sent) => {
            if (sent.ok) void session.openRoom(sent.answer.room_id);
          })
        }
      >
        {p(isBusy ? "starting" : "rehearse")}
      </button>
      {desk.runner.failure("rehearsal") && <ProblemLine text={desk.runner.failure("rehearsal")?.text ?? ""} />}
    </div>
  );
}

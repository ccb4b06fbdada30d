import type { CallError } from "./errors.js";

/** As long as a node that has started says `recovering`, in milliseconds. */
export const PATIENCE_MS = 15_000;
/** Calls of one connection that may wait to be asked again; more are told their refusal at once. */
export const RESTING_LIMIT = 1024;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

/** Refusals that pass, and how long the node asks to be left alone, in milliseconds. */
const PASSING: ReadonlyMap<string, number> = new Map([
  ["draining", 1_000],
  ["recovering", 1_000],
  ["peer_unreachable", 0],
]);

/** Whether it says that the call has not run, and will be taken once a node is back. */
export const isRefusalThatPasses = (error: unknown): error is CallError =>
  PASSING.has((error as CallError).code) && (error as CallError).delivered === "no";

/** For how long one call is asked again, counted from its first refusal. */
export class Patience {
  readonly #longestMs: number;
  #endsAt = 0;
  #refusals = 0;

  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  /** When it has ended, by the clock of `now`. It begins when this is asked first. */
  endsAt(now: number): number {
    return (this.#endsAt ||= now + this.#longestMs);
  }

  /** How long to wait until the call is asked again. Undefined: `error` is what became of it. `chance` is in [0, 1). */
  pauseMs(error: CallError, now: number, deadlineAt: number, chance: number): number | undefined {
    const leastMs = PASSING.get(error.code)!;
    const leftMs = this.endsAt(now) - now;
    if (leftMs <= leastMs) return undefined;
    const boundMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#refusals++);
    const pauseMs = Math.min(leastMs + chance * boundMs, leftMs);
    return now + pauseMs < deadlineAt ? pauseMs : undefined;
  }
}

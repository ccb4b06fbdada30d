/** What a client does when its socket has ended. */
export type Verdict = "retry" | "final" | "ticket";

/** Codes that say more than their range does. HTTP statuses stand where the runtime shows a refused handshake. */
const VERDICTS: Readonly<Record<number, Verdict>> = {
  1002: "final",
  1003: "final",
  1007: "final",
  1008: "final",
  1010: "final",
  400: "final",
  401: "ticket",
  403: "final",
  404: "final",
  410: "final",
  4401: "ticket",
  4408: "retry",
  4429: "retry",
};

/** Whether to connect again after this close code: 4400 to 4499 are final but for those in the table. */
export function verdictOf(code: number): Verdict {
  return VERDICTS[code] ?? (code >= 4400 && code <= 4499 ? "final" : "retry");
}

const LONGEST_RETRY_MS = 30_000;
const LONGEST_AWAITED_MS = 3_750;
const FIRST_RETRY_MS = 500;

/** U(0, min(30 s, 0.5 s x 2^failures)), in ms; 3.75 s at most where calls wait. `chance` is in [0, 1). */
export function retryAfterMs(failures: number, chance: number, isAwaited = false): number {
  return chance * Math.min(isAwaited ? LONGEST_AWAITED_MS : LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
}

/** Statuses of a refused `lambda.open` that may be different a moment later. */
const PASSING = new Set([429, 502, 503, 504]);

/** Whether the same `lambda.open` may succeed later. */
export const isPassing = (status: number | undefined): boolean => status !== undefined && PASSING.has(status);

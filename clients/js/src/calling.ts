import { draining, timedOut, type CallError } from "./errors.js";
import { Patience, RESTING_LIMIT, isRefusalThatPasses } from "./patience.js";
import type { Request, Requests } from "./requests.js";

export interface CallOptions {
  /** Aborting it rejects with its reason and cancels the call at the provider. */
  signal?: AbortSignal;
  /** The longest wait for the answer, of a stream for the next item, in milliseconds. */
  timeout?: number;
  /** The W3C trace context that the handler is told. */
  traceparent?: string;
}

/** How a call of ours ends. `isAbort`: its own signal ended it, so what came before counts no more. */
export interface Outcome {
  result(value: unknown): void;
  fault(error: unknown, isAbort?: boolean): void;
  item?(value: unknown): void;
}

/** The node says itself that a deadline has passed, at most 50 ms late; it is given this long before we say so. */
const NODE_SLACK_MS = 250;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

type Asked = Pick<Request, "method" | "params" | "stream" | "notify">;

/**
 * One call of ours: it ends by its answer, its deadline or its signal, whichever comes first. A refusal that passes is
 * no end while its patience lasts: nobody was given the call, and it is asked again.
 */
export class Calling {
  readonly #requests: Requests;
  readonly #outcome: Outcome;
  readonly #options: CallOptions;
  readonly #request: Request;
  readonly #patience: Patience;
  readonly #aborted = (): void => this.#giveUp(this.#options.signal!.reason, true);
  #id = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #hasBegun = false;
  #isOver = false;

  constructor(requests: Requests, asked: Asked, options: CallOptions, outcome: Outcome, patienceMs = 0) {
    this.#requests = requests;
    this.#outcome = outcome;
    this.#options = options;
    this.#patience = new Patience(patienceMs);
    const { signal, timeout, traceparent } = options;
    const isTimed = timeout !== undefined && timeout <= LONGEST_TIMER_MS;
    this.#request = {
      ...asked,
      traceparent,
      silenceMs: isTimed && asked.stream ? timeout : undefined,
      deadlineAt: isTimed ? Date.now() + timeout : undefined,
      isPatient: patienceMs > 0,
      result: (value) => this.#over() && outcome.result(value),
      fault: (error) => this.#refused(error),
      ...(outcome.item && {
        item: (value: unknown) => {
          this.#hasBegun = true;
          outcome.item!(value);
        },
      }),
    };
    if (signal?.aborted) {
      this.#aborted();
      return;
    }
    this.#start();
    if (this.#isOver) return;
    signal?.addEventListener("abort", this.#aborted);
    this.expect();
  }

  /** Count the time to the deadline from now on. */
  expect(): void {
    this.pause();
    if (!this.#isOver) this.#arm(this.#options.timeout);
  }

  /** Do not count it: the node is not who keeps us waiting. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  grant(add: number): void {
    this.#requests.grant(this.#id, add);
  }

  /** Nobody wants the answer any more. */
  cancel(): void {
    if (this.#over()) this.#requests.cancel(this.#id);
  }

  #start(): void {
    const requests = this.#requests;
    requests.resting.delete(this.#request);
    this.#id = requests.start(this.#request);
    if (!requests.isLeft || !this.#request.isPatient || this.#isOver) return;
    const now = Date.now();
    const leftMs = Math.min(this.#patience.endsAt(now) - now, LONGEST_TIMER_MS);
    this.#retry = setTimeout(() => {
      if (requests.isLeft && !requests.wasSent(this.#id)) this.#giveUp(draining());
    }, leftMs);
  }

  #refused(error: CallError): void {
    const requests = this.#requests;
    const { isPatient, deadlineAt = Infinity } = this.#request;
    const mayRest = isPatient && !this.#hasBegun && isRefusalThatPasses(error) && requests.resting.size < RESTING_LIMIT;
    const pauseMs = mayRest ? this.#patience.pauseMs(error, Date.now(), deadlineAt, Math.random()) : undefined;
    if (pauseMs === undefined) {
      if (this.#over()) this.#outcome.fault(error);
      return;
    }
    requests.resting.add(this.#request);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#start(), pauseMs);
    if (error.code === "draining") requests.look();
  }

  #arm(timeoutMs: number | undefined): void {
    if (timeoutMs === undefined || timeoutMs > LONGEST_TIMER_MS) return;
    this.#timer = setTimeout(() => {
      if (!this.#requests.wasSent(this.#id)) return this.#giveUp(timedOut("no"));
      this.#timer = setTimeout(() => this.#giveUp(timedOut("unknown")), NODE_SLACK_MS);
    }, timeoutMs);
  }

  #giveUp(reason: unknown, isAbort = false): void {
    if (!this.#over()) return;
    this.#requests.cancel(this.#id);
    this.#outcome.fault(reason, isAbort);
  }

  #over(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.pause();
    clearTimeout(this.#retry);
    this.#requests.resting.delete(this.#request);
    this.#options.signal?.removeEventListener("abort", this.#aborted);
    return true;
  }
}

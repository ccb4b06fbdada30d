import { callError, closed, lost, overloaded, tooLarge, type CallError } from "./errors.js";
import { FIRST_CREDIT, MESSAGE_LIMIT_BYTES, isOver, notification, type Message, type Send } from "./messages.js";

/** Requests that may wait for a connection. */
export const WAITING_LIMIT = 1024;

/** One request of ours. Exactly one of `result` and `fault` is called, once; `item` before it. */
export interface Request {
  /** The method, or verb and path of a route. */
  method: string;
  /** JSON text. */
  params: string;
  /** When the answer is too late, in milliseconds since 1970; undefined: never. */
  deadlineAt?: number | undefined;
  /** Of a stream, the longest silence between items, in milliseconds. */
  silenceMs?: number | undefined;
  traceparent?: string | undefined;
  stream?: boolean;
  /** No answer is wanted: `result` is called when it was sent. */
  notify?: boolean;
  /** It waits for another connection where the node goes down. */
  isPatient?: boolean;
  result(value: unknown): void;
  fault(error: CallError): void;
  item?(value: unknown): void;
}

/** The requests of this side: those that wait for a connection and those that wait for an answer. */
export class Requests {
  readonly #now: () => number;
  readonly #waiting = new Map<number, Request>();
  readonly #sent = new Map<number, Request>();
  /** Those that were refused, and will be started again. */
  readonly resting = new Set<Request>();
  /** Whether the node goes down. What is sent to it may be lost in its close, and nobody would know whether it ran. */
  isLeft = false;
  #isLooking = false;
  #lastId = 0;
  #send: Send | undefined;
  #ended: string | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Send a request, now or with the next connection. Returns its number. */
  start(request: Request): number {
    const id = ++this.#lastId;
    if (this.#ended !== undefined) request.fault(closed(this.#ended));
    else if (isOver(request.params, MESSAGE_LIMIT_BYTES)) request.fault(tooLarge(MESSAGE_LIMIT_BYTES));
    else if (this.#send && !(this.isLeft && request.isPatient) && this.#write(id, request, this.#send)) return id;
    else if (this.#waiting.size >= WAITING_LIMIT) request.fault(overloaded(WAITING_LIMIT));
    else this.#waiting.set(id, request);
    return id;
  }

  /** Send a request over `send`, or not at all. */
  startNow(request: Request, send: Send): void {
    this.#write(++this.#lastId, request, send);
  }

  /** A call was refused because a node goes down: ask whether it is this one. */
  look(): void {
    if (!this.#send || this.#isLooking || this.isLeft) return;
    this.#isLooking = true;
    const looked = (isLeft: boolean): void => {
      this.#isLooking = false;
      this.isLeft ||= isLeft; // The node may have said so itself in the meantime.
    };
    const fault = ({ code }: CallError): void => looked(code === "draining");
    this.startNow({ method: "GET /readyz", params: "[]", result: () => looked(false), fault }, this.#send);
  }

  /** Whether requests wait for a connection. */
  get isAwaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Whether the request was given to a socket, and so may have been delivered. */
  wasSent(id: number): boolean {
    return this.#sent.has(id);
  }

  /** Forget a request whose answer nobody wants any more; its callbacks are not called. */
  cancel(id: number): void {
    this.#waiting.delete(id);
    if (this.#sent.delete(id)) this.#send?.(notification("$/cancelRequest", { id }));
  }

  /** Allow `add` more items of a stream. */
  grant(id: number, add: number): void {
    if (this.#sent.has(id)) this.#send?.(notification("$/credit", { id, add }));
  }

  /** From now on requests are sent at once; those that waited go first, but for calls where the node goes down already. */
  attach(send: Send): void {
    this.#send = send;
    for (const [id, request] of this.#waiting) {
      if (this.isLeft && request.isPatient) continue;
      if (!this.#write(id, request, send)) return;
      this.#waiting.delete(id);
    }
  }

  /** The socket has ended: what was sent may or may not have been delivered, what waits goes on waiting. */
  detach(): void {
    this.#send = undefined;
    this.isLeft = this.#isLooking = false;
    const sent = [...this.#sent.values()];
    this.#sent.clear();
    for (const request of sent) request.fault(lost());
  }

  /** There will be no connection again. */
  end(reason: string): void {
    this.#ended = reason;
    this.detach();
    const waiting = [...this.#waiting.values(), ...this.resting];
    this.#waiting.clear();
    this.resting.clear();
    for (const request of waiting) request.fault(closed(reason));
  }

  /** An answer. Its id may be one that was cancelled. */
  answered(message: Message): void {
    const request = this.#take(message.id);
    if (!request) return;
    if (message.error) request.fault(callError(message.error));
    else request.result(message.result ?? null);
  }

  /** One item of a stream of ours. */
  progressed(token: unknown, value: unknown): void {
    this.#sent.get(token as number)?.item?.(value);
  }

  #take(id: unknown): Request | undefined {
    const request = this.#sent.get(id as number);
    this.#sent.delete(id as number);
    return request;
  }

  #write(id: number, request: Request, send: Send): boolean {
    const isSent = send(this.#envelope(id, request));
    if (isSent && request.notify) request.result(null);
    else if (isSent) this.#sent.set(id, request);
    return isSent;
  }

  #envelope(id: number, request: Request): string {
    const { method, params, deadlineAt = Infinity, traceparent, stream, notify } = request;
    const meta: Record<string, unknown> = traceparent ? { traceparent } : {};
    const timeoutMs = request.silenceMs ?? deadlineAt - this.#now();
    if (timeoutMs < Infinity && !notify) meta.timeout_ms = Math.max(1, Math.ceil(timeoutMs));
    if (stream) Object.assign(meta, { stream, credit: FIRST_CREDIT });
    const head = notify ? "" : `"id":${id},`;
    const tail = Object.keys(meta).length > 0 ? `,"meta":${JSON.stringify(meta)}` : "";
    return `{"jsonrpc":"2.0",${head}"method":${JSON.stringify(method)},"params":${params}${tail}}`;
  }
}

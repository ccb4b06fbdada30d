import { FIRST_CREDIT, ITEM_LIMIT_BYTES, MESSAGE_LIMIT_BYTES, isOver, json } from "./messages.js";
import type { CallContext, Handler } from "./methods.js";

/** How one call's outcome leaves. `done` is called at most once, with `"result":...` or `"error":...` as JSON text. */
export interface Outlet {
  item(text: string): void;
  done(member: string): void;
}

interface Items {
  next(): IteratorResult<unknown> | Promise<IteratorResult<unknown>>;
  return?(): unknown;
}

const CANNOT_ANSWER = -32000;

/** One call for us: runs its handler, streams within its credit, and stops when cancelled. */
export class Answering {
  readonly #outlet: Outlet;
  readonly #isStream: boolean;
  readonly #abort = new AbortController();
  #credit: number;
  #resume: (() => void) | undefined;
  #items: Items | undefined;

  constructor(outlet: Outlet, isStream: boolean, credit = FIRST_CREDIT) {
    this.#outlet = outlet;
    this.#isStream = isStream;
    this.#credit = credit;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Run the handler to its end. Never rejects: what the handler throws is the answer. */
  async run(handler: Handler, body: unknown, context: CallContext, debug: boolean): Promise<void> {
    let member: string;
    try {
      const value = await handler(body, context);
      const text = isItems(value) ? await this.#drain(value) : json(value);
      if (isOver(text, MESSAGE_LIMIT_BYTES))
        throw new RangeError(`the result is larger than ${MESSAGE_LIMIT_BYTES} bytes`);
      member = `"result":${text}`;
    } catch (error) {
      member = `"error":${errorText(error, debug)}`;
    }
    if (!this.signal.aborted) this.#outlet.done(member);
  }

  /** The caller takes `add` more items. */
  grant(add: number): void {
    this.#credit += add;
    this.#resume?.();
  }

  /** Nobody wants the answer any more. */
  cancel(): void {
    this.#abort.abort();
    this.#resume?.();
    void this.#leave();
  }

  /** Send the items, or gather them. Returns the result as JSON text. */
  async #drain(items: Items): Promise<string> {
    this.#items = items;
    const gathered: string[] = [];
    let left = MESSAGE_LIMIT_BYTES;
    try {
      for (;;) {
        const step = await items.next();
        const text = json(await step.value);
        if (this.signal.aborted) return "null";
        if (step.done) return this.#isStream ? text : `[${gathered.join(",")}]`;
        if (this.#isStream) await this.#sendItem(text);
        else if ((left -= text.length + 1) > 0) gathered.push(text);
        else throw new RangeError(`the items are larger than ${MESSAGE_LIMIT_BYTES} bytes; call it as a stream`);
      }
    } catch (error) {
      void this.#leave();
      throw error;
    }
  }

  async #sendItem(text: string): Promise<void> {
    if (isOver(text, ITEM_LIMIT_BYTES))
      throw new RangeError(`an item is larger than ${ITEM_LIMIT_BYTES} bytes; yield smaller ones`);
    while (this.#credit <= 0 && !this.signal.aborted) await new Promise<void>((resolve) => (this.#resume = resolve));
    if (this.signal.aborted) return;
    this.#credit--;
    this.#outlet.item(text);
  }

  /** Let the generator run its `finally`. What it throws there reaches nobody. */
  async #leave(): Promise<void> {
    try {
      await this.#items?.return?.();
    } catch {
      // The call has ended.
    }
  }
}

function isItems(value: unknown): value is Items {
  if (typeof value !== "object" || value === null) return false;
  return typeof (value as Items).next === "function" && (Symbol.asyncIterator in value || Symbol.iterator in value);
}

/** What was thrown, as JSON-RPC says it. An Error's own integer `code`, and `data`, are kept. */
function errorText(thrown: unknown, debug: boolean): string {
  const error: { code: number; message: string; data?: unknown } = { code: CANNOT_ANSWER, message: messageOf(thrown) };
  if (thrown instanceof Error) {
    const own = thrown as { code?: unknown; data?: unknown };
    if (Object.hasOwn(thrown, "code") && Number.isInteger(own.code)) error.code = own.code as number;
    if (own.data !== undefined) error.data = own.data;
    else if (debug) error.data = { stack: thrown.stack };
  }
  try {
    return JSON.stringify(error);
  } catch {
    return JSON.stringify({ code: error.code, message: error.message });
  }
}

function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  } catch {
    return "the handler failed";
  }
}

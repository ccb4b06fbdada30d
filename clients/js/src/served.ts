import { Answering } from "./answering.js";
import type { CallError } from "./errors.js";
import { answer, notification, type Message, type Meta, type Send } from "./messages.js";
import { openRpc, type CallContext, type Handler, type Methods } from "./methods.js";

/** Why a lambda has ended: the close code and its reason in words. */
export interface Closing {
  code: number;
  reason: string;
}

/** What `lambda.open` answers. */
export interface Opened {
  id: string;
  resume_key: string;
  pending?: number[];
}

/** An id and the key that re-opens it. */
export interface Kept {
  id: string;
  key: string;
}

/** What the owner of a lambda is told. */
export interface Witness {
  /** It is open, for the first time or again; its key is a new one. */
  opened(): void;
  /** It will not be opened again; `error` says why where it never was. */
  ended(closing: Closing, error?: CallError): void;
}

/** A call with a number: running, or finished with its answer still here. */
interface Call {
  answering: Answering;
  isStream: boolean;
  answer?: string;
}

export interface ServedSettings {
  graceS?: number | undefined;
  debug?: boolean | undefined;
  now: () => number;
}

const NOT_FOUND = -32601;

/** One lambda of ours, across sockets: its calls, and the answers that wait for it to be open again. */
export class Served {
  id = "";
  key = "";
  /** The id came from an earlier page and has not been opened by this one yet. */
  isBorrowed = false;
  /** How often in a row the node has put its re-opening off. */
  refusals = 0;
  state: "waiting" | "open" | "closed" = "waiting";
  readonly #methods: Methods;
  readonly #settings: ServedSettings;
  readonly #witness: Witness;
  readonly #calls = new Map<number, Call>();
  #send: Send | undefined;

  constructor(methods: Methods, settings: ServedSettings, witness: Witness) {
    this.#methods = methods;
    this.#settings = settings;
    this.#witness = witness;
  }

  /** Open under the id of an earlier page, if it can be. */
  borrow({ id, key }: Kept): void {
    Object.assign(this, { id, key, isBorrowed: true });
  }

  /** Open under an id of its own after all. */
  forget(): void {
    Object.assign(this, { id: "", key: "", isBorrowed: false });
  }

  /** The params of `lambda.open`. */
  get opening(): object {
    const grace_s = this.#settings.graceS;
    return this.id ? { id: this.id, key: this.key, grace_s, keep: [...this.#calls.keys()] } : { grace_s };
  }

  /** The node has opened it. Calls that it no longer waits for end, answers that it does wait for are sent. */
  opened(opened: Opened, send: Send): void {
    Object.assign(this, { id: opened.id, key: opened.resume_key, isBorrowed: false, refusals: 0, state: "open" });
    this.#send = send;
    const pending = new Set(opened.pending);
    for (const [n, call] of this.#calls) {
      if (!pending.has(n)) this.cancelled(n);
      else if (call.answer !== undefined) this.#deliver(n, call, call.answer);
    }
    this.#witness.opened();
  }

  /** The socket has ended; calls go on, but streams. */
  lost(): void {
    this.state = "waiting";
    this.#send = undefined;
    for (const [n, call] of this.#calls) if (call.isStream) this.cancelled(n);
  }

  /** It will not be opened again. */
  end(closing: Closing, error?: CallError): void {
    this.state = "closed";
    this.#send = undefined;
    for (const n of this.#calls.keys()) this.cancelled(n);
    this.#witness.ended(closing, error);
  }

  /** A call, or without `n` a notification. */
  called({ id, method = "", params, meta = {} }: Message, n: number | undefined): void {
    const handler = this.#methods.get(method) ?? this.#own(method);
    const isStream = n !== undefined && meta.stream === true;
    const call: Call = { isStream, answering: new Answering(this.#outlet(id, n), isStream, meta.credit) };
    if (n !== undefined) this.#calls.set(n, call);
    const body: unknown = Array.isArray(params) ? params[0] : null;
    void call.answering.run(handler, body, this.#context(meta, call), this.#settings.debug ?? false);
  }

  /** The node no longer wants the answer of call `n`. */
  cancelled(n: number): void {
    const call = this.#calls.get(n);
    this.#calls.delete(n);
    call?.answering.cancel();
  }

  /** The caller of `n` takes more items. */
  granted(n: number, add: number): void {
    this.#calls.get(n)?.answering.grant(add);
  }

  #outlet(id: Message["id"], n: number | undefined) {
    return {
      item: (text: string) =>
        void this.#send?.(`${notification("$/progress", { token: id }).slice(0, -2)},"value":${text}}}`),
      done: (member: string) => {
        const call = n === undefined ? undefined : this.#calls.get(n);
        if (call) this.#deliver(n!, call, answer(id!, member));
        else if (this.#settings.debug && member.startsWith('"error"')) console.error("notification failed:", member);
      },
    };
  }

  #deliver(n: number, call: Call, text: string): void {
    if (this.#send?.(text)) this.#calls.delete(n);
    else call.answer = text;
  }

  #own(method: string): Handler {
    if (method === "rpc.discover") return () => openRpc(this.#methods);
    return () => {
      throw Object.assign(new Error(`there is no method ${JSON.stringify(method)}`), { code: NOT_FOUND });
    };
  }

  #context(meta: Meta, call: Call): CallContext {
    return {
      signal: call.answering.signal,
      deadline: meta.deadline_ms === undefined ? undefined : new Date(this.#settings.now() + meta.deadline_ms),
      ray: meta.ray,
      lambda: meta.lambda ?? this.id,
      traceparent: meta.traceparent,
      sub: meta.sub,
      stream: call.isStream,
    };
  }
}

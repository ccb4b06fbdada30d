import { isOver } from "./messages.js";

/** What a handler knows about a call beside its body. */
export interface CallContext {
  /** Aborted when the caller goes away, the deadline passes or the lambda ends: stop then, nobody reads the answer. */
  readonly signal: AbortSignal;
  /** When the caller stops waiting; undefined for a notification. */
  readonly deadline: Date | undefined;
  /** The request's trace id. */
  readonly ray: string | undefined;
  /** The id that was called. */
  readonly lambda: string;
  /** The caller's W3C trace context, where it sent one. */
  readonly traceparent: string | undefined;
  /** The caller's subject, where a ticket named it. */
  readonly sub: string | undefined;
  /** Whether the caller takes items one by one; else a generator's items are answered as one array. */
  readonly stream: boolean;
}

/** Answers one method: a value, a promise of one, or a generator of items. */
export type Handler = (body: any, context: CallContext) => unknown;

export type Methods = ReadonlyMap<string, Handler>;

const NAME_LIMIT_BYTES = 256;
const REFUSED = /^open$|^rpc\.|^\$\/|^$|[\u0000-\u001f\u007f-\u009f]/;

/** The functions that `target` itself has, by name. Throws TypeError: a name that belongs to the node. */
export function methodsOf(target: object): Methods {
  const methods = new Map<string, Handler>();
  for (const [name, value] of Object.entries(target)) {
    if (typeof value !== "function") continue;
    if (REFUSED.test(name) || isOver(name, NAME_LIMIT_BYTES)) {
      throw new TypeError(
        `${JSON.stringify(name)} cannot be exposed: the name is empty, too long or belongs to the node`,
      );
    }
    methods.set(name, (body, context) => value.call(target, body, context));
  }
  return methods;
}

/** A minimal OpenRPC document: the answer to `rpc.discover`. */
export function openRpc(methods: Methods): unknown {
  return {
    openrpc: "1.3.2",
    info: { title: "lambda", version: "0.0.0" },
    methods: [...methods.keys()].map((name) => ({
      name,
      paramStructure: "by-position",
      params: [{ name: "body", schema: {} }],
      result: { name: "result", schema: {} },
    })),
  };
}

/** Whether the provider was given the call. */
export type Delivered = "no" | "yes" | "unknown";

export interface CallErrorFields {
  code: string;
  delivered: Delivered;
  ray?: string;
  status?: number;
  data?: unknown;
  rpcCode?: number;
}

const RETRYABLE = new Set(["overloaded", "draining", "recovering", "peer_unreachable"]);

/** A call that did not end in a result: why, and whether it was delivered. */
export class CallError extends Error {
  override readonly name = "CallError";
  /** One word for what happened, such as `lambda_not_found`, `lambda_error` or `timeout`. */
  readonly code: string;
  readonly delivered: Delivered;
  /** The request's trace id, where the node answered. */
  readonly ray: string | undefined;
  /** The HTTP status that goes with `code`, where the node answered. */
  readonly status: number | undefined;
  /** What the handler attached to its error. */
  readonly data: unknown;
  /** The number that the handler gave its error, such as -32602. */
  readonly rpcCode: number | undefined;

  constructor(message: string, fields: CallErrorFields) {
    super(message);
    this.code = fields.code;
    this.delivered = fields.delivered;
    this.ray = fields.ray;
    this.status = fields.status;
    this.data = fields.data;
    this.rpcCode = fields.rpcCode;
  }

  /** Whether the same call may succeed later, and cannot have run already. */
  get retryable(): boolean {
    return this.delivered === "no" && RETRYABLE.has(this.code);
  }
}

/** The mesh could not be joined, or has been left for good. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";

  constructor(
    message: string,
    /** The WebSocket close code, or the HTTP status where the runtime shows it. 1006: no connection at all. */
    readonly code: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The `error` member of an answer, as it came. */
export interface WireError {
  code?: unknown;
  message?: unknown;
  data?: { [name: string]: unknown } | null;
}

/** An answer's `error` as a CallError. */
export function callError(error: WireError): CallError {
  const data = error.data ?? {};
  return new CallError(String(error.message ?? "the node gave no reason"), {
    code: typeof data.code === "string" ? data.code : error.code === -32601 ? "not_found" : "bad_request",
    delivered: data.delivered === "yes" || data.delivered === "unknown" ? data.delivered : "no",
    ray: data.ray as string | undefined,
    status: data.status as number | undefined,
    data: data.data,
    rpcCode: data.rpc_code as number | undefined,
  });
}

export const lost = (): CallError =>
  new CallError("the connection ended before the answer came", { code: "lambda_lost", delivered: "unknown" });

export const timedOut = (delivered: Delivered): CallError =>
  new CallError(delivered === "no" ? "the deadline passed before there was a connection" : "the deadline passed", {
    code: "timeout",
    delivered,
  });

export const overloaded = (limit: number): CallError =>
  new CallError(`${limit} calls wait for the connection already`, { code: "overloaded", delivered: "no" });

export const draining = (): CallError =>
  new CallError("the node is going down", { code: "draining", delivered: "no" });

export const closed = (reason: string): CallError =>
  new CallError(`the mesh is closed: ${reason}`, { code: "closed", delivered: "no" });

export const tooLarge = (limit: number): CallError =>
  new CallError(`the body is larger than ${limit} bytes`, { code: "too_large", delivered: "no" });

/** The envelopes of JSON-RPC 2.0, one object a text message. Members arrive from a node, so each may be missing. */
export interface Message {
  id?: number | string | null;
  method?: string;
  params?: unknown;
  meta?: Meta;
  result?: unknown;
  error?: { code?: unknown; message?: unknown; data?: { [name: string]: unknown } } | null;
}

/** What the node says about a call beside its body. */
export interface Meta {
  deadline_ms?: number;
  ray?: string;
  traceparent?: string;
  lambda?: string;
  stream?: boolean;
  credit?: number;
  sub?: string;
}

/** Hands a message to the socket. False: there is none, and the message was not sent. */
export type Send = (text: string) => boolean;

/** Items of a stream that may be sent before more credit is given. */
export const FIRST_CREDIT = 16;
/** Credit is given back in portions of this many items. */
export const CREDIT_PORTION = 8;
export const ITEM_LIMIT_BYTES = 65_536;
export const MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024;

const encoder = new TextEncoder();

/** Whether `text` is longer than `limit` bytes in UTF-8. */
export function isOver(text: string, limit: number): boolean {
  if (text.length > limit) return true;
  return text.length * 3 > limit && encoder.encode(text).length > limit;
}

/** A value as JSON text; `undefined` or a function is `null`. Throws TypeError: a cycle, a BigInt. */
export const json = (value: unknown): string => JSON.stringify(value) ?? "null";

/** A message as an object, or undefined when it is none. */
export function parse(text: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Message) : undefined;
  } catch {
    return undefined;
  }
}

export const notification = (method: string, params: unknown): string =>
  JSON.stringify({ jsonrpc: "2.0", method, params });

/** An answer; `member` is `"result":...` or `"error":...` as JSON text. */
export const answer = (id: number | string, member: string): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${member}}`;

/** What we use of a WebSocket: a browser's, Node's own, or one of the package `ws`. */
export interface Socket {
  readonly readyState: number;
  onopen: ((event: any) => any) | null;
  onmessage: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  /** `ws` only: end it without a word. */
  terminate?(): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

export const IS_OPEN = 1;
export const IS_CLOSED = 3;

interface Globals {
  WebSocket?: SocketConstructor;
  process?: { versions?: { node?: string }; env?: Record<string, string | undefined> };
}

const globals = globalThis as unknown as Globals;

/** A setting from the environment, where there is one. */
export const environment = (name: string): string | undefined => globals.process?.env?.[name] || undefined;

/** An import that bundlers for browsers leave alone (the build says so to them). */
const load = (name: string): Promise<unknown> => import(name);

/** The WebSocket of this runtime, else that of the package `ws`. Throws TypeError: there is none. */
export async function findWebSocket(): Promise<SocketConstructor> {
  if (globals.WebSocket) return globals.WebSocket;
  try {
    return ((await load("ws")) as Required<Globals>).WebSocket;
  } catch {
    throw new TypeError('this runtime has no WebSocket: install "ws", or pass one as connect(url, { WebSocket })');
  }
}

const DEFAULT_URL = "ws://localhost:7630";

/** The address of `/connect` on the node at `url`. Throws TypeError: not a URL of HTTP or WebSocket. */
export function addressOf(url: string | URL = environment("LAMBDAMESH_URL") ?? DEFAULT_URL): URL {
  const text = String(url);
  const address = new URL(/^(unix:|.*:\/\/)/.test(text) ? text : `ws://${text}`);
  const scheme = address.protocol.replace(/^http/, "ws");
  if (scheme !== "ws:" && scheme !== "wss:")
    throw new TypeError("the address of a node starts with ws, wss, http or https");
  address.protocol = scheme;
  address.hash = "";
  if (!address.pathname.endsWith("/connect")) address.pathname = address.pathname.replace(/\/?$/, "/connect");
  return address;
}

const CREDENTIAL = /^[\w!#$%&'*+.^`|~-]{1,4096}$/;

/** What is offered in `Sec-WebSocket-Protocol`. Throws TypeError: a credential that does not fit into a header. */
export function subprotocols(credentials: { ticket?: string | undefined; token?: string | undefined }): string[] {
  const offered = ["json-rpc-2.0"];
  for (const [kind, value] of Object.entries(credentials)) {
    if (value === undefined) continue;
    if (!CREDENTIAL.test(value))
      throw new TypeError(`the ${kind} has characters that cannot travel in a header, or is too long`);
    offered.push(`${kind}.${value}`);
  }
  return offered;
}

/** The HTTP status of a refused handshake, where the runtime shows it (`ws` does). */
export function refusalOf(event: { message?: unknown }): number | undefined {
  const status = /server response: (\d{3})/.exec(String(event.message))?.[1];
  return status === undefined ? undefined : Number(status);
}

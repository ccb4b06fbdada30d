import { ConnectError } from "./errors.js";
import { Heartbeat } from "./heartbeat.js";
import { retryAfterMs, verdictOf } from "./policy.js";
import type { Closing, Served } from "./served.js";
import { Session } from "./session.js";
import {
  IS_CLOSED,
  IS_OPEN,
  findWebSocket,
  refusalOf,
  subprotocols,
  type Socket,
  type SocketConstructor,
} from "./socket.js";
import { fetchTicket, renewAfterMs, type TicketSource } from "./tickets.js";

/** `away`: the connection is lost, and another one will be tried. `closed` is final. */
export type State = "connecting" | "open" | "away" | "closed";

/** Why a state was entered: a close code, its reason, and when `away` how long until the next try, in milliseconds. */
export interface Why extends Partial<Closing> {
  retryMs?: number;
}

export interface ConnectionSettings {
  address: URL;
  ticket?: TicketSource | undefined;
  token?: string | undefined;
  WebSocket?: SocketConstructor | undefined;
  onstate?: ((state: State, why: Why) => void) | undefined;
}

const FIRST_TRIES = 3;
const LEAVING_MS = 5_000;
const NO_CONNECTION = 1006;
/** Ours for a socket that says nothing any more. Not 1000 and not none, which would end the lambdas. */
const SILENT = { code: 4408, reason: "no frame within 8 s" };

/** One session's sockets, one after the other, and its timers. */
export class Connection {
  readonly session = new Session({ ready: () => this.#ready(), putOff: (served) => this.#putOff(served) });
  state: State = "connecting";
  readonly #settings: ConnectionSettings;
  readonly #heartbeat = new Heartbeat(
    () => this.session.ping(),
    () => this.#cut(),
  );
  readonly #wakings = new AbortController();
  readonly #opened: Promise<void>;
  #isOpened!: () => void;
  #isRefused!: (error: ConnectError) => void;
  #socket: Socket | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #wasOpen = false;
  #isTicketRefused = false;

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
    this.#opened = new Promise((resolve, reject) => {
      this.#isOpened = resolve;
      this.#isRefused = reject;
    });
  }

  /** Resolves when the node has answered. Rejects with ConnectError: refused for good, or three tries failed. */
  open(): Promise<void> {
    this.#watch();
    void this.#dial();
    return this.#opened;
  }

  /** Leave for good. Resolves when the socket has closed, after 5 s at most. */
  close(): Promise<void> {
    const socket = this.#socket;
    this.#stop({ code: 1000, reason: "closed by this side" });
    if (!socket || socket.readyState === IS_CLOSED) return Promise.resolve();
    return new Promise((resolve) => {
      const leaving = setTimeout(() => {
        socket.terminate?.();
        resolve();
      }, LEAVING_MS);
      socket.onclose = () => {
        clearTimeout(leaving);
        resolve();
      };
      socket.close(1000);
    });
  }

  async #dial(): Promise<void> {
    this.#tell("connecting");
    let offered: string[];
    try {
      const { ticket, token } = this.#settings;
      const fresh = await fetchTicket(ticket);
      offered = subprotocols({ ticket: fresh, token });
      if (fresh !== undefined) this.#renewLater(fresh);
    } catch (error) {
      return this.#ended({ code: NO_CONNECTION, reason: "the ticket could not be had" }, error);
    }
    try {
      const WebSocket = this.#settings.WebSocket ?? (await findWebSocket());
      if (this.state === "connecting") this.#use(new WebSocket(this.#settings.address.href, offered));
    } catch (error) {
      this.#stop({ code: NO_CONNECTION, reason: "this address cannot be connected to" }, error);
    }
  }

  #use(socket: Socket): void {
    this.#socket = socket;
    this.#heartbeat.expect();
    const ifCurrent =
      <E>(react: (event: E) => void) =>
      (event: E): void => {
        if (this.#socket === socket) react(event);
      };
    let status: number | undefined;
    socket.onopen = ifCurrent(() => this.session.attach((text) => sendOn(socket, text)));
    socket.onmessage = ifCurrent(({ data }: { data: unknown }) => {
      this.#heartbeat.heard();
      if (typeof data === "string") this.session.receive(data);
    });
    socket.onerror = (event) => (status ??= refusalOf(event));
    socket.onclose = ifCurrent(({ code, reason }: Closing) => this.#ended({ code: status ?? code, reason }));
  }

  #ready(): void {
    this.#failures = 0;
    this.#wasOpen = true;
    this.#isTicketRefused = false;
    this.#tell("open");
    this.#isOpened();
  }

  /** The socket is dead, whatever it says. */
  #cut(): void {
    const socket = this.#socket;
    this.#ended({ code: NO_CONNECTION, reason: SILENT.reason });
    if (socket?.readyState === IS_OPEN) socket.close(SILENT.code, SILENT.reason);
    else socket?.close();
    socket?.terminate?.();
  }

  #ended(why: Closing, cause?: unknown): void {
    this.#leaveSocket();
    if (this.state === "closed") return;
    if (!this.#mayRetry(why.code)) return this.#stop(why, cause);
    const retryMs = retryAfterMs(this.#failures++, Math.random(), this.session.requests.isAwaiting);
    if (!this.#wasOpen && this.#failures >= FIRST_TRIES) return this.#stop(why, cause);
    this.#retry = setTimeout(() => void this.#dial(), retryMs);
    this.#tell("away", { ...why, retryMs });
  }

  #mayRetry(code: number): boolean {
    const verdict = verdictOf(code);
    if (verdict !== "ticket") return verdict === "retry";
    const mayAgain = typeof this.#settings.ticket === "function" && !this.#isTicketRefused;
    this.#isTicketRefused = true;
    return mayAgain;
  }

  #stop(why: Closing, cause?: unknown): void {
    if (this.state === "closed") return;
    this.#leaveSocket();
    clearTimeout(this.#retry);
    this.#wakings.abort();
    this.#opened.catch(() => {}); // Where nobody waits for it any more, nobody needs to hear of it.
    this.#isRefused(new ConnectError(this.#explain(why), why.code, { cause }));
    this.state = "closed";
    this.session.end(why);
    this.#tell("closed", why);
  }

  #leaveSocket(): void {
    this.#socket = undefined;
    this.#heartbeat.stop();
    clearTimeout(this.#renewal);
    this.session.detach();
  }

  #tell(state: State, why: Why = {}): void {
    this.state = state;
    try {
      this.#settings.onstate?.(state, why);
    } catch (error) {
      queueMicrotask(() => {
        throw error; // The application's own, and nothing of ours depends on it.
      });
    }
  }

  #putOff(served: Served): void {
    setTimeout(() => this.session.open(served), retryAfterMs(served.refusals++, Math.random()));
  }

  /** Ask for a sign of life, or try to connect, when the network or the user is back. */
  #watch(): void {
    const { addEventListener, document } = globalThis as Partial<typeof globalThis>;
    const { signal } = this.#wakings;
    addEventListener?.("online", () => this.#wake(), { signal });
    document?.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#wake(), {
      signal,
    });
  }

  #wake(): void {
    if (this.state === "open") this.#heartbeat.ask();
    if (this.state !== "away") return;
    clearTimeout(this.#retry);
    void this.#dial();
  }

  /** Replace a fetched ticket before it ends. Where that fails, the node says so with 4401 in time. */
  #renewLater(ticket: string): void {
    const inMs = renewAfterMs(ticket, Date.now());
    if (inMs === undefined || typeof this.#settings.ticket !== "function") return;
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(() => {
      fetchTicket(this.#settings.ticket).then(
        (fresh) => {
          if (this.state !== "open" || fresh === undefined) return;
          this.session.renew(fresh);
          this.#renewLater(fresh);
        },
        () => {},
      );
    }, inMs);
  }

  #explain({ code, reason }: Closing): string {
    const { protocol, host, pathname } = this.#settings.address;
    const address = `${protocol}//${host}${pathname}`;
    const last = `${code}${reason && `, ${reason}`}`;
    if (verdictOf(code) !== "retry" || this.#wasOpen) return `${address} refuses the connection (${last})`;
    const origin = (globalThis as { location?: Location }).location?.origin;
    return (
      `no connection to ${address} (${last}). Is a node listening at this address? ` +
      `Does it allow the Origin${origin ? ` ${origin}` : " of this page"} (--allow-origin)? ` +
      `Does it allow the Host ${host} (--allow-host)?`
    );
  }
}

function sendOn(socket: Socket, text: string): boolean {
  if (socket.readyState !== IS_OPEN) return false;
  socket.send(text);
  return true;
}

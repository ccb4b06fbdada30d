import { Calling, type CallOptions, type Outcome } from "./calling.js";
import { Connection, type State, type Why } from "./connection.js";
import { closed } from "./errors.js";
import { Keeper } from "./keeper.js";
import { json } from "./messages.js";
import { methodsOf, type Handler } from "./methods.js";
import { PATIENCE_MS } from "./patience.js";
import { Reader } from "./reader.js";
import { Served, type Closing } from "./served.js";
import { addressOf, environment, type SocketConstructor } from "./socket.js";
import type { TicketSource } from "./tickets.js";

/** All times are in milliseconds. */
export interface ConnectOptions {
  /** A signed ticket for a public door, or a function that fetches one; it is called before each connection. */
  ticket?: TicketSource;
  /** The token of a local door that wants one; `$LAMBDAMESH_TOKEN` where there is an environment. */
  token?: string;
  /** Keep ids and keys in sessionStorage, so that a reload keeps its ids. Needs Web Locks (HTTPS or localhost). */
  persist?: boolean;
  /** How long the node keeps a lambda whose connection is lost; 15,000 without it, at most 300,000. */
  grace?: number;
  /** How long a call may take where the call does not say; 60,000. */
  timeout?: number;
  /** For how long a call is asked again that nobody was given because a node goes down or is away; 15,000, 0: not at all. */
  patience?: number;
  /** The WebSocket to use, where the runtime has none of its own. */
  WebSocket?: SocketConstructor;
  /** Told of each state of the connection, and why it was entered. */
  onstate?: (state: State, why: Why) => void;
  /** Let callers see the stack of a handler's error, and the console that of a notification. */
  debug?: boolean;
}

export interface ExposeOptions {
  /** As in ConnectOptions, for this lambda. */
  grace?: number;
  /** Tells lambdas of one page apart where they are kept; by default they are counted. */
  name?: string;
}

/** A lambda of this side. */
export interface Lambda {
  /** Its address; it stays the same when the connection is lost and made again. */
  readonly id: string;
  /** `waiting`: the connection is lost, and calls wait at the node for its grace. */
  readonly state: "open" | "waiting" | "closed";
  /** Resolves when it has ended for good: closed, deleted, superseded, or its key no longer taken. */
  readonly closed: Promise<Closing>;
  /** End it at once. */
  close(): Promise<void>;
}

const TIMEOUT_MS = 60_000;

/** A connection to a mesh: calls lambdas, and opens lambdas of its own. It reconnects and re-opens by itself. */
export class Mesh {
  readonly #connection: Connection;
  readonly #keeper: Keeper | undefined;
  readonly #options: ConnectOptions;

  private constructor(connection: Connection, keeper: Keeper | undefined, options: ConnectOptions) {
    this.#connection = connection;
    this.#keeper = keeper;
    this.#options = options;
  }

  /** See `connect`. */
  static async connect(url: string | URL | undefined, options: ConnectOptions): Promise<Mesh> {
    const { ticket, token = environment("LAMBDAMESH_TOKEN"), WebSocket, onstate, persist } = options;
    const address = addressOf(url);
    const connection = new Connection({ address, ticket, token, WebSocket, onstate });
    await connection.open();
    return new Mesh(connection, persist ? Keeper.of(address.origin + address.pathname) : undefined, options);
  }

  get state(): State {
    return this.#connection.state;
  }

  /**
   * Open a lambda that answers with `target`'s own functions; each is called with the body and a CallContext.
   * Rejects with TypeError: a name that belongs to the node; with CallError: the node does not open it.
   */
  expose(target: Readonly<Record<string, Handler>>, options?: ExposeOptions): Promise<Lambda>;
  expose(target: object, options?: ExposeOptions): Promise<Lambda>;
  async expose(target: object, options: ExposeOptions = {}): Promise<Lambda> {
    const methods = methodsOf(target);
    const { session } = this.#connection;
    const { grace = this.#options.grace, name = this.#keeper?.nextName() ?? "" } = options;
    const kept = await this.#keeper?.claim(name);
    let end!: (closing: Closing) => void;
    const ended = new Promise<Closing>((resolve) => (end = resolve));
    const served = await new Promise<Served>((resolve, reject) => {
      const settings = {
        graceS: grace === undefined ? undefined : grace / 1000,
        debug: this.#options.debug,
        now: Date.now,
      };
      const served = new Served(methods, settings, {
        opened: () => void Promise.resolve(this.#keeper?.keep(name, served)).then(() => resolve(served)),
        ended: (closing, error) => {
          this.#keeper?.forget(name, served.id);
          reject(error ?? closed(closing.reason));
          end(closing);
        },
      });
      if (kept) served.borrow(kept);
      session.serve(served);
    });
    return {
      id: served.id,
      get state() {
        return served.state;
      },
      closed: ended,
      close: () => new Promise((resolve) => session.close(served, resolve)),
    };
  }

  /**
   * Call a method and return its result.
   * Rejects with CallError; with the signal's reason; with TypeError or URIError: it cannot be written as JSON.
   */
  call<T = unknown>(id: string, method: string, body?: unknown, options: CallOptions = {}): Promise<T> {
    return new Promise((result, fault) => {
      this.#begin(id, method, body, options, { result: result as (value: unknown) => void, fault });
    });
  }

  /** Call a method that answers with many values, and read them as they come. Rejects as `call` does. */
  stream<T = unknown>(id: string, method: string, body?: unknown, options: CallOptions = {}): AsyncIterableIterator<T> {
    return new Reader<T>((outcome) => this.#begin(id, method, body, options, outcome));
  }

  /** Call a method whose answer does not matter. Resolves when it was sent; nobody says whether it arrived. */
  async notify(id: string, method: string, body?: unknown, options: CallOptions = {}): Promise<void> {
    await new Promise((result, fault) => this.#begin(id, method, body, options, { result, fault }, true));
  }

  /** Leave for good: lambdas end at once, calls under way reject. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  #begin(id: string, method: string, body: unknown, options: CallOptions, outcome: Outcome, notify = false): Calling {
    const route = `POST /lambda/${encodeURIComponent(id)}/${encodeURIComponent(method)}`;
    const asked = { method: route, params: `[${json(body)}]`, notify, stream: outcome.item !== undefined };
    const timeout = options.timeout ?? this.#options.timeout ?? TIMEOUT_MS;
    const { patience = PATIENCE_MS } = this.#options;
    return new Calling(this.#connection.session.requests, asked, { ...options, timeout }, outcome, patience);
  }
}

/**
 * Join a mesh at the node of `url` (`$LAMBDAMESH_URL`, else `ws://localhost:7630`).
 * Rejects with ConnectError: refused for good, three tries in a row failed, or no WebSocket; with TypeError: no such URL.
 */
export const connect = (url?: string | URL, options: ConnectOptions = {}): Promise<Mesh> => Mesh.connect(url, options);

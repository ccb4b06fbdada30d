import type { CallError } from "./errors.js";
import { answer, json, parse, type Message, type Send } from "./messages.js";
import { isPassing } from "./policy.js";
import { Requests } from "./requests.js";
import type { Closing, Opened, Served } from "./served.js";

/** What a session tells whoever carries its messages. */
export interface Observer {
  /** The node has answered, and has answered for every lambda that was to be opened again. */
  ready(): void;
  /** The node has put off opening this lambda; try again a little later. */
  putOff(served: Served): void;
}

/** Params of what the node says itself: each member is there where its method has one. */
interface Told {
  id?: unknown;
  token?: unknown;
  value?: unknown;
  add: number;
  code: number;
  reason: string;
}

/** The conversation with a node, across sockets: messages in, messages out. It knows no socket and no timer. */
export class Session {
  readonly requests: Requests;
  readonly #lambdas = new Set<Served>();
  readonly #callable = new Map<string, Served>();
  readonly #opening = new Set<Served>();
  readonly #observer: Observer;
  #send: Send | undefined;
  #isGreeted = false;
  #isReady = false;
  #ended: Closing | undefined;

  constructor(observer: Observer, now: () => number = Date.now) {
    this.#observer = observer;
    this.requests = new Requests(now);
  }

  /**
   * A socket is there. Nothing but a ping is sent before the node has answered it: a page sees refusals only as closes,
   * and what was sent to a socket that closes might have been delivered.
   */
  attach(send: Send): void {
    this.#send = send;
    this.#isReady = this.#isGreeted = false;
    this.ping(() => this.#greeted(send));
  }

  /** The socket has ended. */
  detach(): void {
    this.#send = undefined;
    this.#isReady = this.#isGreeted = false;
    this.#opening.clear();
    this.#callable.clear();
    for (const served of this.#lambdas) served.lost();
    this.requests.detach();
  }

  /** There will be no socket again. */
  end({ code, reason }: Closing): void {
    this.#ended = { code, reason };
    this.detach();
    for (const served of this.#lambdas) this.#drop(served, this.#ended);
    this.requests.end(reason);
  }

  ping(answered: () => void = () => {}): void {
    if (!this.#send) return;
    this.requests.startNow({ method: "$/ping", params: "[]", result: answered, fault: () => {} }, this.#send);
  }

  /** Put a newer ticket in the place of the connection's own. */
  renew(ticket: string): void {
    if (!this.#send) return;
    this.requests.startNow(
      { method: "ticket.renew", params: json({ ticket }), result: () => {}, fault: () => {} },
      this.#send,
    );
  }

  /** Open a lambda, now and after every reconnect. */
  serve(served: Served): void {
    if (this.#ended) return served.end(this.#ended);
    this.#lambdas.add(served);
    this.open(served);
  }

  /** Ask for a lambda to be opened (again), where there is a connection. */
  open(served: Served): void {
    const send = this.#send;
    if (!send || !this.#isGreeted || !this.#lambdas.has(served)) return;
    this.#opening.add(served);
    const result = (opened: unknown): void => {
      if (!this.#lambdas.has(served)) return this.#close((opened as Opened).id);
      this.#callable.set((opened as Opened).id, served);
      served.opened(opened as Opened, send);
      this.#opened(served);
    };
    const fault = (error: CallError): void => {
      if (error.status === undefined || !this.#lambdas.has(served)) return; // The next socket opens it.
      const isNeeded = !served.isBorrowed || error.code !== "peer_unreachable";
      if (served.id && isNeeded && isPassing(error.status)) this.#observer.putOff(served);
      else if (served.isBorrowed) return (served.forget(), this.open(served));
      else this.#drop(served, { code: 4000 + error.status, reason: error.message }, error);
      this.#opened(served);
    };
    this.requests.startNow({ method: "lambda.open", params: json(served.opening), result, fault }, send);
  }

  /** Close a lambda for good. `closed` is called when the node knows, at once where it cannot be told. */
  close(served: Served, closed: () => void): void {
    const isTold = served.state === "open";
    this.#drop(served, { code: 1000, reason: "closed" });
    this.#opened(served);
    if (isTold) this.#close(served.id, closed);
    else closed();
  }

  /** A message of the node. */
  receive(text: string): void {
    const message = parse(text);
    if (!message) return;
    if (message.meta?.lambda !== undefined) this.#called(message, message.meta.lambda);
    else if (typeof message.method === "string") this.#told(message);
    else this.requests.answered(message);
  }

  #greeted(send: Send): void {
    this.#isGreeted = true;
    for (const served of this.#lambdas) this.open(served);
    this.requests.attach(send);
    this.#opened();
  }

  #opened(served?: Served): void {
    if (served) this.#opening.delete(served);
    if (this.#isReady || !this.#isGreeted || this.#opening.size > 0) return;
    this.#isReady = true;
    this.#observer.ready();
  }

  #close(id: string, closed: () => void = () => {}): void {
    if (!this.#send) return closed();
    this.requests.startNow({ method: "lambda.close", params: json({ id }), result: closed, fault: closed }, this.#send);
  }

  #drop(served: Served, closing: Closing, error?: CallError): void {
    this.#callable.delete(served.id);
    if (this.#lambdas.delete(served)) served.end(closing, error);
  }

  #called(message: Message, lambda: string): void {
    const served = this.#callable.get(lambda);
    if (served) served.called(message, message.id == null ? undefined : numberOf(message.id));
    else if (message.id != null)
      this.#send?.(answer(message.id, '"error":{"code":-32001,"message":"the lambda has closed"}'));
  }

  /** What the node says or asks itself. */
  #told({ id, method = "", params }: Message): void {
    if (id == null) return Session.#TOLD.get(method)?.(this, (params ?? {}) as Told);
    const isEnd = method === "node.draining";
    if (isEnd) this.requests.isLeft = true;
    const member =
      isEnd || method === "$/ping" ? '"result":null' : '"error":{"code":-32601,"message":"there is no such method"}';
    this.#send?.(answer(id, member));
  }

  static readonly #TOLD: ReadonlyMap<string, (session: Session, told: Told) => void> = new Map([
    ["$/progress", (session, { token, value }) => session.requests.progressed(token, value)],
    ["$/cancelRequest", (session, { id }) => session.#servedOf(id)?.cancelled(numberOf(id))],
    ["$/credit", (session, { id, add }) => session.#servedOf(id)?.granted(numberOf(id), add)],
    [
      "lambda.closed",
      (session, { id, code, reason }) => {
        const served = session.#servedOf(id);
        if (served) session.#drop(served, { code, reason });
      },
    ],
  ]);

  /** The lambda of a call's id, or of its own. */
  #servedOf(id: unknown): Served | undefined {
    return this.#callable.get(String(id).split(".", 1)[0]!);
  }
}

/** The number N of a call whose id is `<lambda id>.<N>`. */
const numberOf = (id: unknown): number => Number(String(id).split(".")[1]);

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** A Python that has the package and what the examples need. */
export const PYTHON = process.env.LAMBDAMESH_PYTHON ?? join(ROOT, ".venv/bin/python");
const COMMAND = process.env.LAMBDAMESH_BIN ?? join(ROOT, ".venv/bin/lambdamesh");
const PATIENCE_MS = 10_000;

interface Line {
  event?: string;
  door?: string;
  address?: string;
}

/** A real node in a process of its own, with a state directory that outlives a restart. */
export class Node {
  port = 0;
  readonly #state = mkdtempSync(join(tmpdir(), "lambdamesh-js-"));
  readonly #flags: string[];
  #process: ChildProcess | undefined;

  private constructor(flags: string[]) {
    this.#flags = flags;
  }

  /** Start a node and wait until it listens. */
  static async start(flags = ["--dev"]): Promise<Node> {
    const node = new Node(flags);
    await node.up();
    return node;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get ws(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Start it (again), on the port that it had. */
  async up(): Promise<void> {
    if (!existsSync(COMMAND))
      throw new Error(`there is no ${COMMAND}: make it with "make test" at the top, or name one with LAMBDAMESH_BIN`);
    const address = `127.0.0.1:${this.port}`;
    const line = ["serve", "--local", address, "--state", this.#state, "--log-format", "json", ...this.#flags];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(LAMBDAMESH_|VITEST)/.test(name)));
    this.#process = spawn(COMMAND, line, { stdio: ["ignore", "ignore", "pipe"], env });
    const log: string[] = [];
    for await (const text of createInterface(this.#process.stderr!)) {
      log.push(text);
      const listening = parse(text);
      if (listening.event !== "listening") continue;
      this.port = Number(listening.address!.split(":").at(-1));
      this.#process.stderr!.resume();
      return;
    }
    throw new Error(`no node: ${COMMAND} ${line.join(" ")}\n${log.join("\n")}`);
  }

  /** End it as a crash would. */
  async crash(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** End it as an operator would. */
  async drain(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Stop it in its tracks: connections stay, nothing is answered. */
  freeze(): void {
    this.#process!.kill("SIGSTOP");
  }

  /** Let it go on. */
  thaw(): void {
    this.#process!.kill("SIGCONT");
  }

  /** End it for good. */
  async stop(): Promise<void> {
    await this.drain();
    rmSync(this.#state, { recursive: true, force: true });
  }

  /** One call by plain HTTP: its status and its answer. */
  async post(
    id: string,
    method: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; answer: any }> {
    const init = { method: "POST", headers, body: body === undefined ? null : JSON.stringify(body) };
    const response = await fetch(`${this.url}/lambda/${id}/${method}`, init);
    const text = await response.text();
    return {
      status: response.status,
      answer: response.headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : text,
    };
  }

  /** Wait until a lambda is in this state at the node; `status` is the HTTP status of asking for it. */
  async until(id: string, condition: (seen: { status: number; state?: string }) => boolean): Promise<void> {
    const ends = Date.now() + PATIENCE_MS;
    for (;;) {
      const response = await fetch(`${this.url}/lambda/${id}`);
      const seen = { status: response.status, ...((await response.json()) as { state?: string }) };
      if (condition(seen)) return;
      if (Date.now() > ends) throw new Error(`the lambda is still ${JSON.stringify(seen)}`);
      await new Promise((resolve) => setTimeout(resolve, 10)); // No event tells of it that every door has.
    }
  }

  /** Wait until it says that it goes down. */
  async untilDraining(): Promise<void> {
    const ends = Date.now() + PATIENCE_MS;
    while ((await fetch(`${this.url}/readyz`)).status !== 503) {
      if (Date.now() > ends) throw new Error("the node does not drain");
      await new Promise((resolve) => setTimeout(resolve, 10)); // No event tells of it that every door has.
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    const insist = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    await ended;
    clearTimeout(insist);
  }
}

function parse(text: string): Line {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return {};
  }
}

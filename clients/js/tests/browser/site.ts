import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

const CLIENT = readFileSync(new URL("../../dist/index.js", import.meta.url));

/** A window that exposes one function; `?node=` is its node, `?grace=` its grace. */
const WINDOW = `<!doctype html>
<title>window</title>
<script type="module">
  import { connect } from "/lambdamesh.js";
  const asked = new URLSearchParams(location.search);
  const grace = Number(asked.get("grace") ?? 15000);
  window.states = [];
  const loadedAt = performance.timeOrigin;
  try {
    const options = { persist: true, grace, onstate: (state) => states.push(state) };
    window.mesh = await connect(asked.get("node"), options);
    if (asked.has("twice")) window.other = await (await connect(asked.get("node"), options)).expose({});
    const forget = () => new Promise(() => (document.title = "called"));
    const test = (body) => ({ echo: body, loadedAt });
    async function* count(to) { for (let n = 0; n < to; n++) yield n; }
    window.fn = await mesh.expose({ test, count, forget });
  } catch (error) {
    window.failed = error;
  }
</script>`;

const IN_WORKER = `
  import { connect } from "/lambdamesh.js";
  const mesh = await connect(new URLSearchParams(location.search).get("node"), { persist: true });
  const fn = await mesh.expose({ test: (body) => ({ echo: body, in: self.constructor.name }) });
  postMessage(fn.id);`;

const WITH_WORKER = `<!doctype html>
<script type="module">
  const worker = new Worker("/worker.js" + location.search, { type: "module" });
  worker.onmessage = ({ data }) => (window.fn = { id: data });
</script>`;

const FILES: Record<string, [type: string, content: string | Buffer]> = {
  "/": ["text/html", WINDOW],
  "/with-worker": ["text/html", WITH_WORKER],
  "/worker.js": ["text/javascript", IN_WORKER],
  "/lambdamesh.js": ["text/javascript", CLIENT],
};

/** A site on a port of its own, so an origin of its own. */
export class Site {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `more` are pages beside those above. */
  static async start(more: typeof FILES = {}): Promise<Site> {
    const files = { ...FILES, ...more };
    const server = createServer(({ url }, response) => {
      const file = files[new URL(url!, "http://localhost").pathname];
      if (!file) return response.writeHead(404).end();
      return response.writeHead(200, { "Content-Type": file[0] }).end(file[1]);
    });
    server.listen(0, "localhost");
    await once(server, "listening");
    return new Site(server);
  }

  get origin(): string {
    return `http://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

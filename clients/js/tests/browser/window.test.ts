import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Lambda, Mesh, State } from "../../src/index.js";
import { Node } from "../node.js";
import { pythonPeer } from "../python.js";
import { hasChromium, launch } from "./chromium.js";
import { examples } from "../readme.js";
import { Site } from "./site.js";
import { deferred } from "../deferred.js";

/** What a page of the site leaves in its window. */
declare const window: {
  fn?: Lambda;
  other?: Lambda;
  mesh: Mesh;
  states: State[];
  failed?: Error;
  open(url: string): void;
  dispatchEvent(event: Event): void;
};
declare const location: { href: string };
declare const sessionStorage: { length: number };

describe.skipIf(!hasChromium)("in Chromium", () => {
  let node: Node, site: Site, browser: Browser, context: BrowserContext;

  beforeAll(async () => void ([node, site, browser] = await Promise.all([Node.start(), Site.start(), launch()])));
  afterAll(async () => void (await Promise.all([node?.stop(), site?.stop(), browser?.close()])));
  beforeEach(async () => void (context = await browser.newContext()));
  afterEach(() => context.close());

  const address = (more = "", of = node): string =>
    `${site.origin}/?node=${encodeURIComponent(of.ws.replace("127.0.0.1", "localhost"))}${more}`;

  const idOf = async (page: Page): Promise<string> => {
    await page.waitForFunction(() => window.fn ?? window.failed);
    return page.evaluate(() => window.fn?.id ?? Promise.reject(window.failed));
  };

  async function opened(url = address()): Promise<{ page: Page; id: string }> {
    const page = await context.newPage();
    await page.goto(url);
    return { page, id: await idOf(page) };
  }

  test("a plain POST calls a function of a window, and a window another's", async () => {
    const { id } = await opened();
    expect(await node.post(id, "test", { hello: "world" })).toMatchObject({
      status: 200,
      answer: { echo: { hello: "world" } },
    });
    const other = await opened();
    expect(other.id).not.toBe(id);
    expect(await other.page.evaluate((id) => window.mesh.call(id, "test", 1), id)).toMatchObject({ echo: 1 });
    const items = await other.page.evaluate(async (id) => {
      const items: unknown[] = [];
      for await (const item of window.mesh.stream(id, "count", 40)) items.push(item);
      return items;
    }, id);
    expect(items).toHaveLength(40);
  });

  test("a window and a Python program call each other", async () => {
    const { page, id } = await opened();
    const python = await pythonPeer(node, id);
    expect(python.echo).toMatchObject({ echo: { from: "Python \u2192" } });
    expect(python.items).toHaveLength(40);
    expect(await page.evaluate((id) => window.mesh.call(id, "add", [2, 3]), python.id)).toBe(5);
    await python.stop();
  });

  test("a reload keeps the id, again and again", async () => {
    const { page, id } = await opened();
    const before = (await node.post(id, "test")).answer.loadedAt as number;
    for (let n = 0; n < 3; n++) {
      await page.reload();
      expect(await idOf(page)).toBe(id);
    }
    const { status, answer } = await node.post(id, "test", "after");
    expect({ status, echo: answer.echo }).toEqual({ status: 200, echo: "after" });
    expect(answer.loadedAt).toBeGreaterThan(before);
  });

  test("a call made during a reload is answered by the page after it", async () => {
    const { page, id } = await opened();
    const { promise: called, resolve: go } = deferred<void>();
    await page.route("**/lambdamesh.js", (route) => called.then(() => route.continue()));
    const reloading = page.reload();
    await node.until(id, ({ state }) => state === "waiting");
    const call = node.post(id, "test", "meanwhile");
    go();
    await reloading;
    expect(await call).toMatchObject({ status: 200, answer: { echo: "meanwhile" } });
  });

  test("a call that a page took with it is lost, and maybe delivered", async () => {
    const { page, id } = await opened();
    const call = node.post(id, "forget");
    await page.waitForFunction("document.title === 'called'");
    await page.reload();
    expect(await call).toMatchObject({ status: 502, answer: { code: "lambda_lost", delivered: "unknown" } });
    expect(await idOf(page)).toBe(id);
  });

  test("two connections of one page keep their ids apart", async () => {
    const { page } = await opened(address("&twice"));
    const ids = () => page.evaluate(() => [window.fn!.id, window.other!.id]);
    const before = await ids();
    expect(new Set(before).size).toBe(2);
    await page.reload();
    await idOf(page);
    expect(await ids()).toEqual(before);
  });

  test("a page that is left and come back to has its id again", async () => {
    const { page, id } = await opened();
    await page.goto(`${site.origin}/lambdamesh.js`);
    await node.until(id, ({ state }) => state === "waiting");
    await page.goBack();
    expect(await idOf(page)).toBe(id);
    expect(await node.post(id, "test", 1)).toMatchObject({ status: 200, answer: { echo: 1 } });
  });

  test("a window that is closed is gone after its grace", async () => {
    const { page, id } = await opened(address("&grace=200"));
    await page.close({ runBeforeUnload: false });
    await node.until(id, ({ status }) => status === 410);
    expect(await node.post(id, "test")).toMatchObject({
      status: 410,
      answer: { code: "lambda_gone", delivered: "no" },
    });
  });

  test("a duplicated tab has an id of its own, and keeps it", async () => {
    const { page, id } = await opened();
    const [copy] = await Promise.all([context.waitForEvent("page"), page.evaluate(() => window.open(location.href))]);
    const copied = await idOf(copy);
    expect(copied).not.toBe(id);
    expect(await page.evaluate(() => window.fn!.state)).toBe("open");
    expect(await node.post(id, "test", 1)).toMatchObject({ status: 200, answer: { echo: 1 } });
    expect(await node.post(copied, "test", 2)).toMatchObject({ status: 200, answer: { echo: 2 } });
    await Promise.all([page.reload(), copy.reload()]);
    expect([await idOf(page), await idOf(copy)]).toEqual([id, copied]);
  });

  test("a lambda that was closed is not kept", async () => {
    const { page, id } = await opened();
    await page.evaluate(() => window.fn!.close());
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
    expect(await node.post(id, "test")).toMatchObject({ status: 410 });
    await page.reload();
    expect(await idOf(page)).not.toBe(id);
  });

  test("a key that the node no longer takes gives way to a new id", async () => {
    const { page, id } = await opened();
    await fetch(`${node.url}/lambda/${id}`, { method: "DELETE" });
    expect(await page.evaluate(() => window.fn!.closed)).toMatchObject({ code: 4410 });
    await page.reload();
    const renewed = await idOf(page);
    expect(renewed).not.toBe(id);
    expect(await node.post(renewed, "test", 1)).toMatchObject({ status: 200 });
  });

  test("offline and online again keeps the id, and connects at once", async () => {
    const own = await Node.start();
    const { page, id } = await opened(address("", own));
    await context.setOffline(true);
    await own.crash();
    await page.waitForFunction(() => window.states.filter((state) => state === "away").length >= 4);
    await own.up();
    await context.setOffline(false);
    await page.waitForFunction(() => window.mesh.state === "open" && window.fn!.state === "open");
    expect(await idOf(page)).toBe(id);
    expect(await own.post(id, "test", 1)).toMatchObject({ status: 200, answer: { echo: 1 } });
    await own.stop();
  });

  test("a node that is silent is left, and found again with the id", async () => {
    const own = await Node.start();
    const { page, id } = await opened(address("", own));
    own.freeze();
    await page.evaluate(() => window.dispatchEvent(new Event("online"))); // Asks now, not after 15 s.
    await page.waitForFunction(() => window.states.includes("away"));
    own.thaw();
    await page.waitForFunction(() => window.mesh.state === "open" && window.fn!.state === "open");
    expect(await own.post(id, "test", 1)).toMatchObject({ status: 200, answer: { echo: 1 } });
    expect(await idOf(page)).toBe(id);
    await own.stop();
  });

  test("a node that crashes and comes back finds the id again", async () => {
    const own = await Node.start();
    const { page, id } = await opened(address("", own));
    await own.crash();
    await page.waitForFunction(() => window.states.includes("away"));
    await own.up();
    await page.waitForFunction(() => window.mesh.state === "open");
    expect(await own.post(id, "test", 1)).toMatchObject({ status: 200, answer: { echo: 1 } });
    await own.stop();
  });

  test("the page of the README", async () => {
    const [page] = examples("html");
    const own = await Site.start({
      "/readme": ["text/html", page!.replace("localhost:7630", `localhost:${node.port}`)],
    });
    const window = await context.newPage();
    await window.goto(`${own.origin}/readme`);
    await window.waitForFunction("document.title !== 'opening'");
    expect(await node.post(await window.title(), "show", "pushed")).toEqual({ status: 200, answer: { shown: true } });
    expect(await window.locator("body").innerText()).toContain("pushed");
    await own.stop();
  });

  test("a worker exposes too", async () => {
    const { id } = await opened(address().replace("/?", "/with-worker?"));
    expect(await node.post(id, "test", 1)).toEqual({
      status: 200,
      answer: { echo: 1, in: "DedicatedWorkerGlobalScope" },
    });
  });

  test("a door that does not know the page's origin is an error that says so", async () => {
    const strict = await Node.start([]);
    await expect(opened(address("", strict))).rejects.toThrow(new RegExp(`Does it allow the Origin ${site.origin}`));
    await strict.stop();
  });
});

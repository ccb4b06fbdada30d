import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Node, PYTHON, ROOT } from "../node.js";
import { hasChromium, launch } from "./chromium.js";

/** A directory for pictures of the page, for people. */
const { SCREENSHOTS } = process.env;

/** The example's back end, in a process of its own. */
async function backEnd(node: Node): Promise<{ url: string; stop(): Promise<void> }> {
  const env = { ...process.env, PORT: "0", LAMBDAMESH_URL: node.url.replace("127.0.0.1", "localhost") };
  const child: ChildProcess = spawn(PYTHON, [join(ROOT, "examples/push/server.py")], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const url of createInterface(child.stdout!)) {
    const stop = async (): Promise<void> => {
      const ended = once(child, "exit");
      child.kill();
      await ended;
    };
    return { url, stop };
  }
  throw new Error("examples/push/server.py did not start");
}

describe.skipIf(!hasChromium)("examples/push", () => {
  let node: Node, browser: Browser, context: BrowserContext, site: Awaited<ReturnType<typeof backEnd>>;

  beforeAll(async () => {
    [node, browser] = await Promise.all([Node.start(), launch()]);
    site = await backEnd(node);
    context = await browser.newContext({ viewport: { width: 900, height: 680 } });
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
    await node?.stop();
  });

  async function joined(): Promise<{ page: Page; name: string }> {
    const page = await context.newPage();
    page.on("pageerror", (error) => expect.fail(String(error)));
    await page.goto(site.url);
    await page.waitForFunction("document.title !== 'Push to one window'");
    return { page, name: await page.title() };
  }

  const line = (page: Page, text: string | RegExp) => page.locator("#log li", { hasText: text }).first().waitFor();

  test("one window pushes to another, which acknowledges; a closed window leaves the list", async () => {
    const [anna, ben, carla] = [await joined(), await joined(), await joined()];
    expect(new Set([anna.name, ben.name, carla.name]).size).toBe(3);
    await anna.page.getByLabel("Message").fill("Lunch?");
    await anna.page.getByRole("button", { name: `Push to ${ben.name}` }).click();
    await line(ben.page, `${anna.name}: Lunch?`);
    await line(anna.page, new RegExp(`${ben.name} has it.* ms`));
    expect(await carla.page.locator("#log li").count()).toBe(0);

    await ben.page.reload();
    await ben.page.waitForFunction(
      (name) => (globalThis as { document?: { title: string } }).document!.title === name,
      ben.name,
    );
    await anna.page.getByRole("button", { name: `Push to ${ben.name}` }).click();
    await line(ben.page, `${anna.name}: Lunch?`);

    await carla.page.close();
    await anna.page.getByRole("button", { name: `Push to ${carla.name}` }).waitFor({ state: "detached" });
    for (const colorScheme of SCREENSHOTS ? (["light", "dark"] as const) : []) {
      await anna.page.emulateMedia({ colorScheme });
      await anna.page.screenshot({ path: join(SCREENSHOTS!, `push-${colorScheme}.png`) });
    }
  });
});

import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

const PATH = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Whether there is a browser to test with; says so where there is none. */
export const hasChromium = existsSync(PATH);
if (!hasChromium) console.warn(`browser tests are skipped: no ${PATH} (install chromium, or name it with CHROMIUM)`);

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: PATH,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });

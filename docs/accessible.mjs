// Every page of site/ through axe-core in headless Chromium, in light and dark: `make accessible`.
// Serious and critical findings are listed, and end it with status 1.
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(resolve("build/accessible/package.json"));
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const pages = readdirSync("site", { recursive: true }).filter((name) => name.endsWith(".html") && name !== "404.html");
if (!pages.length) throw new Error("site/ has no pages: run `make docs` first");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"],
});
let findings = 0;
for (const colorScheme of ["light", "dark"]) {
  const context = await browser.newContext({ colorScheme, offline: true });
  for (const name of pages) {
    const page = await context.newPage();
    await page.goto(pathToFileURL(join(resolve("site"), name)).href);
    await page.addScriptTag({ path: axe });
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    for (const { id, impact, help, nodes } of violations.filter(({ impact }) => ["serious", "critical"].includes(impact))) {
      findings += nodes.length;
      console.log(`${name} (${colorScheme}) ${impact} ${id}: ${help}; ${nodes.length} times, first ${nodes[0].html.slice(0, 200)}`);
    }
    await page.close();
  }
}
await browser.close();
console.log(`${pages.length} pages, light and dark: ${findings} serious findings`);
process.exit(findings ? 1 : 0);

// Draws one Mermaid diagram from standard input as SVG on standard output, offline, in the colours of the page around it.
// Its renderer is one of the locked packages of tests/node; nothing of it is loaded by who reads the page.
import { readFileSync } from "node:fs";
import { renderMermaidSVG } from "../../tests/node/node_modules/beautiful-mermaid/dist/index.js";

const svg = renderMermaidSVG(readFileSync(0, "utf8"), {
  bg: "var(--md-default-bg-color)", fg: "var(--md-typeset-color)", font: "inherit", padding: 8, layerSpacing: 32, transparent: true,
});
// The renderer asks a font server for its font; the page has one.
process.stdout.write(svg.replace(/@import url\([^)]*\);/g, "").replace(/\s*\n\s*/g, " "));

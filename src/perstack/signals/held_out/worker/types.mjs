// Loads TypeScript of the project: types are taken out by whichever compiler the project has installed, names of files
// that an import leaves open are completed. Plain JavaScript is loaded as node does.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const TYPED = /\.[cm]?tsx?$/;
const ENDINGS = ['.ts', '.tsx', '.mts', '.js', '.mjs', '.cjs', '/index.ts', '/index.js'];
const { installed } = createRequire(import.meta.url)('./perstack_main.cjs');
let loaders = [];

/** Compilers are the project's own, or lie beside the test runners on PATH. */
export async function initialize({ workspace }) {
  const places = [workspace, ...['vitest', 'vite', 'jest', 'typescript'].map((name) => installed(name, workspace, '/'))];
  loaders = places.filter(Boolean).map((place) => createRequire(`${place}/package.json`));
}

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (!specifier.startsWith('.') || !context.parentURL) throw error;
    const base = fileURLToPath(new URL(specifier, context.parentURL));
    const names = [...ENDINGS.map((ending) => base + ending), base.replace(/\.([cm]?)js$/, '.$1ts')];
    const found = names.find((name) => fs.existsSync(name) && fs.statSync(name).isFile());
    if (!found) throw error;
    return { url: pathToFileURL(found).href, shortCircuit: true };
  }
}

export async function load_(url, context, next) {
  if (!url.startsWith('file:') || !TYPED.test(url)) return next(url, context);
  const source = await withoutTypes(fs.readFileSync(fileURLToPath(url), 'utf8'), fileURLToPath(url));
  const commonjs = url.endsWith('.cts') || /^\s*(?:module\.)?exports\b/m.test(source);
  return { format: commonjs ? 'commonjs' : 'module', source, shortCircuit: true };
}

export { load_ as load };

async function withoutTypes(source, name) {
  for (const [tool, use] of TOOLS) {
    for (const loader of loaders) {
      try {
        const code = await use(loader(tool), source, name);
        if (typeof code === 'string') return code;
      } catch {
        // not there, or not one that we know: the next one
      }
    }
  }
  throw new Error('no compiler of TypeScript is installed');
}

const TOOLS = [
  ['esbuild', (tool, source) => tool.transformSync && tool.transformSync(source, { loader: 'ts', format: 'esm' }).code],
  ['typescript', (tool, source) => tool.transpileModule && tool.transpileModule(source, {
    compilerOptions: { module: tool.ModuleKind.ESNext, target: tool.ScriptTarget.ES2022 },
  }).outputText],
  ['vite', async (tool, source, name) => (tool.transformWithOxc
    ? (await tool.transformWithOxc(source, name)).code : (await tool.transformWithEsbuild(source, name)).code)],
];

// Evaluates calls of a JavaScript or TypeScript project for the verifier, in a plain process without a test runner.
// Values leave as plain data with the type they have: what an object says about its own equality has no part in it.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import vm from 'node:vm';
import { createHmac } from 'node:crypto';
import { register } from 'node:module';
import { pathToFileURL } from 'node:url';

const { stringify } = JSON;
const { apply, ownKeys, getPrototypeOf } = Reflect;
const { isArray } = Array;
const { is } = Object;
const exit = process.exit.bind(process);
const now = performance.now.bind(performance);
const CALL_MS = 250;
const EXAMPLES_MS = 3000;
const YEARS_MS = 25 * 365 * 86400 * 1000;
const SUFFIXES = ['', '.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.tsx', '/index.js', '/index.mjs', '/index.ts'];

const { nonce, socket: place, ...request } = JSON.parse(fs.readFileSync(0, 'utf8'));
const socket = net.connect(place);
await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
let count = 0;

/** Send a record whose body is JSON text already. */
function send(fields) {
  const body = `[${count},{${fields}}]`;
  count += 1;
  return new Promise((resolve) => {
    socket.write(`${createHmac('sha256', nonce).update(body).digest('hex')} ${body}\n`, resolve);
  });
}

/** A value as JSON text: kind, then content. Gives up on what is too large. */
function encoder() {
  let left = 2000;
  const list = (kind, items, depth) => `["${kind}",[${[...items].map((item) => encode(item, depth)).join(',')}]]`;
  function encode(value, depth) {
    left -= 1;
    if (depth < 0 || left < 0) return '["large"]';
    switch (typeof value) {
      case 'undefined': return '["u"]';
      case 'boolean': return `["b","${value}"]`;
      case 'number': return Number.isSafeInteger(value) && !is(value, -0) ? `["n","${value}"]` : `["f","${value}"]`;
      case 'string': return `["s",${stringify(value.slice(0, 20000))}]`;
      case 'bigint': return `["o","bigint",["s","${value}"]]`;
      case 'object': return value === null ? '["none"]' : container(value, depth - 1);
      default: return '["large"]';
    }
  }
  function container(value, depth) {
    if (isArray(value)) return list('l', value, depth);
    const kind = (getPrototypeOf(value) || {}).constructor;
    if (value instanceof Date) return `["o","Date",["s",${stringify(String(value.getTime()))}]]`;
    if (value instanceof Set) return `["o","Set",${list('l', value, depth)}]`;
    if (value instanceof Map) return `["o","Map",${list('l', [...value].map((pair) => [...pair]), depth)}]`;
    const names = ownKeys(value).filter((key) => typeof key === 'string' && value[key] !== undefined).sort();
    const pairs = `["d",[${names.map((key) => `[["s",${stringify(key)}],${encode(value[key], depth)}]`).join(',')}]]`;
    const plain = getPrototypeOf(value) === null || kind === Object;
    return plain ? pairs : `["o",${stringify(String((kind && kind.name) || ''))},${pairs}]`;
  }
  return (value) => encode(value, 8);
}

/** What a call gives: its value, or the names of the classes of what it throws. */
async function outcome(target, given) {
  const key = `call${count}`;
  const call = () => apply(target, undefined, structuredClone(given));
  Object.defineProperty(globalThis, key, { value: call, configurable: true });
  let timer;
  try {
    let value = vm.runInThisContext(`globalThis.${key}()`, { timeout: CALL_MS });
    if (value && typeof value.then === 'function') {
      const slowly = {};
      value = await Promise.race([value, new Promise((resolve) => { timer = setTimeout(resolve, CALL_MS, slowly); })]);
      if (value === slowly) return '["slow"]';
    }
    try {
      return `["value",${encoder()(value)}]`;
    } catch {
      return '["value",["large"]]'; // an object that cannot be looked at says nothing
    }
  } catch (error) {
    if (error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return '["slow"]';
    const names = [];
    for (let at = error; at && typeof at === 'object'; at = getPrototypeOf(at)) {
      names.push(String((at.constructor && at.constructor.name) || ''));
    }
    return `["raised",${stringify(names)}]`;
  } finally {
    clearTimeout(timer);
    delete globalThis[key];
  }
}

/** Let the project see a clock that is years ahead. */
function shiftClock() {
  const Real = Date;
  globalThis.Date = class Date extends Real {
    constructor(...given) {
      super(...(given.length ? given : [Real.now() + YEARS_MS]));
    }

    static now() {
      return Real.now() + YEARS_MS;
    }
  };
  const elapsed = performance.now.bind(performance);
  performance.now = () => elapsed() + YEARS_MS;
}

async function bring({ module, name }) {
  const base = path.join(request.workspace, module);
  const names = [...SUFFIXES.map((suffix) => base + suffix), base.replace(/\.([cm]?)js$/, '.$1ts')];
  const file = names.find((one) => fs.existsSync(one) && fs.statSync(one).isFile());
  const found = await import(pathToFileURL(file).href);
  const plain = found.default && typeof found.default === 'object' ? found.default : {};
  const target = name in found ? found[name] : plain[name];
  if (typeof target !== 'function') throw new TypeError('no function');
  return target;
}

async function main() {
  register(new URL('./types.mjs', import.meta.url), { data: { workspace: request.workspace } });
  process.chdir(request.home);
  process.argv.splice(1, process.argv.length, path.join(process.cwd(), 'app.js'));
  const targets = [];
  for (const [group, wanted] of request.groups.entries()) {
    try {
      targets.push(await bring(wanted));
    } catch {
      targets.push(null);
      await send(`"type":"unloaded","group":${group}`);
    }
  }
  const ask = async (kind, group, number, given) => {
    if (!targets[group]) return;
    await send(`"type":"${kind}","group":${group},"number":${number},"outcome":${await outcome(targets[group], given)}`);
  };
  const examples = async (kind) => {
    const until = now() + EXAMPLES_MS;
    for (const [group, { given }] of request.groups.entries()) if (now() < until) await ask(kind, group, 0, given);
  };
  await examples('first');
  const until = now() + request.seconds * 1000;
  for (const [group, number, given] of request.neighbours) {
    if (now() < until) await ask('neighbour', group, number, given);
  }
  await examples('again');
  shiftClock();
  await examples('later');
  await send('"type":"finish","exit":0');
}

await main();
exit(0);

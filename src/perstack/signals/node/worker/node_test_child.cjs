'use strict';
// Loaded first in the process of a test file: takes the key, remembers what is there, reports each test.
// It is both what `--require` loads and the reporter; `begin` works once.
const fs = require('node:fs');
const path = require('node:path');
const Module = require('node:module');
const { pathToFileURL } = require('node:url');
const nodeTest = require('node:test');
const { writer, text } = require('./perstack_wire.cjs');
const { remember, compare, language, machinery, seal } = require('./perstack_identity.cjs');
const canaries = require('./perstack_canary.cjs');

const { key, file, canary } = JSON.parse(fs.readFileSync(4, 'utf8'));
fs.closeSync(4);
const write = writer(key, 3);
const { apply } = Reflect;
const { keys, create } = Object;
const isMessage = String;

seal();
const known = remember({
  ...language(globalThis), ...machinery(), 'node:test': nodeTest, 'node:test.test': nodeTest.test,
});
const replaced = create(null);
let toldFirst;
const isReporting = new Promise((resolve) => {
  toldFirst = resolve;
});

async function* report(source) {
  const titles = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      titles[data.nesting] = data.name;
    } else if (type === 'test:pass' || type === 'test:fail') {
      compare(known, replaced);
      write(described(type, data, titles));
      toldFirst();
    }
  }
  compare(known, replaced);
  write({ type: 'end', replaced: keys(replaced) });
  yield '';
}

function described(type, data, titles) {
  const title = create(null);
  for (let depth = 0; depth < data.nesting; depth += 1) title[depth] = titles[depth];
  title[data.nesting] = data.name;
  const error = data.details && data.details.error;
  return {
    type: 'case', title, outcome: outcome(type, data), message: type === 'test:fail' ? message(error) : '',
    seconds: data.details ? data.details.duration_ms / 1000 : 0, line: data.line || 0,
  };
}

function outcome(type, data) {
  if (data.todo !== undefined && data.todo !== false) return type === 'test:pass' ? 'xpassed' : 'xfailed';
  if (data.skip !== undefined && data.skip !== false) return 'skipped';
  return type === 'test:pass' ? 'passed' : 'failed';
}

function message(error) {
  const cause = error && error.cause !== undefined ? error.cause : error;
  try {
    return text(isMessage(cause && cause.message !== undefined ? cause.message : cause));
  } catch {
    return 'an error without a message';
  }
}

/** Load the file as node would load its main module. */
async function load() {
  process.argv[1] = file;
  if (isScript()) return apply(Module._load, Module, [file, null, true]);
  return import(pathToFileURL(file));
}

function isScript() {
  const suffix = path.extname(file);
  if (suffix !== '.js') return suffix === '.cjs' || suffix === '.cts';
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (fs.existsSync(manifest)) return JSON.parse(fs.readFileSync(manifest, 'utf8')).type !== 'module';
    if (folder === path.dirname(folder)) return true;
  }
}

let begun = false;
async function begin() {
  if (begun) return;
  begun = true;
  canaries.first(nodeTest.test, canary);
  await isReporting;
  try {
    await load();
  } catch (error) {
    write({ type: 'broken', message: message(error) });
    process.exitCode = 1;
  }
  const fresh = require('node:test');
  const imported = await import('node:test');
  const tests = [...new Set([fresh, fresh.test, fresh.it, imported.test, imported.it])];
  canaries.last(tests, [...canaries.assertions(require('node:assert')),
    ...canaries.assertions(require('node:assert').strict)], canary);
  write({ type: 'loaded', canaries: tests.length });
}

module.exports = report;
module.exports.begin = begin;

'use strict';
// Runs one test file in jest's worker with jest-circus, adds the canaries, and signs what came out.
const fs = require('node:fs');
const { line, text } = require('./perstack_wire.cjs');
const { remember, compare, language, machinery } = require('./perstack_identity.cjs');
const canaries = require('./perstack_canary.cjs');

const GLOBALS = ['test', 'it', 'xit', 'xtest', 'fit', 'describe', 'fdescribe', 'xdescribe', 'expect', 'beforeAll',
  'beforeEach', 'afterAll', 'afterEach'];
const MATCHERS = Symbol.for('$$jest-matchers-object');
const FOCUSED = /\.only\b|\bfit\s*\(|\bfdescribe\s*\(/;
const { apply } = Reflect;
const { create, keys } = Object;
let sign = null;
let circus = null;
let canary = null;
let machine = null;

/** Called once, by the preload of the worker. */
function prepare(handed) {
  if (sign) return;
  let number = 0;
  sign = (record) => {
    const made = line(handed.key, number, record);
    number += 1;
    return made;
  };
  circus = require(handed.circus);
  canary = handed.canary;
  machine = remember({ ...language(globalThis), ...machinery() });
}

async function run(globalConfig, config, environment, runtime, testPath, sendMessageToJest) {
  const { global } = environment;
  const focused = FOCUSED.test(fs.readFileSync(testPath, 'utf8'));
  const state = { known: remember(language(global, 'test ')), replaced: create(null), broken: null, planted: -1 };
  const { setGlobalsForRuntime, requireModule, unstable_importModule: importModule } = runtime;
  runtime.setGlobalsForRuntime = (given) => {
    const store = global[MATCHERS];
    state.known.push(...remember({
      '@jest/globals': given, expect: given.expect, test: given.test, it: given.it,
      describe: given.describe, matchers: store ? store.matchers : null,
    }));
    // they are made global only after this
    for (const name of GLOBALS) {
      state.known.push({ object: global, property: name, found: { value: given[name] }, name: 'global' });
    }
    return apply(setGlobalsForRuntime, runtime, [given]);
  };
  const chosen = () => (focused ? global.test.only : global.test);
  const around = (load) => {
    canaries.first(chosen(), canary);
    const after = () => {
      const tests = focused ? [global.test.only, global.it.only] : [global.test, global.it];
      canaries.last(tests, [...canaries.expectations(global.expect),
        ...canaries.assertions(require('node:assert'))], canary);
      state.planted = tests.length;
      compare(state.known, state.replaced);
    };
    const failed = (error) => {
      state.broken = message(error);
    };
    return load(after, failed);
  };
  let loaded = false;
  runtime.requireModule = (...words) => {
    if (loaded || words[0] !== testPath) return apply(requireModule, runtime, words);
    loaded = true;
    return around((after, failed) => {
      try {
        return apply(requireModule, runtime, words);
      } catch (error) {
        return failed(error);
      } finally {
        after();
      }
    });
  };
  runtime.unstable_importModule = (...words) => {
    if (loaded || words[0] !== testPath) return apply(importModule, runtime, words);
    loaded = true;
    return around((after, failed) => apply(importModule, runtime, words).catch(failed).finally(after));
  };
  const result = await (circus.default || circus)(
    globalConfig, config, environment, runtime, testPath, sendMessageToJest,
  );
  compare(state.known, state.replaced);
  compare(machine, state.replaced);
  result.perstack = signed(result, state, testPath);
  return result;
}

function signed(result, state, path) {
  let lines = '';
  for (let index = 0; index < result.testResults.length; index += 1) {
    const one = result.testResults[index];
    lines += sign({
      type: 'case', path, title: [...one.ancestorTitles, one.title], outcome: outcome(one),
      message: one.status === 'failed' ? text(`${one.failureMessages[0]}`) : '',
      seconds: (one.duration || 0) / 1000,
    });
  }
  if (state.broken !== null) lines += sign({ type: 'broken', path, message: state.broken });
  lines += sign({ type: 'loaded', path, canaries: state.planted });
  return lines + sign({ type: 'end', path, replaced: keys(state.replaced) });
}

function outcome(one) {
  if (one.status === 'passed') {
    if (one.failing) return 'xfailed';
    return one.invocations > 1 ? 'passed after a retry' : 'passed';
  }
  return one.status === 'failed' ? 'failed' : 'skipped';
}

function message(error) {
  try {
    return text(String((error && error.message) || error));
  } catch {
    return 'an error without a message';
  }
}

module.exports = run;
module.exports.prepare = prepare;

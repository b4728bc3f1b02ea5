'use strict';
// Which functions that results depend on were replaced since the start. Names only; what that means is decided outside.
const { getOwnPropertyDescriptor, is } = Object;
const { ownKeys } = Reflect;

/** Remember functions of named objects: `places` maps a name to an object, or to `[object, names of properties]`. */
function remember(places) {
  const known = [];
  const names = ownKeys(places);
  for (let index = 0; index < names.length; index += 1) {
    const given = places[names[index]];
    const chosen = Array.isArray(given) && Array.isArray(given[1]) ? given[1] : null;
    const object = chosen ? given[0] : given;
    if (object === null || object === undefined || (typeof object !== 'object' && typeof object !== 'function')) continue;
    const properties = chosen || ownKeys(object);
    for (let at = 0; at < properties.length; at += 1) {
      const found = getOwnPropertyDescriptor(object, properties[at]);
      if (!found) continue;
      const isCode = typeof found.value === 'function' || found.get || found.set;
      if (isCode) known[known.length] = { object, property: properties[at], found, name: names[index] };
    }
    if (!chosen) known[known.length] = { object, count: properties.length, name: names[index] };
  }
  return known;
}

/** Names of what differs now, joined to `into`: an object with a null prototype. */
function compare(known, into) {
  for (let index = 0; index < known.length; index += 1) {
    const { object, property, found, count, name } = known[index];
    if (count !== undefined) {
      if (ownKeys(object).length > count) into[`${name} (added to)`] = true;
      continue;
    }
    const now = getOwnPropertyDescriptor(object, property);
    if (!now || !is(now.value, found.value) || !is(now.get, found.get) || !is(now.set, found.set)) {
      into[`${name}.${typeof property === 'symbol' ? 'symbol' : property}`] = true;
    }
  }
  return into;
}

const LANGUAGE = ['Object', 'Function', 'Array', 'String', 'Number', 'RegExp', 'Map', 'Set', 'WeakMap', 'Symbol',
  'Promise', 'Error', 'Reflect', 'JSON', 'Proxy'];

/** The language's own objects of a realm that runners and assertions are built on; what tests like to mock is left out. */
function language(realm, prefix = '') {
  const places = { __proto__: null };
  for (const name of LANGUAGE) {
    const object = realm[name];
    if (!object) continue;
    places[prefix + name] = object;
    if (object.prototype) places[`${prefix}${name}.prototype`] = object.prototype;
  }
  places[`${prefix}globalThis`] = [realm, LANGUAGE];
  return places;
}

/** What a process that runs tests is built on beside the language. */
function machinery() {
  const { EventEmitter } = require('node:events');
  const stream = require('node:stream');
  const assert = require('node:assert');
  return {
    __proto__: null,
    assert, 'assert.strict': assert.strict, 'AssertionError.prototype': assert.AssertionError.prototype,
    'EventEmitter.prototype': EventEmitter.prototype, stream,
    'Readable.prototype': stream.Readable.prototype, 'Writable.prototype': stream.Writable.prototype,
    'Duplex.prototype': stream.Duplex.prototype, 'Transform.prototype': stream.Transform.prototype,
    process: [process, ['send', 'emit', 'on', 'reallyExit', '_events']],
  };
}

/** Take away what reads the memory of this process from inside: keys lie there. */
function seal() {
  const refuse = () => {
    throw new Error('not available while tests are judged');
  };
  const inspector = require('node:inspector');
  const v8 = require('node:v8');
  for (const [object, names] of [[inspector.Session.prototype, ['connect', 'connectToMainThread']],
    [inspector, ['open']], [v8, ['getHeapSnapshot', 'writeHeapSnapshot', 'queryObjects']]]) {
    for (const name of names) {
      if (name in object) Object.defineProperty(object, name, { value: refuse, writable: false, configurable: false });
    }
  }
  require('node:module').syncBuiltinESMExports();
}

module.exports = { remember, compare, language, machinery, seal };

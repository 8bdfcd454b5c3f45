// Wraps the jsonata module for the Go side. Called once for each JavaScript
// runtime with the module and with host functions; returns what Go calls.
(function (jsonata, host) {
  'use strict';

  const compiled = new Map();
  const maxCompiled = 1000; // more than a state machine has

  const fail = (code, message) => { throw { code: code, message: message }; };

  // The functions that Step Functions has and the language has not. Their codes
  // (D32..) are this file's own: AWS documents only that such calls fail.
  // Where a function wants an integer, any other number is rounded down.
  // https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#jsonata-functions-provided-by-sfn
  const extras = {
    parse: [(text) => {
      if (text === undefined) return undefined;
      try {
        return JSON.parse(text);
      } catch (e) {
        return fail('D3200', '$parse: the argument is not valid JSON');
      }
    }, '<s-:x>'],
    partition: [(array, size) => {
      if (array === undefined || size === undefined) return undefined;
      const n = Math.floor(size);
      if (!(n > 0)) fail('D3201', '$partition: the size must be a positive integer');
      const out = [];
      for (let i = 0; i < array.length; i += n) out.push(array.slice(i, i + n));
      return out;
    }, '<a-n:a>'],
    range: [(first, last, delta) => {
      if (first === undefined || last === undefined || delta === undefined) return undefined;
      [first, last, delta] = [first, last, delta].map(Math.floor);
      if (delta === 0) fail('D3202', '$range: the increment must not be 0');
      const count = Math.floor((last - first) / delta) + 1;
      if (count > 10000000) fail('D2014', '$range: the sequence is too long');
      const out = [];
      for (let i = 0; i < count; i++) out.push(first + i * delta);
      return out;
    }, '<nnn:a>'],
    // The guide gives the algorithm as a parameter without a default.
    hash: [(text, algorithm) => {
      if (text === undefined || algorithm === undefined) return undefined;
      const sum = host.hash(text, algorithm);
      if (sum === '') fail('D3203', '$hash: unknown algorithm ' + JSON.stringify(algorithm));
      return sum;
    }, '<ss:s>'],
    random: [(seed) => host.random(seed === undefined ? null : Math.floor(seed)), '<n?:n>'],
    uuid: [() => host.uuid(), '<:s>'],
  };

  const compile = (src) => {
    let expr = compiled.get(src);
    if (expr === undefined) {
      expr = jsonata(src);
      for (const name of Object.keys(extras)) {
        expr.registerFunction(name, extras[name][0], extras[name][1]);
      }
      expr.assign('eval', undefined);
      if (compiled.size === maxCompiled) compiled.clear();
      compiled.set(src, expr);
    }
    return expr;
  };

  const problem = (e) => ({
    code: e && e.code ? String(e.code) : '',
    message: e && e.message ? String(e.message) : String(e),
  });

  const isFunction = (v) => typeof v === 'function' ||
    (v !== null && typeof v === 'object' && (v._jsonata_lambda === true || v._jsonata_function === true));

  // JSON.stringify would leave functions out and make null of 1/0, silently.
  const encode = (value) => JSON.stringify(value, (key, v) => {
    if (isFunction(v)) fail('FUNCTION', 'a function is not a JSON value');
    if (typeof v === 'number' && !Number.isFinite(v)) fail('D1001', 'Number out of range: ' + v);
    return v;
  });

  // reads finds the members of $states that a syntax tree names, $states.result
  // for example, wherever they stand.
  const reads = (tree) => {
    const found = new Set();
    const seen = new Set(); // a tree may hold a node twice
    const walk = (node) => {
      if (node === null || typeof node !== 'object' || seen.has(node)) return;
      seen.add(node);
      if (node.type === 'path') {
        node.steps.forEach((step, i) => {
          const next = node.steps[i + 1];
          if (step.type === 'variable' && step.value === 'states' && next && next.type === 'name') found.add(next.value);
        });
      }
      Object.values(node).forEach(walk);
    };
    walk(tree);
    return Array.from(found);
  };

  return {
    // check says what is wrong with an expression's grammar, or else what it reads.
    check: (src) => {
      try { return { reads: reads(jsonata(src).ast()) }; } catch (e) { return { error: problem(e) }; }
    },
    parse: (text) => JSON.parse(text),
    // evaluate fills outcome with text (JSON; absent when the result is
    // undefined) or error. All promises have settled when Go sees it.
    evaluate: (src, bindings) => {
      const outcome = { done: false, text: undefined, error: undefined };
      const reject = (e) => { outcome.error = problem(e); outcome.done = true; };
      try {
        compile(src).evaluate(undefined, bindings).then((value) => {
          try { outcome.text = encode(value); outcome.done = true; } catch (e) { reject(e); }
        }, reject);
      } catch (e) { reject(e); }
      return outcome;
    },
  };
})

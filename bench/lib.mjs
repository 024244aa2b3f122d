// What the benchmarks share: rounds that alternate between the candidates, so that a slow moment of the machine hits
// all of them; medians; a table for people; one JSON line for programs. It measures nothing by itself.

import { cpus } from 'node:os'

/** The value below which a share `q` (0 to 1) of the samples lies, interpolated. */
export function quantile(samples, q) {
  const sorted = [...samples].sort((a, b) => a - b)
  const at = (sorted.length - 1) * q
  const below = Math.floor(at)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below)
}

/** The middle of the samples. */
export const median = (samples) => quantile(samples, 0.5)

/** The candidates' names, started one further each round: no one always runs first. */
function order(names, round) {
  return names.map((_, index) => names[(index + round) % names.length])
}

/**
 * Collects samples of things that measure themselves, such as joining a room: each candidate is an async function that
 * returns one number, and they take turns for `rounds` rounds.
 */
export async function alternate(candidates, { rounds, warmup = 1 }) {
  const names = Object.keys(candidates)
  const samples = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = -warmup; round < rounds; round++) {
    for (const name of order(names, round + warmup)) {
      const value = await candidates[name](round)
      if (round >= 0) samples[name].push(value)
    }
  }
  return samples
}

/**
 * Times functions in alternating rounds: microseconds a call, one sample a round of `calls` calls. What returns a
 * promise is awaited, one call after the other.
 */
export function time(candidates, { rounds = 41, calls = 2000, warmup = 5 } = {}) {
  const timed = Object.entries(candidates).map(([name, call]) => [name, () => microseconds(call, calls)])
  return alternate(Object.fromEntries(timed), { rounds, warmup })
}

async function microseconds(call, calls) {
  const asynchronous = (await probe(call)) === 'asynchronous'
  globalThis.gc?.()
  const began = process.hrtime.bigint()
  if (asynchronous) for (let index = 0; index < calls; index++) await call()
  else for (let index = 0; index < calls; index++) call()
  return Number(process.hrtime.bigint() - began) / 1000 / calls
}

async function probe(call) {
  const result = call()
  if (!(result instanceof Promise)) return 'synchronous'
  await result
  return 'asynchronous'
}

/**
 * The median over rounds of one candidate's sample divided by another's of the same round: steadier than the ratio of
 * two medians when the machine's speed drifts.
 */
export function pairedRatio(ours, theirs) {
  return median(ours.map((value, round) => value / theirs[round]))
}

/** Three significant digits, without an exponent. */
export function digits(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return String(value ?? '–')
  if (value === 0) return '0'
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(places, 6))
}

/** Prints the machine, a title and a table; the first column is text, the others are numbers or text. */
export function table(title, columns, rows) {
  const cells = [columns, ...rows.map((row) => row.map((cell) => (typeof cell === 'number' ? digits(cell) : cell)))]
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => String(row[column]).length)))
  const line = (row) =>
    row.map((cell, column) => String(cell)[column === 0 ? 'padEnd' : 'padStart'](widths[column])).join('  ')
  const cpu = cpus()
  process.stdout.write(`${title}\n${cpu.length} × ${cpu[0]?.model.trim()}, Node ${process.versions.node}\n\n`)
  process.stdout.write(`${line(columns)}\n${widths.map((width) => '─'.repeat(width)).join('  ')}\n`)
  for (const row of cells.slice(1)) process.stdout.write(`${line(row)}\n`)
  process.stdout.write('\n')
}

const round4 = (value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value)

function result({ unit, ours, peers, ratio, bar, ok, ...rest }) {
  const rounded = Object.fromEntries(Object.entries(peers ?? {}).map(([name, value]) => [name, round4(value)]))
  return { ...rest, unit, ours: round4(ours), peers: rounded, ratio: round4(ratio), bar, ok }
}

/**
 * Prints the last line of a benchmark: `{ bench, unit, ours, peers, ratio, bar, ok }`, or for several figures
 * `{ bench, results: [the same with a name each], ok }`. A missed bar is a finding, not a failure: the exit code is 0.
 */
export function report(bench, figures) {
  const list = Array.isArray(figures) ? figures.map(result) : result(figures)
  const line = Array.isArray(list)
    ? { bench, results: list, ok: list.every(({ ok }) => ok !== false) }
    : { bench, ...list }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

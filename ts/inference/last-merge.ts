// Requests that follow each other mostly send the same headers: the last merge is kept with what it was made of, and
// copied for as long as that stays the same. A merge that dropped something is not kept, so that each drop is reported.

import { type HeaderEntry, type HeaderLayers, mergeHeaders, type OnDrop } from './headers.js'

/** `mergeHeaders` for many requests of one transport. */
export class LastMerge {
  #layers: HeaderLayers | undefined
  #merged: Readonly<Record<string, string>> = {}

  /** As `mergeHeaders`. The layers' entries must not change afterwards. */
  merge(layers: HeaderLayers, onDrop: OnDrop): Record<string, string> {
    if (this.#layers === undefined || !areSame(this.#layers, layers)) this.#remake(layers, onDrop)
    return { ...this.#merged }
  }

  #remake(layers: HeaderLayers, onDrop: OnDrop): void {
    let whole = true
    this.#merged = mergeHeaders(layers, (name, reason) => {
      whole = false
      onDrop(name, reason)
    })
    this.#layers = whole ? layers : undefined
  }
}

function areSame(one: HeaderLayers, other: HeaderLayers): boolean {
  return (
    one.hook === other.hook &&
    one.userAgent === other.userAgent &&
    one.forbidTransport === other.forbidTransport &&
    areSameEntries(one.own, other.own) &&
    areSameEntries(one.call, other.call)
  )
}

function areSameEntries(one: readonly HeaderEntry[] = [], other: readonly HeaderEntry[] = []): boolean {
  if (one.length !== other.length) return false
  for (let at = 0; at < one.length; at++) {
    const [mine, theirs] = [one[at] as HeaderEntry, other[at] as HeaderEntry]
    if (mine[0] !== theirs[0] || mine[1] !== theirs[1]) return false
  }
  return true
}

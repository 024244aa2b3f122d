// Tool calls out of the pieces in which vendors stream them. **A piece belongs to the call whose id it repeats, else to
// the last call at its index, else to the call that was touched last; a new id, another name, or a new beginning after
// whole arguments begins a call.** An empty id or name is none, a name may come late, and every call has an id that no
// other call has, in this step and in others. It refuses a call that never gets a name.

import { randomUUID } from 'node:crypto'
import type { JsonObject, StreamPart } from '../spec.js'

interface Piece {
  id: string | undefined
  index: number | undefined
  name: string | undefined
  args: string
  extra: JsonObject | undefined
}

interface Call {
  /** What the SDK knows it by. */
  readonly id: string
  /** What the vendor calls it by. */
  wireId: string | undefined
  index: number | undefined
  name: string | undefined
  input: string
  extra: JsonObject | undefined
  /** Its name came once more after its arguments were whole: more arguments are another call's. */
  renamed: boolean
}

/** Collects the tool calls of one answer. */
export class ToolCalls {
  readonly #emit: (part: StreamPart) => void
  readonly #ids = new Set<string>()
  readonly #byId = new Map<string, Call>()
  readonly #byIndex = new Map<number, Call>()
  #calls: Call[] = []
  #last: Call | undefined

  constructor(emit: (part: StreamPart) => void) {
    this.#emit = emit
  }

  get size(): number {
    return this.#calls.length
  }

  /** Takes one piece; what is none is ignored. */
  add(given: unknown): void {
    const piece = pieceOf(given)
    if (piece === undefined) return
    const found = this.#find(piece)
    const isNew = found === undefined || begins(piece, found)
    const call = isNew ? this.#begin(piece) : found
    if (isNew && found?.renamed === true) piece.name ??= found.name
    this.#last = call
    if (piece.id !== undefined) {
      call.wireId ??= piece.id
      this.#byId.set(piece.id, call)
    }
    if (piece.index !== undefined) {
      call.index ??= piece.index
      this.#byIndex.set(piece.index, call)
    }
    call.extra = piece.extra ?? call.extra
    if (call.name === undefined && piece.name !== undefined) {
      call.name = piece.name
      this.#emit({ type: 'tool-input-start', id: call.id, toolName: call.name })
      this.#delta(call, call.input)
    } else if (piece.name !== undefined && piece.args === '') {
      call.renamed = isWhole(call.input)
    }
    call.input += piece.args
    if (call.name !== undefined) this.#delta(call, piece.args)
  }

  /** Ends every call; those of an answer that failed do not run. False when a call has no name: then none runs. */
  end(run: boolean): boolean {
    this.#joinStrays()
    const isWhole = this.#calls.every(({ name }) => name !== undefined)
    for (const { id, name, input, extra } of this.#calls) {
      if (name === undefined) continue
      this.#emit({ type: 'tool-input-end', id })
      if (run && isWhole) {
        const call = { toolCallId: id, toolName: name, input: input === '' ? '{}' : input }
        this.#emit({ type: 'tool-call', ...call, ...toolMetadata(extra) })
      }
    }
    return isWhole
  }

  #find({ id, index, name }: Piece): Call | undefined {
    const here = index === undefined ? undefined : this.#byIndex.get(index)
    if (id === undefined) {
      if (here !== undefined) return here
      // A call that began without an index may get one.
      return index === undefined || (name === undefined && this.#last?.index === undefined) ? this.#last : undefined
    }
    const known = this.#byId.get(id)
    if (known !== undefined) {
      const elsewhere = index !== undefined && known.index !== undefined && known.index !== index
      if (!elsewhere || here?.wireId === id) return elsewhere ? here : known
      // The same id at another index: a call of its own if it says what it calls.
      return name === undefined ? known : undefined
    }
    // The id itself may come late.
    const open = index === undefined ? this.#last : here
    return open?.wireId === undefined && (name === undefined || open?.name === undefined) ? open : undefined
  }

  #begin({ id, index }: Piece): Call {
    const own = id !== undefined && !this.#ids.has(id) ? id : `call_${randomUUID()}`
    this.#ids.add(own)
    const rest = { name: undefined, input: '', extra: undefined, renamed: false }
    const call: Call = { id: own, wireId: id, index, ...rest }
    this.#calls.push(call)
    return call
  }

  // Some vendors make up an id for every piece (vLLM did): what never got a name continues the call before it.
  #joinStrays(): void {
    const kept: Call[] = []
    for (const call of this.#calls) {
      const before = kept.findLast(({ index }) => index === call.index)
      if (call.name !== undefined || before?.name === undefined) kept.push(call)
      else {
        before.input += call.input
        this.#delta(before, call.input)
      }
    }
    this.#calls = kept
  }

  #delta({ id }: Call, delta: string): void {
    if (delta !== '') this.#emit({ type: 'tool-input-delta', id, delta })
  }
}

/** Whether a piece that is labelled as a call's begins another one. */
function begins({ id, index, name, args }: Piece, call: Call): boolean {
  if (call.name === undefined || (name === undefined && !call.renamed)) return false
  if (name !== undefined && name !== call.name) return true
  // Without any label a name is the beginning, unless the arguments before it are unfinished.
  if (id === undefined && index === undefined) return call.input === '' ? args === '' : isWhole(call.input)
  return /^\s*\{/.test(args) && isWhole(call.input)
}

function isWhole(input: string): boolean {
  try {
    return typeof JSON.parse(input) === 'object'
  } catch {
    return false
  }
}

function pieceOf(given: unknown): Piece | undefined {
  if (typeof given !== 'object' || given === null) return undefined
  const { id, index, function: called, extra_content: extra } = given as Record<string, unknown>
  const { name, arguments: args } = (called ?? {}) as Record<string, unknown>
  const piece: Piece = {
    id: word(id),
    index: typeof index === 'number' ? index : undefined,
    name: word(name),
    // Some vendors give the arguments as the object that they are.
    args: typeof args === 'string' ? args : typeof args === 'object' && args !== null ? JSON.stringify(args) : '',
    extra: typeof extra === 'object' && extra !== null ? (extra as JsonObject) : undefined,
  }
  return piece.id || piece.name || piece.args || piece.extra ? piece : undefined
}

function word(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined
}

/** What a vendor attached to a tool call and wants back with its result (Gemini's thought signatures). */
function toolMetadata(extra: JsonObject | undefined) {
  return extra === undefined ? {} : { providerMetadata: { livekit: { extraContent: extra } } }
}
